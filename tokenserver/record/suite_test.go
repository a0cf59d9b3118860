package record_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/observe"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const system = controlplane.SystemNamespace

// plane is the control plane of all tests of the package, and config has the rights of the server.
var (
	plane  *controlplane.Plane
	config *rest.Config
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrllog.SetLogger(logr.Discard())
	var err error
	if plane, err = controlplane.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = plane.Stop() }()
	if config, err = plane.ServerConfig(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// replica is a store as a server has it: it observes the cluster, under the server's rights.
type replica struct {
	*record.Store
	index *record.Index
	calls *calls
}

// newReplica starts a server's part that records until the test ends.
func newReplica(t testing.TB) replica {
	t.Helper()
	r := newBlind(t)
	observer, err := observe.New(observe.Options{
		Config: config, Namespace: system, Holder: &snapshot.Holder{}, Records: r.index, Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, observer.Start)
	eventually(t, func() bool { return observer.Ready() == nil }, "the observer ready")
	return r
}

// newBlind is a replica that observes nothing.
func newBlind(t testing.TB) replica {
	t.Helper()
	return newStore(t, &record.Index{})
}

// newStore is a replica that goes by the index of another.
func newStore(t testing.TB, index *record.Index) replica {
	t.Helper()
	c, err := record.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	r := replica{index: index, calls: &calls{Client: c}}
	r.Store = record.New(record.Options{
		Client: r.calls, Namespace: system, Index: r.index, Random: rand.Reader, Now: time.Now, Log: logr.Discard(),
	})
	return r
}

// background runs something until the test ends.
func background(t testing.TB, start func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func eventually(t testing.TB, check func() bool, what string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !check() {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting for: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// calls are the calls of a store, which a test can count and break.
type calls struct {
	record.Client
	mu    sync.Mutex
	begun int
	// These count when a call has ended.
	creates int
	gets    int
	patches int
	// fault, if given, is asked before each call, by its number, and says whether the call is made and what comes of it.
	fault func(n int) (sent bool, err error)
}

func (c *calls) begin() (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.begun
	c.begun++
	if c.fault == nil {
		return true, nil
	}
	return c.fault(n)
}

func (c *calls) end(counter *int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*counter++
}

func (c *calls) count() (creates, gets, patches int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.creates, c.gets, c.patches
}

func (c *calls) Create(ctx context.Context, o client.Object, options ...client.CreateOption) error {
	return c.do(&c.creates, func() error { return c.Client.Create(ctx, o, options...) })
}

func (c *calls) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	return c.do(&c.gets, func() error { return c.Client.Get(ctx, key, o, options...) })
}

func (c *calls) Status() client.SubResourceWriter { return statusCalls{c.Client.Status(), c} }

func (c *calls) do(counter *int, call func() error) error {
	sent, fault := c.begin()
	defer c.end(counter)
	if !sent {
		return fault
	}
	if err := call(); err != nil {
		return err
	}
	return fault
}

type statusCalls struct {
	client.SubResourceWriter
	calls *calls
}

func (s statusCalls) Patch(ctx context.Context, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	return s.calls.do(&s.calls.patches, func() error { return s.SubResourceWriter.Patch(ctx, o, patch, options...) })
}

// refreshToken is a record as a grant makes it, of a user who is the test's own.
func refreshToken(t *testing.T, clientID string) *v1alpha1.IssuedToken {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	return &v1alpha1.IssuedToken{Spec: v1alpha1.IssuedTokenSpec{
		Type: v1alpha1.RefreshToken, Subject: v1alpha1.RecordedSubject{Username: t.Name()},
		Provider: v1alpha1.RecordedProvider{Name: "users", UID: "1"}, AuthTime: v1alpha1.NewDateTime(now), Audience: "registry.example.com",
		ClientID: clientID, SecretHash: strings.Repeat("s", 43), Expires: v1alpha1.NewDateTime(now.Add(24 * time.Hour)),
	}}
}

func accessToken(t *testing.T, clientID string) *v1alpha1.IssuedToken {
	t.Helper()
	token := refreshToken(t, clientID)
	token.Spec.Type, token.Spec.SecretHash, token.Spec.KeyThumbprint = v1alpha1.AccessToken, "", strings.Repeat("k", 43)
	return token
}

func mustCreate(t *testing.T, r replica, token *v1alpha1.IssuedToken) *v1alpha1.IssuedToken {
	t.Helper()
	if err := r.Create(t.Context(), token, slot.Draw); err != nil {
		t.Fatal(err)
	}
	return token
}

// stored are the records of the test's user that the API server has.
func stored(t *testing.T) []v1alpha1.IssuedToken {
	t.Helper()
	var list v1alpha1.IssuedTokenList
	if err := plane.Client.List(t.Context(), &list, client.InNamespace(system)); err != nil {
		t.Fatal(err)
	}
	var mine []v1alpha1.IssuedToken
	for _, token := range list.Items {
		if token.Spec.Subject.Username == t.Name() {
			mine = append(mine, token)
		}
	}
	return mine
}
