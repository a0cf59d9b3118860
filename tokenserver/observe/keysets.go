package observe

import (
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// keySets are the key sets of the SigningKeys that exist. A Secret that is lost or damaged leaves the set that was there
// before; only the end of the SigningKey ends it. Of one that is being deleted the public halves are kept only. What was
// revoked stays so as long as the process runs, whatever an older Secret says that somebody restored.
type keySets struct {
	log     logr.Logger
	sets    map[types.UID]*keySet
	revoked keyring.Revoked
	current []snapshot.Keys
	// told is what was last logged of each SigningKey by name.
	told map[string]string
}

// keySet is the last good key set of one SigningKey.
type keySet struct {
	ring  keyring.Ring
	known bool
	// version is that of the Secret that was read last, good or not; fault is what is wrong with it.
	version string
	fault   string
	missing bool
}

func newKeySets(log logr.Logger) *keySets {
	return &keySets{log: log, sets: map[types.UID]*keySet{}, revoked: keyring.Revoked{}, told: map[string]string{}}
}

// update reads the Secrets of the SigningKeys, each by the one name that it can have.
func (k *keySets) update(objects []v1alpha1.SigningKey, secrets map[string]*corev1.Secret) {
	sets := make(map[types.UID]*keySet, len(objects))
	for i := range objects {
		set := k.sets[objects[i].UID]
		if set == nil {
			set = &keySet{}
		}
		set.read(&objects[i], secrets[keyring.SecretName(objects[i].Name)])
		if deleting(&objects[i]) {
			set.ring = set.ring.WithoutPrivate()
		}
		k.revoked.Note(set.ring)
		sets[objects[i].UID] = set
	}
	k.sets = sets
	k.current = make([]snapshot.Keys, 0, len(objects))
	for i := range objects {
		set := sets[objects[i].UID]
		k.current = append(k.current, snapshot.Keys{
			Object: &objects[i], Ring: k.revoked.Without(set.ring), Known: set.known, Fault: set.fault,
		})
	}
}

// read takes the Secret in if it is the SigningKey's and holds what it must.
func (s *keySet) read(object *v1alpha1.SigningKey, secret *corev1.Secret) {
	s.missing = secret == nil
	if secret == nil {
		s.version, s.fault = "", fmt.Sprintf("Secret %s does not exist, or lacks the label %s",
			keyring.SecretName(object.Name), v1alpha1.LabelWatch)
		return
	}
	if s.version == version(secret) {
		return
	}
	s.version = version(secret)
	if err := keyring.OwnedBy(object, secret, string(secret.Type)); err != nil {
		s.fault = err.Error()
		return
	}
	ring, err := keyring.Decode(secret.Data)
	if err != nil {
		s.fault = fmt.Sprintf("Secret %s: %v", secret.Name, err)
		return
	}
	s.ring, s.known, s.fault = s.ring.Followed(ring), true, ""
}

// kept is how many key sets are there although their Secret is not, or is no good. Those of SigningKeys that are being
// deleted are not counted: it is in order that their Secrets go.
func (k *keySets) kept() int {
	n := 0
	for _, c := range k.current {
		if c.Known && c.Fault != "" && !deleting(c.Object) {
			n++
		}
	}
	return n
}

// awaited returns the name of a SigningKey whose manager says that a key signs, and whose Secret is not there: a Secret
// that will come with the next event. Without that word of the manager its absence is all there is to know.
func (k *keySets) awaited() string {
	for _, c := range k.current {
		set := k.sets[c.Object.UID]
		if !set.known && set.missing && c.Object.Status.ActiveKeyID != "" && !deleting(c.Object) {
			return c.Object.Name
		}
	}
	return ""
}

// report logs what has become of each SigningKey, when that changes.
func (k *keySets) report(s *snapshot.Snapshot) {
	told := make(map[string]string, len(k.current))
	for _, c := range k.current {
		name := c.Object.Name
		told[name] = state(c, s)
		if before, ok := k.told[name]; ok && before == told[name] {
			continue
		}
		switch {
		case c.Fault != "" && c.Known:
			k.log.Info("Kept the last good key set", "signingKey", name, "fault", c.Fault)
		case told[name] != "":
			k.log.Info("Could not use the SigningKey", "signingKey", name, "fault", told[name])
		default:
			k.log.Info("Loaded the key set", "signingKey", name)
		}
	}
	k.told = told
}

// state is what is wrong with a SigningKey, or nothing.
func state(c snapshot.Keys, s *snapshot.Snapshot) string {
	if c.Fault != "" {
		return c.Fault
	}
	if deleting(c.Object) {
		return "it is being deleted"
	}
	for _, audience := range c.Object.Spec.Audiences {
		if a := s.Audiences[string(audience)]; a != nil && a.SigningKey == c.Object.Name {
			return a.Unusable
		}
	}
	return "an older SigningKey holds its audiences"
}

// deleting says whether the SigningKey is being deleted. There is no way back from that.
func deleting(object *v1alpha1.SigningKey) bool { return !object.DeletionTimestamp.IsZero() }
