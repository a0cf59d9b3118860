// Package keeper owns the keys of a server without a cluster: it does what the manager does in one. What happens to a key,
// and when, package keyring decides; here it is carried out: Secrets are written to the store from which the server
// observes them, and, if there is a state folder, to that before, and what is public of them beside it.
//
// A SigningKey whose manifest is gone signs nothing, and what it signed verifies until it is dead, as in a cluster. But its
// keys stay in the state folder, and go on if the manifest comes back: a file that is gone may be a mistake, and registries
// would have to be given another certificate authority.
package keeper

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/offline/state"
	"github.com/tokenwright/tokenwright/tokenserver/offline/store"
)

// When the keys are looked at again though nothing is due.
const (
	recheck = time.Minute
	// retry is how soon what failed is tried again.
	retry = 5 * time.Second
	// soon is how long a standby waits that the server is about to serve.
	soon = 100 * time.Millisecond
)

// Options are what a Keeper works with.
type Options struct {
	// Namespace is the system namespace.
	Namespace string
	Limits    keyring.Limits
	// Store gets the SigningKeys and the Secrets of their keys.
	Store *store.Store
	// State keeps keys beyond the end of the process; nil: nothing does.
	State *state.Dir
	// Serving returns the thumbprints of the keys that the server serves now, as a Lease would say them.
	Serving func() []string
	Random  io.Reader
	Log     logr.Logger
}

// Keeper makes, publishes and rotates keys. Only one goroutine may use it.
type Keeper struct {
	options Options
	sets    map[string]*set
}

// set is what is known of one SigningKey, by name.
type set struct {
	name string
	ring keyring.Ring
	held keyring.Held
	// object is the one of the manifests, nil if there is none; removed is since when.
	object  *v1alpha1.SigningKey
	removed time.Time
	// uid is the one in the store, which is another when the manifest came back: who observes it knows no way back from an
	// end. Empty: there is none yet.
	uid types.UID
	// public are the authorities that are published.
	public [][]byte
	// changed says that something is to be written though no key changes.
	changed bool
	// told is what was logged last of what is wrong.
	told string
}

// New returns a Keeper that goes on where the state folder ends. What is damaged there is an error, which says what to do:
// with other keys than those that registries trust, nothing would be gained.
func New(o Options) (*Keeper, error) {
	k := &Keeper{options: o, sets: map[string]*set{}}
	if o.State == nil {
		return k, nil
	}
	if err := k.load(); err != nil {
		return nil, fmt.Errorf("read the keys of %s: %w", o.State.Path(), err)
	}
	return k, nil
}

// Keep does what is due to the keys of the SigningKeys, which are all that there are, and returns when to do it again. The
// error says what could not be written; all else is done.
func (k *Keeper) Keep(now time.Time, keys []*v1alpha1.SigningKey) (time.Time, error) {
	k.adopt(now, keys)
	owners := keyring.AudienceOwners(values(keys))
	wake, failures := now.Add(recheck), []error(nil)
	for _, name := range slices.Sorted(maps.Keys(k.sets)) {
		s := k.sets[name]
		w := &work{Keeper: k, set: s, now: now.UTC().Round(0)}
		if s.object == nil {
			failures = append(failures, w.leave())
			wake = earlier(wake, w.wake)
			continue
		}
		failures = append(failures, w.keep())
		w.report(owners)
		wake = earlier(wake, w.wake)
	}
	failure := errors.Join(failures...)
	if failure != nil {
		wake = earlier(wake, now.Add(retry))
	}
	return wake, failure
}

// adopt takes over which SigningKeys there are.
func (k *Keeper) adopt(now time.Time, keys []*v1alpha1.SigningKey) {
	there := map[string]bool{}
	for _, key := range keys {
		there[key.Name] = true
		s := k.sets[key.Name]
		if s == nil {
			s = &set{name: key.Name}
			k.sets[key.Name] = s
		}
		if !s.removed.IsZero() {
			s.removed, s.uid, s.changed = time.Time{}, "", true
			k.options.Log.Info("Went on with the keys of a SigningKey that came back", "signingKey", key.Name)
		}
		s.object = key
	}
	for name, s := range k.sets {
		if there[name] || !s.removed.IsZero() {
			continue
		}
		s.object, s.removed, s.changed = nil, now.UTC().Round(time.Second), true
		log := k.options.Log.WithValues("signingKey", name)
		if k.options.State != nil {
			log = log.WithValues("file", k.options.State.SecretPath(keyring.SecretName(name)))
		}
		log.Info("Stopped to sign for a SigningKey whose manifest is gone; its keys are kept, and go on if it comes back")
	}
}

func values(keys []*v1alpha1.SigningKey) []v1alpha1.SigningKey {
	out := make([]v1alpha1.SigningKey, 0, len(keys))
	for _, key := range keys {
		out = append(out, *key)
	}
	return out
}

// earlier is the earlier of two times, of which a zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
