package offline

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const system = "tokenwright-system"

// hash is alice's password, which no log may hold.
const hash = "$2y$05$mNi8GMSvoJbAbcJKUzBE/OY5wqeuYVuaWWkuZwAkHyjK.fGdCEuJG"

// The manifests of most tests.
const (
	keyManifest = `apiVersion: tokenwright.dev/v1alpha1
kind: SigningKey
metadata: {name: registry, namespace: tokenwright-system}
spec: {audiences: [registry.example.com]}
`
	usersManifest = `apiVersion: tokenwright.dev/v1alpha1
kind: IdentityProvider
metadata: {name: users, namespace: tokenwright-system}
spec: {htpasswd: {secretRef: {name: users}}}
---
apiVersion: v1
kind: Secret
metadata: {name: users, namespace: tokenwright-system, labels: {tokenwright.dev/watch: "true"}}
stringData: {htpasswd: "alice:` + hash + `"}
`
	allowManifest = `apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: allow, namespace: team-a}
spec:
  subjects: [{kind: User, name: alice}]
  rules: [{type: repository, names: [team-a/**], actions: [pull, push]}]
`
	denyManifest = `apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: deny}
spec:
  effect: Deny
  subjects: [{kind: User, name: alice}]
  rules: [{type: repository, names: [team-a/secret], actions: ["*"]}]
`
)

// world is a folder of manifests and what a server makes of it.
type world struct {
	*Offline
	t      *testing.T
	folder string
	state  string
	stop   context.CancelFunc

	mu  sync.Mutex
	log bytes.Buffer
}

func newWorld(t *testing.T, files map[string]string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, folder: filepath.Join(dir, "manifests"), state: filepath.Join(dir, "state")}
	old := time.Now().Add(-time.Hour)
	for name, text := range files {
		w.write(name, text)
		// What was written just now is read again, however it looks.
		if err := os.Chtimes(filepath.Join(w.folder, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	w.put(name, func(path string) error { return os.WriteFile(path, []byte(text), 0o600) })
}

// put replaces a file as editors do, by one that is made elsewhere: nobody reads half of it.
func (w *world) put(name string, create func(path string) error) {
	w.t.Helper()
	part := filepath.Join(filepath.Dir(w.folder), "part")
	if err := create(part); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(part, filepath.Join(w.folder, name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.RemoveAll(filepath.Join(w.folder, name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) options() Options {
	log := funcr.New(func(prefix, args string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.log.WriteString(prefix + " " + args + "\n")
	}, funcr.Options{})
	return Options{
		Manifests: []string{w.folder}, StateDir: w.state, Namespace: system, ClockSkew: time.Minute, JWKSMaxAge: 5 * time.Minute,
		Snapshots: &snapshot.Holder{}, Log: log,
	}
}

// start runs it until the test ends, or until stop.
func (w *world) start() {
	w.t.Helper()
	off, err := New(w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	w.Offline = off
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := off.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
		if err := off.Close(); err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(w.stop)
}

// eventually waits until it holds.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("it did not happen: %s; the log:\n%s", what, w.logged())
		}
	}
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func (w *world) said(text string) bool { return strings.Contains(w.logged(), text) }

// has are the objects of a kind in the store, in order.
func (w *world) has(kind schema.GroupVersionKind) string {
	var names []string
	for _, name := range w.Objects().Names(kind) {
		names = append(names, strings.TrimPrefix(name.String(), "/"))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (w *world) isThere(kind schema.GroupVersionKind, namespace, name string) bool {
	_, ok := w.Objects().Get(kind, types.NamespacedName{Namespace: namespace, Name: name})
	return ok
}
