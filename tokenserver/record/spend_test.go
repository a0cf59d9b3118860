package record_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/record"
)

// TestOneOfManySpends lets a thousand try at once, on two servers, to which nobody tells anything.
func TestOneOfManySpends(t *testing.T) {
	const comers = 1000
	servers := []replica{newBlind(t), newBlind(t)}
	start := make(chan struct{})
	var wins, spent atomic.Int32
	var all sync.WaitGroup
	for n := range comers {
		all.Go(func() {
			<-start
			err := record.ErrUnavailable
			// A thousand at once can be more than a small API server answers in time. Whoever is told so comes again.
			for deadline := time.Now().Add(time.Minute); errors.Is(err, record.ErrUnavailable) && time.Now().Before(deadline); {
				err = servers[n%2].Spend(t.Context(), "spend-1", time.Now().Add(time.Minute))
			}
			switch {
			case err == nil:
				wins.Add(1)
			case errors.Is(err, record.ErrSpent):
				spent.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
	if wins.Load() != 1 || spent.Load() != comers-1 {
		t.Errorf("%d had success, and %d were told that it is spent", wins.Load(), spent.Load())
	}
	stored := revocations(t, "token-spend-1")
	if len(stored) != 1 || stored[0].Spec.Token == nil || stored[0].Spec.Token.ID != "spend-1" {
		t.Fatalf("stored: %+v", stored)
	}
	if until, err := stored[0].Spec.Expires.Parse(); err != nil || time.Until(until) < 5*time.Minute {
		t.Errorf("it is forgotten at %s (%v): a server whose clock is behind would take the token again", until, err)
	}
}

// TestManyAtOnceAreOneRequest has a hundred come while the first asks the API server: they wait for what comes of it.
func TestManyAtOnceAreOneRequest(t *testing.T) {
	const comers = 100
	server := newBlind(t)
	var here, wins atomic.Int32
	allHere := make(chan struct{})
	server.calls.fault = func(int) (bool, error) {
		<-allHere
		return true, nil
	}
	var all sync.WaitGroup
	for range comers {
		all.Go(func() {
			if here.Add(1) == comers {
				close(allHere)
			}
			switch err := server.Spend(t.Context(), "spend-at-once", time.Now().Add(time.Minute)); {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, record.ErrSpent):
				t.Error(err)
			}
		})
	}
	all.Wait()
	// Who comes when nobody is there any more asks for itself.
	if creates, _, _ := server.calls.count(); wins.Load() != 1 || creates > comers/10 {
		t.Errorf("%d had success, by %d requests", wins.Load(), creates)
	}
}

func TestWhatCannotBeSpent(t *testing.T) {
	cases := map[string]struct {
		reason string
		id     string
		fault  func(n int) (bool, error)
		want   error
	}{
		"The answer was lost": {
			"whether it was this call or another's cannot be told, and two must not have success", "spend-lost",
			func(n int) (bool, error) {
				if n == 0 {
					return true, apierrors.NewTimeoutError("slow", 0)
				}
				return true, nil
			}, record.ErrSpent,
		},
		"The first try did not arrive": {
			"then the second one counts", "spend-second",
			func(n int) (bool, error) { return n > 0, apierrorsIf(n == 0) }, nil,
		},
		"The API server is away": {
			"nothing is stored, so nothing is spent", "spend-away",
			func(int) (bool, error) { return false, apierrors.NewServiceUnavailable("away") }, record.ErrUnavailable,
		},
		"It may not be written": {
			"nothing is stored", "spend-forbidden",
			func(int) (bool, error) {
				return false, apierrors.NewForbidden(v1alpha1.GroupVersion.WithResource("tokenrevocations").GroupResource(), "x", errors.New("no"))
			}, record.ErrRefused,
		},
		"No id": {"there is nothing to be spent", "", nil, record.ErrRefused},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := newBlind(t)
			r.calls.fault = tc.fault
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := r.Spend(ctx, tc.id, time.Now().Add(time.Minute)); !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.reason, err, tc.want)
			}
		})
	}
}

func apierrorsIf(failed bool) error {
	if failed {
		return apierrors.NewServiceUnavailable("away")
	}
	return nil
}

func TestAServerWithoutAClusterSpendsNothing(t *testing.T) {
	s := record.New(record.Options{Index: &record.Index{}, Now: time.Now})
	if err := s.Spend(t.Context(), "spend-none", time.Now()); !errors.Is(err, record.ErrRefused) {
		t.Errorf("got %v", err)
	}
}
