package observe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/offline/store"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// recorded is the record of a refresh token of the user in the place.
func recorded(username string, place int) *v1alpha1.IssuedToken {
	id := fmt.Sprintf("0-%d-abcdefghijklmnopqrstuvwxyz", place)
	return &v1alpha1.IssuedToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: fmt.Sprint("token-0-", place), Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"a": "b"}},
		Spec: v1alpha1.IssuedTokenSpec{
			Type: v1alpha1.RefreshToken, ID: id, Subject: v1alpha1.RecordedSubject{Username: username, Groups: []string{"team-a-devs", "team-a-admins"}},
			Provider: v1alpha1.RecordedProvider{Name: "users", UID: "8c1c7a5e-1d9c-4f5b-9b1a-3b9b7a1d2c3e"}, AuthTime: "2026-01-01T00:00:00Z",
			Audience: "registry.example.com", ClientID: "docker", SecretHash: strings.Repeat("s", 43), Credential: strings.Repeat("c", 43),
			Expires: "2100-01-01T00:00:00Z",
		},
	}
}

func revokes(id string) *v1alpha1.TokenRevocation {
	return &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "token-" + id},
		Spec:       v1alpha1.TokenRevocationSpec{Token: &v1alpha1.RevokedToken{ID: id}, Reason: "lost"},
	}
}

func (o observing) has(username string) *v1alpha1.IssuedToken {
	for t := range o.records.All() {
		if t.Spec.Subject.Username == username {
			return t
		}
	}
	return nil
}

func TestRecordsAndRevocationsAreSeenAtOnce(t *testing.T) {
	early := recorded("early", 1)
	create(t, early)
	o := startReady(t)
	if seen := o.has("early"); seen == nil || seen.UID != early.UID {
		t.Fatalf("it is ready and does not know %s: %+v", early.Name, seen)
	}
	late := recorded("late", 2)
	create(t, late)
	eventually(t, func() bool { return o.has("late") != nil }, "a new record")
	if seen := o.has("late"); seen.ManagedFields != nil || seen.Labels != nil || seen.Annotations != nil || seen.Spec.Subject.Groups[0] != "team-a-devs" {
		t.Errorf("held: %+v", seen)
	}
	revocation := revokes(late.Spec.ID)
	create(t, revocation)
	eventually(t, func() bool { return o.records.Revoked(o.has("late")) }, "the revocation in force")
	if o.records.Revoked(o.has("early")) {
		t.Error("another token is revoked")
	}
	remove(t, revocation)
	eventually(t, func() bool { return !o.records.Revoked(o.has("late")) }, "the revocation lifted")
	remove(t, late)
	eventually(t, func() bool { return o.has("late") == nil }, "the record dropped")
}

// TestWhatIsElsewhereIsNoRecord: an editor of another namespace must not be able to record, nor to revoke.
func TestWhatIsElsewhereIsNoRecord(t *testing.T) {
	o := startReady(t)
	foreign, revocation := recorded("foreign", 3), revokes("0-4-abcdefghijklmnopqrstuvwxyz")
	foreign.Namespace, revocation.Namespace = "default", "default"
	create(t, foreign, revocation)
	ours := recorded("ours", 4)
	create(t, ours)
	eventually(t, func() bool { return o.has("ours") != nil }, "ours")
	if o.has("foreign") != nil || o.records.Revoked(o.has("ours")) {
		t.Error("what lies in another namespace counts")
	}
}

// TestADeletionThatWasMissedIsSeen cuts the watches while the revocation goes.
func TestADeletionThatWasMissedIsSeen(t *testing.T) {
	target := recorded("missed", 5)
	create(t, target)
	revocation := revokes(target.Spec.ID)
	create(t, revocation)
	gate := &gate{open: true}
	config := rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { gate.next = next; return gate })
	o := start(t, config)
	eventually(t, func() bool { return o.Ready() == nil && o.records.Revoked(o.has("missed")) }, "the revocation in force")
	gate.set(false)
	remove(t, revocation)
	if !o.records.Revoked(o.has("missed")) {
		t.Error("it was lifted without a word from the API server")
	}
	gate.set(true)
	eventually(t, func() bool { return !o.records.Revoked(o.has("missed")) }, "the revocation lifted")
}

// TestReadyWaitsForRecordsAndRevocations: a server that does not know what is revoked must not answer.
func TestReadyWaitsForRecordsAndRevocations(t *testing.T) {
	for _, kind := range []string{"IssuedToken", "TokenRevocation"} {
		t.Run(kind, func(t *testing.T) {
			source := &withholding{kind: kind, release: make(chan struct{})}
			o, err := New(Options{Source: source, Namespace: system, Holder: &snapshot.Holder{}, Records: &record.Index{}, Log: logr.Discard()})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- o.Start(ctx) }()
			defer func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}()
			eventually(t, func() bool { return o.Ready() != nil && o.Ready().Error() == kind+"s have not synced" }, "every other kind synced")
			close(source.release)
			eventually(t, func() bool { return o.Ready() == nil }, "ready")
		})
	}
}

// withholding has no objects, and tells so of one kind only when it is released.
type withholding struct {
	kind    string
	release chan struct{}
}

func (w *withholding) ListWatch(kind schema.GroupVersionKind, namespace string, selector labels.Selector) toolscache.ListerWatcher {
	inner := (&store.Store{}).ListWatch(kind, namespace, selector)
	if kind.Kind != w.kind {
		return inner
	}
	return &held{ListerWatcher: inner, release: w.release}
}

type held struct {
	toolscache.ListerWatcher
	release chan struct{}
}

func (h *held) List(options metav1.ListOptions) (runtime.Object, error) {
	return h.ListWithContext(context.Background(), options)
}

func (h *held) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	<-h.release
	return toolscache.ToListerWithContext(h.ListerWatcher).ListWithContext(ctx, options)
}

// IsWatchListSemanticsUnSupported is what informers look for.
func (*held) IsWatchListSemanticsUnSupported() bool { return true }

// gate lets requests through, or breaks their connections.
type gate struct {
	next http.RoundTripper
	mu   sync.Mutex
	open bool
	cuts []context.CancelFunc
}

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
	for _, cut := range g.cuts {
		cut()
	}
	g.cuts = nil
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(request *http.Request) (*http.Response, error) {
	g.mu.Lock()
	if !g.open {
		g.mu.Unlock()
		return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
	}
	ctx, cut := context.WithCancel(request.Context())
	g.cuts = append(g.cuts, cut)
	g.mu.Unlock()
	return g.next.RoundTrip(request.WithContext(ctx))
}

// TestWithoutRecordsTheirKindsAreNotWatched is for the commands, which read files.
func TestWithoutRecordsTheirKindsAreNotWatched(t *testing.T) {
	o, err := New(Options{Source: &withholding{kind: "IssuedToken", release: nil}, Namespace: system, Holder: &snapshot.Holder{}, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Start(ctx) }()
	eventually(t, func() bool { return o.Ready() == nil }, "ready")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
