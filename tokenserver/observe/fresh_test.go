package observe

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"k8s.io/client-go/rest"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// startBounded starts an observer whose view may be as old as the limit.
func startBounded(t *testing.T, config *rest.Config, limit time.Duration) observing {
	t.Helper()
	return startWith(t, Options{Config: config, MaxStaleness: limit})
}

func startWith(t *testing.T, options Options) observing {
	t.Helper()
	holder, records := &snapshot.Holder{}, &record.Index{}
	options.Namespace, options.Holder, options.Records, options.Log = system, holder, records, testr.New(t)
	o, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("observe: %v", err)
		}
	})
	return observing{o, holder, records}
}

func (o observing) fresh(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := o.Fresh(ctx)
	return err
}

// TestQuietWatchesAreHeardFrom lets nothing happen for longer than the limit.
func TestQuietWatchesAreHeardFrom(t *testing.T) {
	const limit = 6 * time.Second
	o := startBounded(t, config, limit)
	eventually(t, func() bool { return o.Ready() == nil }, "ready")
	began := time.Now()
	for n := 1; n <= 3; n++ {
		eventually(t, func() bool {
			oldest, _ := o.HeardFrom()
			return oldest.After(began.Add(time.Duration(n) * limit / 2))
		}, "every kind heard from, though nothing changes")
	}
	eventually(t, func() bool { return o.fresh(t) == nil }, "fresh")
	if o.Stats().WatchErrors != 0 {
		t.Errorf("%d watches failed", o.Stats().WatchErrors)
	}
}

func TestBeforeEverythingHasSyncedNothingIsFresh(t *testing.T) {
	o, err := New(Options{Config: config, Namespace: system, Holder: &snapshot.Holder{}, Log: testr.New(t), MaxStaleness: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Fresh(t.Context()); err == nil {
		t.Error("a view of nothing is fresh")
	}
}

// TestFreshIsAsOfWhatWasHeard holds that the time is not later than anything that the view is known by.
func TestFreshIsAsOfWhatWasHeard(t *testing.T) {
	o := startBounded(t, config, time.Hour)
	eventually(t, func() bool { return o.fresh(t) == nil }, "fresh")
	before, _ := o.HeardFrom()
	asOf, err := o.Fresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := o.HeardFrom(); asOf.Before(before) || asOf.After(after) || asOf.After(time.Now()) {
		t.Errorf("as of %s, heard from between %s and %s", asOf, before, after)
	}
}

func TestAWatchThatHangsIsNoticedAndHeals(t *testing.T) {
	proxy, err := controlplane.NewProxy(config, "secrets")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	o := startBounded(t, proxy.Config, 6*time.Second)
	eventually(t, func() bool { return o.fresh(t) == nil }, "fresh")
	proxy.Set(controlplane.Hangs)
	eventually(t, func() bool {
		err := o.fresh(t)
		return err != nil && strings.Contains(err.Error(), "nothing was heard about secrets since ")
	}, "the hanging watch noticed")
	if err := o.Ready(); err != nil {
		t.Errorf("err = %v: ready is for ever", err)
	}
	proxy.Set(controlplane.None)
	eventually(t, func() bool { return o.fresh(t) == nil }, "fresh again: the watch that hung was given up")
}

// TestAViewThatLacksAKeyIsNotFresh has watches that seem to work, and events that do not arrive.
func TestAViewThatLacksAKeyIsNotFresh(t *testing.T) {
	proxy, err := controlplane.NewProxy(config, "secrets")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	owner := newSigningKey(t, "unseen", "unseen.example.com")
	first, second := newKey(t, v1alpha1.KeyActive), newKey(t, v1alpha1.KeyActive)
	secret := secretOf(t, owner, 1, first)
	create(t, secret)
	o := startBounded(t, proxy.Config, 30*time.Second)
	o.waitSigns(t, "unseen.example.com", first.KeyID)
	eventually(t, func() bool { return o.fresh(t) == nil }, "fresh")

	proxy.Set(controlplane.Swallows)
	retired := first
	retired.State, retired.Private, retired.Retired = v1alpha1.KeyRevoked, nil, first.Activated
	secret.Data = secretOf(t, owner, 2, retired, second).Data
	update(t, secret)
	eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		asOf, err := o.Fresh(ctx)
		if err == nil {
			t.Fatalf("fresh as of %s: the revoked key signs on", asOf)
		}
		return strings.Contains(err.Error(), "Secret unseen-signing-key is another")
	}, "the reason given")
	if oldest, kind := o.HeardFrom(); o.hearing.overdue(oldest, time.Now()) {
		t.Fatalf("nothing was heard about %s, so the check of the keys was not what failed", kind)
	}
}

func TestTheInformerIsWaitedFor(t *testing.T) {
	o := startBounded(t, config, time.Hour)
	eventually(t, func() bool { return o.fresh(t) == nil }, "fresh")
	owner := newSigningKey(t, "busy", "busy.example.com")
	secret := secretOf(t, owner, 1, newKey(t, v1alpha1.KeyActive))
	create(t, secret)
	for n := range 20 {
		secret.Labels["n"] = string(rune('a' + n))
		update(t, secret)
		if err := o.fresh(t); err != nil {
			t.Fatalf("after %d writes, each a moment ago: %v", n+1, err)
		}
		if got := (*o.keysSeen.Load())[secret.Name]; got != version(secret) {
			t.Fatalf("fresh with version %s of %s", got, version(secret))
		}
	}
	remove(t, secret)
	if err := o.fresh(t); err != nil {
		t.Fatalf("after the Secret was deleted: %v", err)
	}
}
