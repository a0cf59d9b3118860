package keeper

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/offline/state"
	"github.com/tokenwright/tokenwright/tokenserver/offline/store"
)

const system = "tokenwright-system"

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a state folder, a clock, and the server of which the keeper is a part.
type world struct {
	t      *testing.T
	path   string
	dir    *state.Dir
	store  *store.Store
	keeper *Keeper
	now    time.Time
	keys   []*v1alpha1.SigningKey
	// behind says that the server does not serve what is new.
	behind bool
	served []string
	log    bytes.Buffer
}

// newWorld has a keeper with a state folder; inMemory one without.
func newWorld(t *testing.T, keys ...*v1alpha1.SigningKey) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "state"), now: begin, keys: keys}
	w.start()
	return w
}

func inMemory(t *testing.T, keys ...*v1alpha1.SigningKey) *world {
	t.Helper()
	w := &world{t: t, now: begin, keys: keys}
	w.start()
	return w
}

func (w *world) start() {
	w.t.Helper()
	if err := w.tryStart(); err != nil {
		w.t.Fatal(err)
	}
}

// tryStart starts the process anew.
func (w *world) tryStart() (err error) {
	w.stop()
	if w.path != "" {
		if w.dir, err = state.Open(w.path); err != nil {
			return err
		}
		w.t.Cleanup(w.stop)
	}
	w.store, w.served = &store.Store{}, nil
	log := funcr.New(func(_, args string) { w.log.WriteString(args + "\n") }, funcr.Options{})
	w.keeper, err = New(Options{
		Namespace: system, Limits: keyring.Limits{ClockSkew: time.Minute, JWKSMaxAge: 5 * time.Minute}, Store: w.store, State: w.dir,
		Serving: func() []string { return w.served }, Random: rand.Reader, Log: log,
	})
	return err
}

func (w *world) stop() {
	if w.dir != nil {
		_ = w.dir.Close()
		w.dir = nil
	}
}

// look is one look at the keys; then the server sees what came of it.
func (w *world) look() (time.Time, error) {
	wake, err := w.keeper.Keep(w.now, w.keys)
	if w.behind {
		return wake, err
	}
	w.served = nil
	for _, name := range w.store.Names(secretKind) {
		for _, k := range w.inStore(strings.TrimSuffix(name.Name, "-signing-key")).Keys {
			w.served = append(w.served, k.Thumbprint)
		}
	}
	return wake, err
}

// keep looks at the keys until the clock has to go on, and returns when it has to.
func (w *world) keep() time.Time {
	w.t.Helper()
	for range 10 {
		wake, err := w.look()
		if err != nil {
			w.t.Fatalf("at %s: %v", w.now.Sub(begin), err)
		}
		if wake.Sub(w.now) > soon {
			return wake
		}
		w.now = wake
	}
	w.t.Fatalf("at %s: it never comes to rest", w.now.Sub(begin))
	return time.Time{}
}

// until goes on to the time, from one look to the next.
func (w *world) until(end time.Time, each func()) {
	w.t.Helper()
	for w.now.Before(end) {
		w.now = earlier(w.keep(), end)
		if each != nil {
			each()
		}
	}
	w.keep()
}

// inStore is the ring that the server gets, if it believes the Secret.
func (w *world) inStore(name string) keyring.Ring {
	w.t.Helper()
	object, ok := w.store.Get(secretKind, types.NamespacedName{Namespace: system, Name: keyring.SecretName(name)})
	if !ok {
		return keyring.Ring{}
	}
	secret, ok := object.(*corev1.Secret)
	if !ok {
		w.t.Fatalf("%T", object)
	}
	key := w.keyInStore(name)
	if key == nil {
		return keyring.Ring{}
	}
	if err := keyring.OwnedBy(key, secret, string(secret.Type)); err != nil {
		w.t.Fatalf("the server does not believe the Secret: %v", err)
	}
	ring, err := keyring.Decode(secret.Data)
	if err != nil {
		w.t.Fatalf("the server cannot read the Secret: %v", err)
	}
	return ring
}

func (w *world) keyInStore(name string) *v1alpha1.SigningKey {
	object, _ := w.store.Get(signingKeyKind, types.NamespacedName{Namespace: system, Name: name})
	key, _ := object.(*v1alpha1.SigningKey)
	return key
}

// active is the thumbprint of the key that signs.
func (w *world) active(name string) string {
	w.t.Helper()
	k, ok := w.inStore(name).Active()
	if !ok || k.Private == nil {
		w.t.Fatalf("no key of %s signs; the log says:\n%s", name, w.log.String())
	}
	return k.Thumbprint
}

// states are those of the keys, in order.
func (w *world) states(name string) string {
	var words []string
	for _, k := range w.inStore(name).Keys {
		words = append(words, string(k.State))
	}
	return strings.Join(words, " ")
}

func (w *world) file(parts ...string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{w.path}, parts...)...))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// published are the thumbprints in the JWKS file.
func (w *world) published(name string) []string {
	w.t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(w.file("public", name, "jwks.json")), &set); err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, k := range set.Keys {
		thumbprint, err := keyring.Thumbprint(k.Key)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, thumbprint)
	}
	slices.Sort(out)
	return out
}

// verify has a registry that has read this ca.crt look at the certificate of the key that signs.
func (w *world) verify(name, authorities string) {
	w.t.Helper()
	k, ok := w.inStore(name).Active()
	if !ok || len(k.Chain) == 0 {
		w.t.Fatalf("no key of %s signs with a certificate", name)
	}
	leaf, err := x509.ParseCertificate(k.Chain[0])
	if err != nil {
		w.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(authorities)) {
		w.t.Fatalf("no certificates in %q", authorities)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: w.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		w.t.Errorf("at %s a registry refuses the certificate of %s: %v", w.now.Sub(begin), k.Thumbprint, err)
	}
}

func (w *world) said(text string) bool { return strings.Contains(w.log.String(), text) }

// signingKey is one with short times.
func signingKey(name string, change func(*v1alpha1.SigningKey)) *v1alpha1.SigningKey {
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name},
		Spec: v1alpha1.SigningKeySpec{
			Audiences: []v1alpha1.Audience{v1alpha1.Audience(name + ".example.com")}, TokenLifetime: "5m",
			Rotation: v1alpha1.Rotation{Interval: "1h", PublishAhead: "0s"},
		},
	}
	if change != nil {
		change(key)
	}
	return key
}

func annotated(key *v1alpha1.SigningKey, name, value string) *v1alpha1.SigningKey {
	key = key.DeepCopy()
	if key.Annotations == nil {
		key.Annotations = map[string]string{}
	}
	key.Annotations[name] = value
	return key
}
