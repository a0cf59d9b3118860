package lease

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const hour = time.Hour

func TestTheLeaseSaysWhatIsServedAndUntilWhenItCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := start(t, 90*time.Minute+time.Millisecond, func(w *world) {
			w.holder.Store(&snapshot.Snapshot{Serves: []string{"a", "b"}})
		})
		got, _ := w.api.got()
		seconds := int32(5401)
		want := &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{
				Name: "tokenwright-server-pod-0", ResourceVersion: "1",
				Labels:          map[string]string{"tokenwright.dev/server-lease": "true"},
				Annotations:     map[string]string{"tokenwright.dev/serves": "a b"},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "pod-0", UID: "uid-0"}},
			},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity: &w.identity, LeaseDurationSeconds: &seconds,
				AcquireTime: &metav1.MicroTime{Time: began}, RenewTime: &metav1.MicroTime{Time: began},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if !strings.HasPrefix(w.identity, "pod-0_") || len(w.identity) < 20 {
			t.Errorf("the holder is %q: two processes of one Pod must differ", w.identity)
		}
	})
}

func TestTheLeaseIsRenewedInTime(t *testing.T) {
	cases := map[string]struct {
		reason string
		limit  time.Duration
		want   int
	}{
		"with the limit of an hour":   {"Every 10 s is enough, and does not depend on the hour.", hour, 6},
		"with a limit of 20 s":        {"A quarter of the limit leaves three more attempts.", 20 * time.Second, 12},
		"with the limit of a test":    {"The same.", 3 * time.Second, 80},
		"with a limit of two minutes": {"10 s is the longest.", 2 * time.Minute, 6},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, tc.limit, nil)
				_, before := w.api.got()
				for range 60 {
					pass(time.Second)
					if !w.signs() {
						t.Fatal("the fence is closed although all is well")
					}
				}
				if _, after := w.api.got(); after-before != tc.want {
					t.Errorf("%s\n%d renewals in a minute, expected %d", tc.reason, after-before, tc.want)
				}
				if len(*w.logged) > 0 {
					t.Errorf("what goes on is no news: %q", *w.logged)
				}
			})
		})
	}
}

func TestAChangeOfTheKeysIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, hour, nil)
		pass(3 * time.Second)
		for n, keys := range [][]string{{"a", "b"}, {"b"}, {"b", "c"}} {
			w.holder.Store(&snapshot.Snapshot{Serves: keys})
			pass(50 * time.Millisecond)
			lease, writes := w.api.got()
			if diff := cmp.Diff(keys, served(lease)); diff != "" {
				t.Fatalf("after %d changes (-want +got):\n%s", n+1, diff)
			}
			if writes != n+2 {
				t.Errorf("%d writes after %d changes", writes, n+1)
			}
		}
	})
}

func TestSnapshotsWithTheSameKeysWriteNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, hour, nil)
		for range 100 {
			w.holder.Store(&snapshot.Snapshot{Serves: []string{"a"}})
			pass(20 * time.Millisecond)
		}
		if _, writes := w.api.got(); writes != 1 {
			t.Errorf("%d writes: a tenant who changes policies would make the servers write", writes)
		}
	})
}

// TestWhatIsNotConfirmed has the ways in which a renewal can fail. The fence must close, after the limit and not before,
// and open again when the fault is over.
func TestWhatIsNotConfirmed(t *testing.T) {
	refuse := errors.New("refused")
	refused := func(context.Context, string) error { return refuse }
	hangs := func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	}
	type fault struct{ begin, end func(*world) }
	api := func(before, after func(context.Context, string) error) fault {
		return fault{func(w *world) { w.api.fail(before, after) }, func(w *world) { w.api.fail(nil, nil) }}
	}
	viewed := func(fresh func(context.Context) (time.Time, error)) fault {
		return fault{func(w *world) { w.view.set(fresh) }, func(w *world) { w.view.set(nil) }}
	}
	cases := map[string]struct {
		reason string
		fault  fault
		// renewed says that the Lease goes on to be written.
		renewed bool
	}{
		"the API server refuses":              {"A role that lost a right.", api(refused, nil), false},
		"the API server says nothing":         {"A connection into nowhere.", api(hangs, nil), false},
		"answers are lost":                    {"The Lease is renewed, but this server cannot know.", api(nil, refused), true},
		"the view is not fresh":               {"A watch that stalls, though Leases can be written.", viewed(func(context.Context) (time.Time, error) { return time.Time{}, refuse }), false},
		"the check of the view has no answer": {"The same, of another kind.", viewed(func(ctx context.Context) (time.Time, error) { <-ctx.Done(); return time.Time{}, ctx.Err() }), false},
		"the view is always as of a time past": {"That it is said anew does not make it younger.", fault{func(w *world) {
			then := time.Now()
			w.view.set(func(context.Context) (time.Time, error) { return then, nil })
		}, func(w *world) { w.view.set(nil) }}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, hour, nil)
				tc.fault.begin(w)
				_, before := w.api.got()
				pass(hour - time.Second)
				if !w.signs() {
					t.Error("it stopped to sign before the limit: an outage must be survived for that long")
				}
				pass(2 * time.Second)
				if w.signs() {
					t.Errorf("%s\nit signs past the limit", tc.reason)
				}
				if _, after := w.api.got(); (after > before) != tc.renewed {
					t.Errorf("%s\nthe Lease was written %d times", tc.reason, after-before)
				}
				tc.fault.end(w)
				pass(15 * time.Second)
				if !w.signs() {
					t.Error("the fault is over, and it does not sign")
				}
			})
		})
	}
}

// TestNothingIsSignedAfterTheLeaseHasEnded compares what this server does with what the manager reads in its Lease.
func TestNothingIsSignedAfterTheLeaseHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 40 * time.Second
		w := start(t, limit, func(w *world) {
			w.view.set(func(context.Context) (time.Time, error) { return time.Now().Add(-7 * time.Second), nil })
		})
		pass(time.Minute)
		w.api.fail(func(context.Context, string) error { return errors.New("away") }, nil)
		signed := 0
		for range 60 {
			pass(time.Second)
			lease, _ := w.api.got()
			end := lease.Spec.RenewTime.Add(time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second)
			if w.signs() != time.Now().Before(end) {
				t.Fatalf("at %s it signs: %t, and its Lease ends at %s", time.Now(), w.signs(), end)
			}
			if w.signs() {
				signed++
			}
		}
		if signed == 0 || signed == 60 {
			t.Fatalf("signed in %d of 60 seconds, which shows nothing", signed)
		}
	})
}

func TestReadyAfterTheFirstConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, hour, func(w *world) {
			w.view.set(func(context.Context) (time.Time, error) { return time.Time{}, errors.New("Secrets have not synced") })
			w.api.fail(func(context.Context, string) error { return errors.New("leases is forbidden") }, nil)
		})
		wants := func(text string) {
			t.Helper()
			if err := w.Ready(); err == nil || !strings.Contains(err.Error(), text) {
				t.Fatalf("err = %v, expected %q in it", err, text)
			}
		}
		wants("Secrets have not synced")
		if w.Failures() != 0 || len(*w.logged) != 0 {
			t.Errorf("%d failures, log %q: a server that starts has not failed", w.Failures(), *w.logged)
		}
		w.view.set(nil)
		pass(5 * time.Second)
		wants("write Lease tokenwright-server-pod-0: leases is forbidden")
		if w.Failures() == 0 || len(*w.logged) != 1 || w.signs() {
			t.Errorf("%d failures, signs: %t, log %q", w.Failures(), w.signs(), *w.logged)
		}
		w.api.fail(nil, nil)
		pass(5 * time.Second)
		if err := w.Ready(); err != nil || !w.signs() {
			t.Fatalf("err = %v, signs: %t", err, w.signs())
		}
		w.view.set(func(context.Context) (time.Time, error) { return time.Time{}, errors.New("away") })
		pass(2 * hour)
		if err := w.Ready(); err != nil {
			t.Errorf("err = %v: a server that is not ready is taken out, and so all would be", err)
		}
	})
}

// TestAStartIsQuick holds that a server which has seen everything does not wait for the next attempt.
func TestAStartIsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, hour, func(w *world) {
			w.view.set(func(context.Context) (time.Time, error) { return time.Time{}, errors.New("not yet") })
		})
		pass(20 * time.Minute)
		w.view.set(nil)
		w.holder.Store(&snapshot.Snapshot{Serves: []string{"a"}})
		pass(100 * time.Millisecond)
		if err := w.Ready(); err != nil {
			t.Errorf("err = %v", err)
		}
	})
}

func TestWhatIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, time.Minute, nil)
		w.api.fail(func(context.Context, string) error { return errors.New("away") }, nil)
		pass(10 * time.Minute)
		w.api.fail(nil, nil)
		pass(time.Minute)
		want := []string{`"Could not renew the Lease"`, `"Stopped to sign"`, `"Renewed the Lease again"`}
		if len(*w.logged) != len(want) {
			t.Fatalf("log = %q", *w.logged)
		}
		for n, text := range want {
			if !strings.Contains((*w.logged)[n], text) {
				t.Errorf("line %d is %s, expected %s", n, (*w.logged)[n], text)
			}
		}
	})
}
