//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/stage"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// witness sees every version of every key set, and holds each to what came before it.
type witness struct {
	client client.WithWatch
	params map[string]keyring.Params

	mu       sync.Mutex
	versions map[string]int
	last     map[string]keyring.Ring
	gone     map[string]bool // thumbprints
	active   map[string][]string
	broken   []string
}

func newWitness(ctx context.Context, s *scene) (*witness, error) {
	c, err := client.NewWithWatch(s.Cluster.Plane.Config, client.Options{Scheme: s.Cluster.Plane.Client.Scheme()})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	w := &witness{
		client: c, params: map[string]keyring.Params{}, versions: map[string]int{},
		last: map[string]keyring.Ring{}, gone: map[string]bool{}, active: map[string][]string{},
	}
	limits := keyring.Limits{MaxStaleness: maxStaleness, ClockSkew: clockSkew, JWKSMaxAge: jwksMaxAge, TestBounds: true}
	for _, k := range signingKeys {
		var object v1alpha1.SigningKey
		if err := c.Get(ctx, client.ObjectKey{Namespace: stage.SystemNamespace, Name: k.name}, &object); err != nil {
			return nil, fmt.Errorf("read SigningKey %s: %w", k.name, err)
		}
		params, problems := keyring.Compile(&object, limits)
		if len(problems) > 0 {
			return nil, fmt.Errorf("SigningKey %s of this test: %v", k.name, problems)
		}
		w.params[k.name] = params
	}
	return w, nil
}

// run watches until the context ends.
func (w *witness) run(ctx context.Context) error {
	for ctx.Err() == nil {
		var secrets corev1.SecretList
		if err := w.client.List(ctx, &secrets, client.InNamespace(stage.SystemNamespace)); err != nil {
			return unlessOver(ctx, err)
		}
		for i := range secrets.Items {
			w.see(&secrets.Items[i])
		}
		watching, err := w.client.Watch(ctx, &corev1.SecretList{}, client.InNamespace(stage.SystemNamespace),
			&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: secrets.ResourceVersion}})
		if err != nil {
			return unlessOver(ctx, err)
		}
		for event := range watching.ResultChan() {
			if secret, ok := event.Object.(*corev1.Secret); ok && event.Type != watch.Deleted {
				w.see(secret)
			}
		}
	}
	return nil
}

func (w *witness) see(secret *corev1.Secret) {
	for _, k := range signingKeys {
		if secret.Name == keyring.SecretName(k.name) {
			w.seeRing(k.name, secret.Data)
		}
	}
}

func (w *witness) seeRing(name string, data map[string][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Decode refuses two Active keys, two standbys, and whatever else does not go together.
	ring, err := keyring.Decode(data)
	if err != nil {
		w.breaks(name, "the Secret does not decode: %v", err)
		return
	}
	before, seen := w.last[name]
	if seen && ring.Generation <= before.Generation {
		if ring.Generation < before.Generation {
			w.breaks(name, "generation %d came after %d", ring.Generation, before.Generation)
		}
		return
	}
	w.versions[name]++
	w.compare(name, before, ring)
	w.last[name] = ring
	if k, ok := ring.Active(); ok && !slices.Contains(w.active[name], k.Thumbprint) {
		w.active[name] = append(w.active[name], k.Thumbprint)
	}
}

// order is that of a key's life.
var order = []v1alpha1.KeyState{v1alpha1.KeyPending, v1alpha1.KeyPublished, v1alpha1.KeyActive, v1alpha1.KeyRetired, v1alpha1.KeyRevoked}

func (w *witness) compare(name string, before, ring keyring.Ring) {
	params, now := w.params[name], time.Now()
	kept, live := map[string]keyring.Key{}, 0
	for _, k := range ring.Keys {
		kept[k.Thumbprint] = k
		if k.State != v1alpha1.KeyRevoked {
			live++
		}
		if w.gone[k.Thumbprint] {
			w.breaks(name, "key %s came back", k.Thumbprint)
		}
		// The first key does not wait.
		ready := k.Published.Add(params.PublishAhead + params.ClockSkew)
		if old, signed := before.Active(); signed && k.State == v1alpha1.KeyActive && old.Thumbprint != k.Thumbprint && k.Activated.Before(ready) {
			w.breaks(name, "key %s signs from %s, %s too early", k.Thumbprint, k.Activated, ready.Sub(k.Activated))
		}
	}
	for _, k := range before.Keys {
		next, there := kept[k.Thumbprint]
		switch {
		case !there:
			w.gone[k.Thumbprint] = true
			if until := params.RemovalTime(k); until.IsZero() || now.Add(params.ClockSkew).Before(until) {
				w.breaks(name, "key %s was dropped as %s, before %s", k.Thumbprint, k.State, until)
			}
		case slices.Index(order, next.State) < slices.Index(order, k.State):
			w.breaks(name, "key %s is %s after it was %s", k.Thumbprint, next.State, k.State)
		}
	}
	if _, signed := before.Active(); signed {
		if _, signs := ring.Active(); !signs {
			w.breaks(name, "no key is Active any more")
		}
	}
	if bound := params.Bound(ring); live > bound {
		w.breaks(name, "there are %d keys, and not more than %d may be there", live, bound)
	}
}

// breaks notes what must not be. The lock is held.
func (w *witness) breaks(name, format string, args ...any) {
	if len(w.broken) < 20 {
		w.broken = append(w.broken, fmt.Sprintf("SigningKey %s, generation %d: ", name, w.last[name].Generation)+fmt.Sprintf(format, args...))
	}
}

// rotations is how often another key became Active.
func (w *witness) rotations(k signingKey) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(0, len(w.active[k.name])-1)
}

func (w *witness) ring(k signingKey) keyring.Ring {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last[k.name]
}
