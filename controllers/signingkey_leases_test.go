package controllers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// serverLease is the Lease of a server that has just renewed it and serves the keys, as a server writes it.
func serverLease(namespace, name string, now time.Time, serves ...string) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, Labels: map[string]string{v1alpha1.LabelServerLease: "true"},
			Annotations: map[string]string{v1alpha1.AnnotationServes: keyring.EncodeServes(serves)},
		},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: new(name + "_1"), LeaseDurationSeconds: new(int32(3600)),
			AcquireTime: new(metav1.NewMicroTime(now)), RenewTime: new(metav1.NewMicroTime(now)),
		},
	}
}

// server is one that renewed its Lease just now.
func (b *keyBench) server(name string, serves ...string) *coordinationv1.Lease {
	b.Helper()
	l := serverLease(b.o.Namespace, name, b.clock.Now(), serves...)
	create(b.T, l)
	return l
}

// renew is what the server does every few seconds: it says that it is there and what it serves.
func (b *keyBench) renew(l *coordinationv1.Lease, serves ...string) {
	b.Helper()
	b.rewrite(l, func(l *coordinationv1.Lease) {
		l.Spec.RenewTime = new(metav1.NewMicroTime(b.clock.Now()))
		l.Annotations[v1alpha1.AnnotationServes] = keyring.EncodeServes(serves)
	})
}

func (b *keyBench) rewrite(l *coordinationv1.Lease, change func(*coordinationv1.Lease)) {
	b.Helper()
	refresh(b.T, l)
	change(l)
	if err := plane.Client.Update(b.Context(), l); err != nil {
		b.Fatal(err)
	}
}

func messageOf(key *v1alpha1.SigningKey, conditionType string) string {
	for _, c := range key.Status.Conditions {
		if c.Type == conditionType {
			return c.Message
		}
	}
	return ""
}

func TestStandbyWaitsForTheAcknowledgementOfALiveServer(t *testing.T) {
	b := newKeyBench(t, "acks")
	key := b.signingKey("registry")
	lagging, other := b.server("tokenwright-server-a"), b.server("tokenwright-server-b")
	result := b.reconcile(key)
	if diff := cmp.Diff([]v1alpha1.KeyState{active, pending}, statesOf(key)); diff != "" {
		t.Fatalf("the first key waits for nobody, its standby does (-want +got):\n%s", diff)
	}
	b.current(key)
	if diff := cmp.Diff(keysIn(key, active, pending), b.jwks(b.configMap(key))); diff != "" {
		t.Errorf("the standby is public while it waits (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("Key \""+key.Status.ActiveKeyID+"\" signs", messageOf(key, v1alpha1.ConditionReady)); diff != "" {
		t.Errorf("a moment is nothing to tell of (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ackPatience, result.RequeueAfter); diff != "" {
		t.Errorf("looks again when it is to be told (-want +got):\n%s", diff)
	}

	all := append(keysIn(key, active), keysIn(key, pending)...)
	b.clock.SetTime(b.clock.Now().Add(ackPatience))
	b.renew(other, all...)
	b.renew(lagging, keysIn(key, active)...)
	ends := b.clock.Now().Add(time.Hour + b.o.ClockSkew)
	b.reconcile(key)
	b.current(key)
	told := messageOf(key, v1alpha1.ConditionReady)
	if !strings.Contains(told, `"tokenwright-server-a"`) || strings.Contains(told, "server-b") {
		t.Errorf("Ready says %q, want it to name the server that lags and no other", told)
	}
	before := b.versions(key)
	result = b.after(time.Second, key)
	if diff := cmp.Diff(before, b.versions(key)); diff != "" {
		t.Errorf("waiting is told once (-before +after):\n%s", diff)
	}
	if latest := ends.Sub(b.clock.Now()) + time.Millisecond; result.RequeueAfter > latest {
		t.Errorf("looks again after %s, want at most %s: then the Lease ends", result.RequeueAfter, latest)
	}

	b.told()
	b.renew(lagging, all...)
	b.reconcile(key)
	if diff := cmp.Diff([]v1alpha1.KeyState{active, published}, statesOf(key)); diff != "" {
		t.Errorf("acknowledged (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(v1alpha1.DateTime("2026-03-01T12:01:01Z"), key.Status.Keys[1].PublishedTime); diff != "" {
		t.Errorf("publishedTime is when the last server acknowledged (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"KeyPublished"}, b.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	b.current(key)
}

func TestWhoIsNotWaitedFor(t *testing.T) {
	cases := map[string]struct {
		reason string
		lease  func(*coordinationv1.Lease)
		after  time.Duration
		want   v1alpha1.KeyState
	}{
		"a server that is there":      {reason: "the yardstick", lease: func(*coordinationv1.Lease) {}, want: pending},
		"a Lease about to end":        {reason: "the server's clock may be behind", lease: func(*coordinationv1.Lease) {}, after: time.Hour + 59*time.Second, want: pending},
		"a Lease that has ended":      {reason: "its server signs no more", lease: func(*coordinationv1.Lease) {}, after: time.Hour + 61*time.Second, want: published},
		"a Lease that was given back": {reason: "its server stopped", lease: func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = nil }, want: published},
		"a Lease that nobody ever renewed": {
			reason: "nobody signs by it", lease: func(l *coordinationv1.Lease) { l.Spec.RenewTime = nil }, want: published,
		},
		"a Lease of somebody else": {
			reason: "it lacks the label", lease: func(l *coordinationv1.Lease) { delete(l.Labels, v1alpha1.LabelServerLease) }, want: published,
		},
		"a Lease that does not say for how long it lasts": {
			reason: "it may be for as long as a server may", lease: func(l *coordinationv1.Lease) { l.Spec.LeaseDurationSeconds = nil },
			after: time.Hour, want: pending,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newKeyBench(t, "ack")
			l := b.server("tokenwright-server-a")
			b.rewrite(l, c.lease)
			key := b.signingKey("registry")
			b.reconcile(key)
			b.after(c.after, key)
			if diff := cmp.Diff([]v1alpha1.KeyState{active, c.want}, statesOf(key)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			b.current(key)
		})
	}
}

func TestEmergencyWaitsForNobody(t *testing.T) {
	b := newKeyBench(t, "ack-emergency")
	key := b.signingKey("registry")
	b.server("tokenwright-server-a")
	b.reconcile(key)
	leaked := keysIn(key, active)
	b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = leaked })
	b.reconcile(key)
	if diff := cmp.Diff([]v1alpha1.KeyState{revoked, active, pending}, statesOf(key)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.current(key)
}

func TestServersThatCannotBeAskedHoldUpTheStandbyAndNothingElse(t *testing.T) {
	b := newKeyBench(t, "ack-error")
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Mode = v1alpha1.RotationManual })
	broken := errors.New("the API server is tired")
	working := b.r.client
	b.faulty(interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
		if _, leases := list.(*coordinationv1.LeaseList); leases {
			return broken
		}
		return c.List(ctx, list, opts...)
	}})
	b.failing(key, broken)
	if diff := cmp.Diff([]v1alpha1.KeyState{active, pending}, statesOf(key)); diff != "" {
		t.Errorf("the first key waits for nobody, its standby for whoever there may be (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]said{"Ready": {"False", v1alpha1.ReasonRequestFailed}}, saidOf(key)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	before := b.versions(key)
	b.failing(key, broken)
	if diff := cmp.Diff(before, b.versions(key)); diff != "" {
		t.Errorf("the same failure is told once (-before +after):\n%s", diff)
	}
	leaked := keysIn(key, active)
	b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = leaked })
	b.failing(key, broken)
	if diff := cmp.Diff([]v1alpha1.KeyState{revoked, active, pending}, statesOf(key)); diff != "" {
		t.Errorf("revocation goes on (-want +got):\n%s", diff)
	}
	b.r.client, b.r.live = working, working
	b.reconcile(key)
	if diff := cmp.Diff([]v1alpha1.KeyState{revoked, active, published}, statesOf(key)); diff != "" {
		t.Errorf("once they can be asked (-want +got):\n%s", diff)
	}
	b.current(key)
}

// failing reconciles and holds that the error is returned, so that it is tried again.
func (b *keyBench) failing(key *v1alpha1.SigningKey, want error) {
	b.Helper()
	if _, err := b.step(key); !errors.Is(err, want) {
		b.Fatalf("got %v, want %v", err, want)
	}
	refresh(b.T, key)
}

func TestRenewalsAreNotLookedAt(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		change            func(*coordinationv1.Lease)
		keys, collections bool
	}{
		"a renewal": {change: func(l *coordinationv1.Lease) {
			l.Spec.RenewTime = new(metav1.NewMicroTime(start.Add(10 * time.Second)))
		}},
		"another key is served": {
			change: func(l *coordinationv1.Lease) { l.Annotations[v1alpha1.AnnotationServes] = "a b" }, keys: true,
		},
		"it is given back":  {change: func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = nil }, keys: true, collections: true},
		"it is another one": {change: func(l *coordinationv1.Lease) { l.UID = "2" }, keys: true, collections: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := serverLease("n", "tokenwright-server-a", start, "a")
			after := before.DeepCopy()
			c.change(after)
			update := event.UpdateEvent{ObjectOld: before, ObjectNew: after}
			if got := whatServersServeChanged().Update(update); got != c.keys {
				t.Errorf("SigningKeys are looked at: %t, want %t", got, c.keys)
			}
			if got := heldChanged().Update(update); got != c.collections {
				t.Errorf("the Lease is looked at: %t, want %t", got, c.collections)
			}
		})
	}
}

// The manager as it runs: it watches the Leases, and holds in memory only those of servers.
func TestManagerFollowsTheServersLeases(t *testing.T) {
	o := testOptions(t, fmt.Sprintf("ack-manager-%d", time.Now().UnixNano()))
	b := &keyBench{T: t, o: o}
	now := time.Now()
	server := serverLease(o.Namespace, "tokenwright-server-a", now)
	dead := serverLease(o.Namespace, "tokenwright-server-b", now.Add(-24*time.Hour))
	foreign := serverLease(o.Namespace, "tokenwright-server-c", now.Add(-24*time.Hour))
	foreign.Labels = nil
	create(t, server, dead, foreign)
	managerClient(t, o) // gives the rights
	startManager(t, b.config(), o)
	key := b.signingKey("registry-acks")
	reaches := func(want ...v1alpha1.KeyState) {
		t.Helper()
		eventually(t, func() error {
			refresh(t, key)
			if diff := cmp.Diff(want, statesOf(key)); diff != "" {
				return fmt.Errorf("states (-want +got):\n%s", diff)
			}
			return nil
		})
	}
	reaches(active, pending)
	b.rewrite(server, func(l *coordinationv1.Lease) {
		l.Annotations[v1alpha1.AnnotationServes] = keyring.EncodeServes(keysIn(key, active, pending))
	})
	reaches(active, published)
	eventually(t, func() error {
		got := gathered(t, metrics.Registry)
		for labels, want := range map[string]float64{"true": 1, "false": 0} {
			if value, told := got["tokenwright_server_leases "+labels+" registry-acks"]; !told || value != want {
				return fmt.Errorf("acknowledged=%s is told %t, %v, want %v", labels, told, value, want)
			}
		}
		return nil
	})
	eventually(t, func() error {
		if err := plane.Client.Get(t.Context(), client.ObjectKeyFromObject(dead), dead); !gone(err) {
			return errors.New("the Lease that ended yesterday is still there")
		}
		return nil
	})
	refresh(t, foreign)
}

// TestLeaseFromTheFutureHoldsUpNoRotation is what a server that was broken into can leave behind: a Lease that says to have
// been renewed in a hundred years, or to last for as long, and that nobody renews.
func TestLeaseFromTheFutureHoldsUpNoRotation(t *testing.T) {
	b := newKeyBench(t, "acks-future")
	key := b.signingKey("registry")
	future, long := b.server("tokenwright-server-a"), b.server("tokenwright-server-b")
	b.rewrite(future, func(l *coordinationv1.Lease) {
		l.Spec.RenewTime = new(metav1.NewMicroTime(b.clock.Now().Add(100 * 365 * 24 * time.Hour)))
	})
	b.rewrite(long, func(l *coordinationv1.Lease) { l.Spec.LeaseDurationSeconds = new(int32(math.MaxInt32)) })
	b.reconcile(key)
	b.after(b.o.MaxStaleness, key)
	b.current(key)
	if diff := cmp.Diff([]v1alpha1.KeyState{active, pending}, statesOf(key)); diff != "" {
		t.Fatalf("until then the servers may sign (-want +got):\n%s", diff)
	}
	b.after(2*b.o.ClockSkew+time.Second, key)
	b.current(key)
	if diff := cmp.Diff([]v1alpha1.KeyState{active, published}, statesOf(key)); diff != "" {
		t.Errorf("no server may sign by such a Lease any more (-want +got):\n%s", diff)
	}
}

// TestServerThatFlapsIsNotFollowedEachTime counts what comes into the queue at once, and what comes later.
func TestServerThatFlapsIsNotFollowedEachTime(t *testing.T) {
	b := newKeyBench(t, "acks-flap")
	key := b.signingKey("registry")
	queue := &countingQueue{}
	h := b.r.calmly()
	for range 1000 {
		h.Update(t.Context(), event.UpdateEvent{}, queue)
	}
	if queue.atOnce != leaseNewsBurst || queue.later != 1000-leaseNewsBurst {
		t.Errorf("%d at once and %d later, want %d at once", queue.atOnce, queue.later, leaseNewsBurst)
	}
	b.clock.SetTime(b.clock.Now().Add(leaseNewsPeriod))
	h.Create(t.Context(), event.CreateEvent{}, queue)
	h.Delete(t.Context(), event.DeleteEvent{}, queue)
	if queue.atOnce != leaseNewsBurst+1 || queue.last.Name != key.Name {
		t.Errorf("%d at once, the last for %s: it goes on after a while", queue.atOnce, queue.last)
	}
}

type countingQueue struct {
	workqueue.TypedRateLimitingInterface[ctrl.Request]
	atOnce, later int
	last          ctrl.Request
}

func (q *countingQueue) AddAfter(request ctrl.Request, after time.Duration) {
	q.last = request
	if after > 0 {
		q.later++
	} else {
		q.atOnce++
	}
}
