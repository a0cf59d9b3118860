package controllers

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func TestLeasesOfServersThatAreGoneAreCollected(t *testing.T) {
	released := func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = nil }
	foreign := func(l *coordinationv1.Lease) { delete(l.Labels, v1alpha1.LabelServerLease) }
	leader := func(l *coordinationv1.Lease) { l.Name = LeaderLease }
	cases := map[string]struct {
		reason string
		lease  func(*coordinationv1.Lease)
		after  time.Duration
		gone   bool
		again  time.Duration
	}{
		"a server that is there": {
			reason: "it needs it", lease: func(*coordinationv1.Lease) {}, after: time.Minute, again: time.Hour + 9*time.Minute + time.Second,
		},
		"a Lease that has just ended": {
			reason: "its server may come back", lease: func(*coordinationv1.Lease) {}, after: time.Hour + 10*time.Minute, again: time.Second,
		},
		"a Lease that ended long ago":      {reason: "nobody needs it", lease: func(*coordinationv1.Lease) {}, after: time.Hour + 10*time.Minute + time.Second, gone: true},
		"a Lease that was given back":      {reason: "as above", lease: released, after: 10 * time.Minute, again: time.Second},
		"a Lease that was given back long": {reason: "its server said so", lease: released, after: 10*time.Minute + time.Second, gone: true},
		"a Lease of somebody else":         {reason: "it lacks the label", lease: foreign, after: 1000 * time.Hour},
		"the leader's, labelled by somebody": {
			reason: "it keeps two managers from working at once", lease: leader, after: 1000 * time.Hour,
		},
	}
	bench := newKeyBench(t, "collect")
	start := bench.clock.Now().Truncate(time.Second) // Leases know no nanoseconds
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bench.in(t)
			l := serverLease(b.o.Namespace, b.name(), start)
			c.lease(l)
			create(t, l)
			r := &serverLeaseReconciler{
				reader: plane.Client, client: b.r.client, clock: clocktesting.NewFakePassiveClock(start.Add(c.after)), Options: b.o,
			}
			result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(l)})
			if err != nil {
				t.Fatal(err)
			}
			if got := gone(plane.Client.Get(t.Context(), client.ObjectKeyFromObject(l), l)); got != c.gone {
				t.Errorf("%s: gone=%t, want %t", c.reason, got, c.gone)
			}
			if diff := cmp.Diff(c.again, result.RequeueAfter.Truncate(time.Second)); diff != "" {
				t.Errorf("%s: looks again (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestLeaseThatNobodyEverUsedIsCollected(t *testing.T) {
	l := serverLease("n", "tokenwright-server-a", time.Time{})
	l.Spec, l.CreationTimestamp = coordinationv1.LeaseSpec{}, metav1.NewTime(time.Unix(1000, 0))
	if diff := cmp.Diff(time.Unix(1600, 0), leaseCollection(l, new(leaseSightings).at(time.Unix(2000, 0), Options{MaxStaleness: time.Hour}))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLeaseThatIsRenewedMeanwhileStays(t *testing.T) {
	b := newKeyBench(t, "collect-race")
	l := b.server("tokenwright-server-a")
	b.clock.SetTime(b.clock.Now().Add(24 * time.Hour))
	b.faulty(interceptor.Funcs{Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
		b.renew(l) // the server was away, and comes back just now
		return c.Delete(ctx, o, opts...)
	}})
	r := &serverLeaseReconciler{reader: plane.Client, client: b.r.client, clock: b.clock, Options: b.o}
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(l)})
	if err != nil {
		t.Fatal(err)
	}
	if result.RequeueAfter == 0 {
		t.Error("it is not looked at again")
	}
	refresh(t, l)
}

// TestLeaseFromTheFutureIsCollected is what a server that was broken into leaves behind.
func TestLeaseFromTheFutureIsCollected(t *testing.T) {
	for name, released := range map[string]bool{"held": false, "given back": true} {
		t.Run(name, func(t *testing.T) {
			b := newKeyBench(t, "collect-future")
			l := serverLease(b.o.Namespace, "tokenwright-server-a", b.clock.Now().Add(100*365*24*time.Hour))
			l.Spec.LeaseDurationSeconds = new(int32(math.MaxInt32))
			if released {
				l.Spec.HolderIdentity = nil
			}
			create(t, l)
			r := &serverLeaseReconciler{reader: plane.Client, client: b.r.client, clock: b.clock, Options: b.o}
			for range 3 { // it is looked at when it says to look again
				result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(l)})
				if err != nil {
					t.Fatal(err)
				}
				b.clock.SetTime(b.clock.Now().Add(result.RequeueAfter))
			}
			if !gone(plane.Client.Get(t.Context(), client.ObjectKeyFromObject(l), l)) {
				t.Errorf("it is there, %s later", b.o.MaxStaleness)
			}
		})
	}
}
