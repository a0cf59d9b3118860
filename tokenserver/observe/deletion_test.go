package observe

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// heldSigningKey is held by the manager's finalizer until the test lets it go.
func heldSigningKey(t *testing.T, name string, audience v1alpha1.Audience) (key *v1alpha1.SigningKey, letGo func()) {
	t.Helper()
	key = &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name, Finalizers: []string{v1alpha1.FinalizerSigningKey}},
		Spec:       v1alpha1.SigningKeySpec{Audiences: []v1alpha1.Audience{audience}, KeyIdentification: v1alpha1.KeyID},
	}
	create(t, key)
	letGo = func() {
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		if err := client.IgnoreNotFound(plane.Client.Patch(context.Background(), key.DeepCopy(), patch)); err != nil {
			t.Errorf("let SigningKey %s go: %v", name, err)
		}
	}
	t.Cleanup(letGo)
	return key, letGo
}

// TestASigningKeyThatIsBeingDeletedVerifiesAndDoesNotSign goes through its end: also a manager that is dead, so that the
// Secret still has the private half, lets nothing be signed.
func TestASigningKeyThatIsBeingDeletedVerifiesAndDoesNotSign(t *testing.T) {
	o := startReady(t)
	const audience = "leaving.example.com"
	owner, letGo := heldSigningKey(t, "leaving", audience)
	key := newKey(t, v1alpha1.KeyActive)
	secret := secretOf(t, owner, 1, key)
	create(t, secret)
	o.waitSigns(t, audience, key.KeyID)

	remove(t, owner)
	eventually(t, func() bool { return o.signs(audience) == "no such audience" }, "the audience given up when the deletion began")
	if !o.serves(key.KeyID) {
		t.Error("what it signed cannot be verified")
	}
	retired := key
	retired.State, retired.Private, retired.Retired = v1alpha1.KeyRetired, nil, key.Activated
	secret.Data = secretOf(t, owner, 2, retired).Data
	update(t, secret)

	t.Run("whatever becomes of its Secret", func(t *testing.T) {
		again := secretOf(t, owner, 3, key) // from a backup
		secret.Data = again.Data
		update(t, secret)
		o.settled(t, "leaving-a")
		if o.signs(audience) != "no such audience" || !o.serves(key.KeyID) {
			t.Errorf("after a restore: %s, served %t", o.signs(audience), o.serves(key.KeyID))
		}
		remove(t, secret)
		o.settled(t, "leaving-b")
		if !o.serves(key.KeyID) {
			t.Error("after a loss it is not served any more")
		}
	})

	letGo()
	eventually(t, func() bool { return !o.serves(key.KeyID) }, "the keys dropped in the end")
}

// settled waits until what was done before has been seen: a SigningKey that is made now signs.
func (o observing) settled(t *testing.T, name string) {
	t.Helper()
	owner, key := newSigningKey(t, name, v1alpha1.Audience(name)), newKey(t, v1alpha1.KeyActive)
	create(t, secretOf(t, owner, 1, key))
	o.waitSigns(t, name, key.KeyID)
}

func TestAnAudienceGoesToTheNextWhenTheDeletionBegins(t *testing.T) {
	o := startReady(t)
	const audience = "inherited.example.com"
	older, _ := heldSigningKey(t, "a-inherited", audience)
	younger := newSigningKey(t, "b-inherited", audience)
	first, second := newKey(t, v1alpha1.KeyActive), newKey(t, v1alpha1.KeyActive)
	create(t, secretOf(t, older, 1, first), secretOf(t, younger, 1, second))
	o.waitSigns(t, audience, first.KeyID)
	remove(t, older)
	o.waitSigns(t, audience, second.KeyID)
	if !o.serves(first.KeyID) {
		t.Error("what the older signed cannot be verified")
	}
}

// TestASigningKeyOfTheNameDoesNotInheritKeys: whoever may make a SigningKey, but not read Secrets, must not come by the
// keys of one that is gone, whose Secret is still there.
func TestASigningKeyOfTheNameDoesNotInheritKeys(t *testing.T) {
	o := startReady(t)
	const audience = "again.example.com"
	first, letGo := heldSigningKey(t, "again", audience)
	key := newKey(t, v1alpha1.KeyActive)
	secret := secretOf(t, first, 1, key)
	create(t, secret)
	o.waitSigns(t, audience, key.KeyID)
	remove(t, first)
	letGo()
	eventually(t, func() bool { return !o.serves(key.KeyID) }, "the end")

	second := newSigningKey(t, "again", audience)
	o.settled(t, "again-after")
	if a := o.holder.Load().Audiences[audience]; a == nil || a.Signer != nil || o.serves(key.KeyID) {
		t.Errorf("the audience is %+v, the key is served: %t", a, o.serves(key.KeyID))
	}
	remove(t, secret)
	replacement := newKey(t, v1alpha1.KeyActive)
	create(t, secretOf(t, second, 1, replacement))
	o.waitSigns(t, audience, replacement.KeyID)
}

// TestPrivateHalvesLeaveTheMemoryWithTheDeletion also has the manager's word that the key is retired and no other Active,
// which after a loss, and only then, means that the key in memory signs on.
func TestPrivateHalvesLeaveTheMemoryWithTheDeletion(t *testing.T) {
	owner := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "memory", UID: "u"}}
	key := newKey(t, v1alpha1.KeyActive)
	retired := key
	retired.State, retired.Private, retired.Retired = v1alpha1.KeyRetired, nil, key.Activated
	going := owner.DeepCopy()
	going.DeletionTimestamp = &metav1.Time{Time: time.Now()}

	secret := func(version string, key keyring.Key) map[string]*corev1.Secret {
		s := secretOf(t, owner, 1, key)
		s.ResourceVersion = version
		return map[string]*corev1.Secret{s.Name: s}
	}
	k := newKeySets(logr.Discard())
	k.update([]v1alpha1.SigningKey{*owner}, secret("1", key))
	for name, secrets := range map[string]map[string]*corev1.Secret{
		"before the manager": secret("1", key), "after the manager": secret("2", retired), "without a Secret": nil,
	} {
		t.Run(name, func(t *testing.T) {
			k.update([]v1alpha1.SigningKey{*going}, secrets)
			ring := k.current[0].Ring
			if len(ring.Keys) != 1 || ring.Keys[0].Private != nil {
				t.Errorf("%d keys, private half present", len(ring.Keys))
			}
			if s := snapshot.Build(snapshot.Input{Keys: k.current}); s.Counts.UsableSigningKeys != 0 || s.Counts.Keys != 1 {
				t.Errorf("counts %+v", s.Counts)
			}
			if n := k.kept(); n != 0 {
				t.Errorf("%d key sets are told to be served from memory, of a SigningKey whose Secret may go", n)
			}
		})
	}
}

func TestReadyDoesNotWaitForASigningKeyThatIsBeingDeleted(t *testing.T) {
	going := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "gone", UID: "u", DeletionTimestamp: &metav1.Time{Time: time.Now()}}}
	going.Status.ActiveKeyID = "kid"
	k := newKeySets(logr.Discard())
	k.update([]v1alpha1.SigningKey{*going}, nil)
	if name := k.awaited(); name != "" {
		t.Errorf("it waits for %s, which will never sign", name)
	}
}
