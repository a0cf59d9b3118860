package record_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func TestTheLastUseIsWrittenOnceAnHour(t *testing.T) {
	r := newReplica(t)
	background(t, r.Run)
	token := mustCreate(t, r, refreshToken(t, "docker"))
	start := time.Now().UTC().Truncate(time.Second)
	uses := []struct {
		reason string
		after  time.Duration
		want   int
	}{
		{"the first use", 0, 1},
		{"a use within the hour", time.Minute, 1},
		{"the last moment of it", time.Hour - time.Second, 1},
		{"an hour later", time.Hour, 2},
		{"and again", time.Hour + time.Minute, 2},
	}
	for _, use := range uses {
		for range 100 {
			r.Used(token.Spec.ID, start.Add(use.after))
		}
		eventually(t, func() bool {
			seen, err := r.Get(t.Context(), token.Spec.ID)
			_, _, patches := r.calls.count()
			return err == nil && patches >= use.want && seen.Status.LastUsed == v1alpha1.NewDateTime(start.Add(time.Duration(use.want-1)*time.Hour))
		}, use.reason)
		if _, _, patches := r.calls.count(); patches != use.want {
			t.Errorf("%s: %d writes, want %d", use.reason, patches, use.want)
		}
	}
	var there v1alpha1.IssuedToken
	if err := plane.Client.Get(t.Context(), client.ObjectKeyFromObject(token), &there); err != nil {
		t.Fatal(err)
	}
	if there.Spec.ID != token.Spec.ID || there.Status.LastUsed != v1alpha1.NewDateTime(start.Add(time.Hour)) {
		t.Errorf("stored: %+v", there.Status)
	}
}

// TestAUseThatCannotBeWrittenIsWrittenTheNextTime has an API server that is away.
func TestAUseThatCannotBeWrittenIsWrittenTheNextTime(t *testing.T) {
	r := newReplica(t)
	token := mustCreate(t, r, refreshToken(t, "docker"))
	background(t, r.Run)
	refused := make(chan struct{}, 1)
	r.calls.mu.Lock()
	r.calls.fault = func(int) (bool, error) {
		select {
		case refused <- struct{}{}:
		default:
		}
		return false, errLost
	}
	r.calls.mu.Unlock()
	r.Used(token.Spec.ID, time.Now())
	<-refused
	r.calls.mu.Lock()
	r.calls.fault = nil
	r.calls.mu.Unlock()
	eventually(t, func() bool {
		r.Used(token.Spec.ID, time.Now())
		seen, err := r.Get(t.Context(), token.Spec.ID)
		return err == nil && seen.Status.LastUsed != ""
	}, "the use written")
}

// TestUsedNeverBlocks is the case in which nothing is ever written: nobody waits, and what waits is bounded.
func TestUsedNeverBlocks(t *testing.T) {
	r := newBlind(t)
	now := time.Now()
	for i := range 60_000 {
		token := put(r.index, refreshToken(t, "docker"), i, now)
		token.UID = types.UID(token.Name)
	}
	began := time.Now()
	for token := range r.index.All() {
		r.Used(token.Spec.ID, now)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	r.Used("none", now)
	r.Used("0-1-zzzzzzzzzzzzzzzzzzzzzzzzzz", now)
}

// TestTheUseOfATokenIsNotWrittenToItsSuccessor: the place may be another's by the time of the write.
func TestTheUseOfATokenIsNotWrittenToItsSuccessor(t *testing.T) {
	r := newReplica(t)
	token := mustCreate(t, r, refreshToken(t, "docker"))
	if err := plane.Client.Delete(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	r.Used(token.Spec.ID, time.Now()) // as the deletion is not yet seen, or is: both are fine
	stale := newBlind(t)
	stale.index.PutRecord(token)
	next := refreshToken(t, "docker")
	next.Spec.ID = token.Spec.ID
	next.Spec.Audience = "other.example.com"
	mustCreate(t, r, next)
	if next.Name != token.Name {
		t.Fatalf("it is %s, not in the place of %s", next.Name, token.Name)
	}
	background(t, stale.Run)
	stale.Used(token.Spec.ID, time.Now())
	eventually(t, func() bool { _, _, patches := stale.calls.count(); return patches == 1 }, "the end of the write")
	for _, there := range stored(t) {
		if there.Status.LastUsed != "" {
			t.Errorf("%s is said to be used", there.Name)
		}
	}
}
