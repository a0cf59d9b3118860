package lease

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// TestTheLeaseIsRestored has what others can do to it.
func TestTheLeaseIsRestored(t *testing.T) {
	other := "pod-0_BEFORE"
	foreign := func(l *coordinationv1.Lease) *coordinationv1.Lease {
		l.Spec.HolderIdentity = &other
		return l
	}
	cases := map[string]struct {
		reason string
		change func(*coordinationv1.Lease) *coordinationv1.Lease
		told   string
	}{
		"deleted":                {"A slip of a hand, or the collector after a long outage.", func(*coordinationv1.Lease) *coordinationv1.Lease { return nil }, ""},
		"changed":                {"The resource version is another.", func(l *coordinationv1.Lease) *coordinationv1.Lease { l.Annotations = nil; return l }, ""},
		"emptied":                {"The same.", func(l *coordinationv1.Lease) *coordinationv1.Lease { l.Spec = coordinationv1.LeaseSpec{}; return l }, ""},
		"taken over by somebody": {"Two servers with one name acknowledge for each other.", foreign, "must be each one's own"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, hour, nil)
				for range 3 {
					w.api.put(tc.change)
					pass(11 * time.Second)
					lease, _ := w.api.got()
					if lease == nil || lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity != w.identity ||
						strings.Join(served(lease), " ") != "a" || lease.Labels["tokenwright.dev/server-lease"] != "true" || lease.Spec.RenewTime == nil {
						t.Fatalf("%s\nthe Lease is %+v", tc.reason, lease)
					}
				}
				if w.Failures() != 0 {
					t.Errorf("%d failures: each was mended in the same cycle", w.Failures())
				}
				if tc.told == "" && len(*w.logged) != 0 || tc.told != "" && (len(*w.logged) != 1 || !strings.Contains((*w.logged)[0], tc.told)) {
					t.Errorf("log = %q", *w.logged)
				}
			})
		})
	}
}

func TestAContainerThatWasStartedAgainTakesTheLeaseOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := "pod-0_BEFORE"
		w := start(t, hour, func(w *world) {
			w.api.lease = &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{
					Name: Name("pod-0"), ResourceVersion: "7", Labels: map[string]string{"mine": "yes"},
					Annotations:     map[string]string{"tokenwright.dev/serves": "old"},
					OwnerReferences: []metav1.OwnerReference{{Kind: "Pod", Name: "pod-0", UID: "another"}, {Kind: "Other", Name: "x", UID: "y"}},
				},
				Spec: coordinationv1.LeaseSpec{HolderIdentity: &before},
			}
		})
		lease, _ := w.api.got()
		if *lease.Spec.HolderIdentity != w.identity || strings.Join(served(lease), " ") != "a" {
			t.Errorf("the Lease is %+v", lease)
		}
		if lease.Labels["mine"] != "yes" || len(lease.OwnerReferences) != 2 || lease.OwnerReferences[1].UID != "uid-0" {
			t.Errorf("what others put there is gone, or an owner that is gone is still there: %+v", lease.ObjectMeta)
		}
		if len(*w.logged) != 1 || !strings.Contains((*w.logged)[0], `"Took over the Lease"`) || !strings.Contains((*w.logged)[0], before) {
			t.Errorf("log = %q", *w.logged)
		}
	})
}

func TestAStopReleasesTheLease(t *testing.T) {
	cases := map[string]struct {
		reason string
		fault  func(*world)
		held   string // by whom afterwards; "" is nobody
	}{
		"in order": {"Nobody has to wait for a server that is gone.", func(*world) {}, ""},
		"after somebody changed it": {"The change is read and kept.", func(w *world) {
			w.api.put(func(l *coordinationv1.Lease) *coordinationv1.Lease { l.Labels["x"] = "y"; return l })
		}, ""},
		"after somebody took it over": {"It is another's now, who serves.", func(w *world) {
			w.api.put(func(l *coordinationv1.Lease) *coordinationv1.Lease {
				other := "other"
				l.Spec.HolderIdentity = &other
				return l
			})
		}, "other"},
		"with the API server away": {"The stop must not hang; the Lease ends by itself.", func(w *world) {
			w.api.fail(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }, nil)
		}, "self"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, hour, nil)
				tc.fault(w)
				began := time.Now()
				w.stop()
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("the stop took %s", took)
				}
				lease, _ := w.api.got()
				holder := ""
				if lease.Spec.HolderIdentity != nil {
					holder = *lease.Spec.HolderIdentity
				}
				if holder == w.identity {
					holder = "self"
				}
				if holder != tc.held {
					t.Errorf("%s\nheld by %q, expected %q", tc.reason, holder, tc.held)
				}
			})
		})
	}
}

// TestALostAnswerDoesNotLoseTheLease is a write that succeeded and whose answer did not arrive.
func TestALostAnswerDoesNotLoseTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 0
		w := start(t, hour, func(w *world) {
			w.api.fail(nil, func(_ context.Context, verb string) error {
				if verb != "get" && lost < 3 {
					lost++
					return errors.New("connection reset")
				}
				return nil
			})
		})
		pass(10 * time.Second)
		if err := w.Ready(); err != nil || lost != 3 {
			t.Fatalf("lost %d answers, err = %v", lost, err)
		}
		for _, line := range *w.logged {
			if strings.Contains(line, "Took") {
				t.Errorf("it took its own Lease over: %s", line)
			}
		}
		w.stop()
		if lease, _ := w.api.got(); lease.Spec.HolderIdentity != nil {
			t.Error("it was not released")
		}
	})
}

// TestWhatIsAcknowledgedIsServed changes the snapshot while the view is being checked: what is written must be what the
// next request is answered by.
func TestWhatIsAcknowledgedIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, hour, nil)
		w.view.set(func(context.Context) (time.Time, error) {
			w.holder.Store(&snapshot.Snapshot{Serves: []string{"later"}})
			return time.Now(), nil
		})
		pass(11 * time.Second)
		if lease, _ := w.api.got(); strings.Join(served(lease), " ") != "later" {
			t.Errorf("acknowledged %v", served(lease))
		}
	})
}
