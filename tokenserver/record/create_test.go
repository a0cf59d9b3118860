package record_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
)

func TestARecordIsThereWhenCreateReturns(t *testing.T) {
	r := newReplica(t)
	token := mustCreate(t, r, refreshToken(t, "docker"))
	id, ok := slot.Parse(token.Spec.ID)
	if !ok || id.Name() != token.Name || token.Namespace != system || token.CreationTimestamp.IsZero() {
		t.Fatalf("the record is %s/%s with the id %q", token.Namespace, token.Name, token.Spec.ID)
	}
	there := stored(t)
	if len(there) != 1 {
		t.Fatalf("%d records are stored, want 1", len(there))
	}
	if diff := cmp.Diff(token.Spec, there[0].Spec); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	creates, gets, _ := r.calls.count()
	got, err := r.Get(t.Context(), token.Spec.ID)
	if err != nil || got.UID != token.UID || !r.index.Live(got, time.Now()) {
		t.Errorf("got %+v, %v", got, err)
	}
	if creates2, gets2, _ := r.calls.count(); creates2 != creates || gets2 != gets {
		t.Error("the API server was asked for what was observed")
	}
}

// errLost is what a client hears when a connection breaks.
var errLost = errors.New("connection reset by peer")

// TestWhateverFailsOneRecordIsStored breaks the first calls in each way, and looks at what is stored when Create has
// succeeded, at once or when it is called again.
func TestWhateverFailsOneRecordIsStored(t *testing.T) {
	group := v1alpha1.GroupVersion.WithResource("issuedtokens").GroupResource()
	ways := map[string]struct {
		reason string
		sent   bool
		err    error
	}{
		"the call never arrives":         {"it is made again", false, errLost},
		"the answer is lost":             {"the object is there, and is found", true, errLost},
		"the API server times out":       {"it may have stored it", true, apierrors.NewTimeoutError("slow", 0)},
		"the API server is too busy":     {"it says so", false, apierrors.NewTooManyRequests("busy", 0)},
		"the API server is shut down":    {"another answers", false, apierrors.NewServiceUnavailable("down")},
		"etcd lost its leader":           {"it may have stored it", true, apierrors.NewInternalError(errLost)},
		"the request took too long":      {"it may have stored it", true, context.DeadlineExceeded},
		"the object met another's write": {"it is made again", false, apierrors.NewConflict(group, "x", errLost)},
	}
	observed := newReplica(t).index
	for name, way := range ways {
		for broken := 1; broken <= 3; broken++ {
			t.Run(name, func(t *testing.T) {
				r := newStore(t, observed)
				r.calls.fault = func(n int) (bool, error) {
					if n < broken {
						return way.sent, way.err
					}
					return true, nil
				}
				token := refreshToken(t, "docker")
				if err := r.Create(t.Context(), token, slot.Draw); err != nil {
					t.Fatalf("%s: %v", way.reason, err)
				}
				if there := stored(t); len(there) != 1 || there[0].Spec.ID != token.Spec.ID || there[0].UID != token.UID {
					t.Errorf("%s: %d records are stored", way.reason, len(there))
				}
				removeAll(t)
			})
		}
	}
}

func removeAll(t *testing.T) {
	t.Helper()
	for _, token := range stored(t) {
		if err := plane.Client.Delete(t.Context(), &token); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARecordIsStoredOnceHoweverOftenCreateIsCalled(t *testing.T) {
	r := newBlind(t)
	token := refreshToken(t, "docker")
	r.calls.fault = func(int) (bool, error) { return true, errLost }
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := r.Create(ctx, token, slot.Draw)
	if !errors.Is(err, record.ErrUnavailable) || errors.Is(err, record.ErrRefused) || record.RetryAfter(err) < time.Second {
		t.Fatalf("got %v, want it unavailable", err)
	}
	r.calls.fault = nil
	mustCreate(t, r, token)
	if there := stored(t); len(there) != 1 || there[0].Spec.ID != token.Spec.ID {
		t.Errorf("%d records are stored", len(there))
	}
}

// TestATakenPlaceIsLeftToItsOwner: the second record is given the first one's place, and takes another.
func TestATakenPlaceIsLeftToItsOwner(t *testing.T) {
	r := newBlind(t)
	first := mustCreate(t, r, refreshToken(t, "docker"))
	second := refreshToken(t, "docker")
	second.Spec.ID = first.Spec.ID[:len(first.Spec.ID)-26] + strings.Repeat("a", 26)
	mustCreate(t, r, second)
	if second.Name == first.Name || len(stored(t)) != 2 {
		t.Errorf("the second record is %s", second.Name)
	}
	// The very id, with something else behind it, is no success either.
	third := refreshToken(t, "other")
	third.Spec.ID = first.Spec.ID
	mustCreate(t, r, third)
	if third.Spec.ID == first.Spec.ID || len(stored(t)) != 3 {
		t.Error("a record took another's id")
	}
}

func TestWhatTheAPIServerRefusesIsNotTriedAgain(t *testing.T) {
	r := newBlind(t)
	token := refreshToken(t, "docker")
	token.Spec.Credential, token.Spec.SecretHash = "hunter2", "hunter3"
	err := r.Create(t.Context(), token, slot.Draw)
	if !errors.Is(err, record.ErrRefused) || errors.Is(err, record.ErrUnavailable) {
		t.Fatalf("got %v, want it refused", err)
	}
	if !strings.Contains(err.Error(), "spec.credential") || strings.Contains(err.Error(), "hunter") {
		t.Errorf("the error is %q: it must name fields, and quote nothing", err)
	}
	if creates, _, _ := r.calls.count(); creates != 1 {
		t.Errorf("%d tries", creates)
	}
	token.Spec.ID = "0-1-short"
	if err := r.Create(t.Context(), token, slot.Draw); !errors.Is(err, record.ErrRefused) {
		t.Errorf("a bad id: got %v", err)
	}
}

// TestWithoutAnAPIServerNothingIsStored has one that is not there, and one that does not answer.
func TestWithoutAnAPIServerNothingIsStored(t *testing.T) {
	gone, err := record.NewClient(&rest.Config{Host: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	options := record.Options{Client: gone, Namespace: system, Index: &record.Index{}, Random: rand.Reader, Now: time.Now, Log: logr.Discard()}
	s := record.New(options)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, getErr := s.Get(ctx, "0-1-"+strings.Repeat("a", 26))
	for name, err := range map[string]error{
		"create": s.Create(ctx, refreshToken(t, "docker"), slot.Draw), "read": getErr, "revoke": s.Revoke(ctx, ofToken("t")),
	} {
		if !errors.Is(err, record.ErrUnavailable) {
			t.Errorf("%s: got %v, want it unavailable", name, err)
		}
	}
	options.Client = nil
	s = record.New(options)
	s.Used("0-1-"+strings.Repeat("a", 26), time.Now())
	if _, err := s.Get(t.Context(), "0-1-"+strings.Repeat("a", 26)); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("without a cluster: got %v, want that there is none", err)
	}
	for name, err := range map[string]error{"create": s.Create(t.Context(), refreshToken(t, "docker"), slot.Draw), "revoke": s.Revoke(t.Context(), ofToken("t"))} {
		if !errors.Is(err, record.ErrRefused) || !strings.Contains(err.Error(), "without a cluster") {
			t.Errorf("%s without a cluster: got %v", name, err)
		}
	}
}
