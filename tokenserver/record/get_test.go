package record_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
)

// TestARecordThatWasNotSeenIsReadOnce: another replica made it, and its client comes here first.
func TestARecordThatWasNotSeenIsReadOnce(t *testing.T) {
	token := mustCreate(t, newBlind(t), refreshToken(t, "docker"))
	r := newBlind(t)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			got, err := r.Get(t.Context(), token.Spec.ID)
			if err != nil || got.UID != token.UID {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	wait.Wait()
	if _, gets, _ := r.calls.count(); gets != 1 {
		t.Errorf("the API server was asked %d times", gets)
	}
}

func TestARecordThatIsNotThereIsAskedForOnce(t *testing.T) {
	r := newBlind(t)
	token := mustCreate(t, r, refreshToken(t, "docker"))
	for name, id := range map[string]string{
		"nobody's place":             "99999-1-" + strings.Repeat("a", 26),
		"the place of another token": token.Spec.ID[:len(token.Spec.ID)-26] + strings.Repeat("a", 26),
	} {
		t.Run(name, func(t *testing.T) {
			_, before, _ := r.calls.count()
			for range 10 {
				if got, err := r.Get(t.Context(), id); !errors.Is(err, record.ErrNotFound) {
					t.Fatalf("got %+v, %v", got, err)
				}
			}
			if _, gets, _ := r.calls.count(); gets != before+1 {
				t.Errorf("the API server was asked %d times", gets-before)
			}
		})
	}
}

// TestThousandsOfIDsCostTheAPIServerABudget: whoever has many tokens whose records were collected must not keep it busy.
func TestThousandsOfIDsCostTheAPIServerABudget(t *testing.T) {
	r := newBlind(t)
	unavailable := 0
	for range 5000 {
		id, err := slot.Draw(rand.Reader, 1)
		if err != nil {
			t.Fatal(err)
		}
		switch _, err := r.Get(t.Context(), id.String()); {
		case errors.Is(err, record.ErrUnavailable):
			unavailable++
		case !errors.Is(err, record.ErrNotFound):
			t.Fatalf("got %v", err)
		}
	}
	_, gets, _ := r.calls.count()
	if gets > 500 || gets+unavailable != 5000 {
		t.Errorf("the API server was asked %d times, and %d were put off", gets, unavailable)
	}
	// What is observed is not put off.
	token := refreshToken(t, "docker")
	token.Name, token.Spec.ID = "token-0-1", "0-1-"+strings.Repeat("b", 26)
	r.index.PutRecord(token)
	if got, err := r.Get(t.Context(), token.Spec.ID); err != nil || got != token {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWhatIsNoIDNeverReachesTheAPIServer(t *testing.T) {
	r := newBlind(t)
	for _, id := range []string{"", "x", strings.Repeat("a", 26), "0-1-../../secrets", "0-01-" + strings.Repeat("a", 26), strings.Repeat("9", 10_000)} {
		if _, err := r.Get(t.Context(), id); !errors.Is(err, record.ErrNotFound) {
			t.Errorf("%.40q: got %v", id, err)
		}
	}
	if _, gets, _ := r.calls.count(); gets != 0 {
		t.Errorf("it was asked %d times", gets)
	}
}

// TestAFailureIsNotRemembered: the next who asks gets the record.
func TestAFailureIsNotRemembered(t *testing.T) {
	token := mustCreate(t, newBlind(t), refreshToken(t, "docker"))
	r := newBlind(t)
	r.calls.fault = func(n int) (bool, error) { return n > 0, errLost }
	if _, err := r.Get(t.Context(), token.Spec.ID); !errors.Is(err, record.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	r.calls.fault = nil
	if got, err := r.Get(t.Context(), token.Spec.ID); err != nil || got.UID != token.UID {
		t.Errorf("got %+v, %v", got, err)
	}
}
