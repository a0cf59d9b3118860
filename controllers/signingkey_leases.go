package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=tokenwright-system,resources=leases,verbs=list;watch

// ackPatience is how long a standby may wait for the servers before the status says so: they need a moment each time, and
// a status that told of it would change several times in each rotation.
const ackPatience = time.Minute

// readAcks asks the servers' Leases who serves what, while a key waits for that. It asks the API server itself: a cache
// that is behind could lack the Lease of the very server that does not serve the key. If it cannot be known, the key goes
// on waiting, and all else goes on.
func (w *keyWork) readAcks(ctx context.Context) error {
	w.acks = nil
	w.await(w.ring.AwaitsAcks())
	if !w.ring.AwaitsAcks() {
		return nil
	}
	acks, err := serverAcks(ctx, w.live, w.Namespace, w.leases.at(w.now(), w.Options))
	if err == nil {
		w.acks = acks
		return nil
	}
	w.acks = []keyring.Ack{{Until: w.now().Add(recheck)}} // somebody whom nobody knows
	if !w.acksUnknown {
		w.acksUnknown = true
		w.stall(v1alpha1.ReasonRequestFailed, "the Leases of the servers in namespace %q could not be listed; the manager's log says why", w.Namespace)
	}
	return err
}

// waiting says what the standby waits for, once it is worth saying; empty if it does not wait.
func (w *keyWork) waiting(now time.Time) string {
	standby, missing := w.params.Waiting(now, w.ring, w.acks)
	if len(missing) == 0 || w.acksUnknown || now.Before(standby.Created.Add(ackPatience)) {
		return ""
	}
	var names []string
	for _, a := range missing {
		names = append(names, fmt.Sprintf("%q", a.Server))
	}
	return fmt.Sprintf("the standby %q waits until servers serve it, or their Leases end: %s", standby.KeyID, listed(names))
}

// waitWake is when to look again at what is waited for: when the first of the Leases ends, and when it is to be told.
func (w *keyWork) waitWake(now time.Time) time.Time {
	standby, missing := w.params.Waiting(now, w.ring, w.acks)
	wake := w.params.AckWake(missing)
	if tell := standby.Created.Add(ackPatience); !wake.IsZero() && tell.After(now) && tell.Before(wake) {
		return tell
	}
	return wake
}

// serverAcks reads what the servers say, ordered by the names of their Leases.
func serverAcks(ctx context.Context, reader client.Reader, namespace string, belief leaseBelief) ([]keyring.Ack, error) {
	var leases coordinationv1.LeaseList
	err := reader.List(ctx, &leases, client.InNamespace(namespace), client.HasLabels{v1alpha1.LabelServerLease})
	if err != nil {
		return nil, fmt.Errorf("list the Leases of the servers: %w", err)
	}
	var acks []keyring.Ack
	there := map[string]bool{}
	for i := range leases.Items {
		l := &leases.Items[i]
		there[l.Name] = true
		if held(l) {
			acks = append(acks, keyring.Ack{
				Server: l.Name, Until: belief.end(l), Serves: keyring.DecodeServes(l.Annotations[v1alpha1.AnnotationServes]),
			})
		}
	}
	belief.forgetOthers(there)
	slices.SortFunc(acks, func(a, b keyring.Ack) int { return strings.Compare(a.Server, b.Server) })
	return acks, nil
}

// held says whether a server has the Lease: one that stopped in order has given it back.
func held(l *coordinationv1.Lease) bool {
	return l.Spec.HolderIdentity != nil && *l.Spec.HolderIdentity != "" && l.Spec.RenewTime != nil
}

// whatServersServeChanged passes what can change what a standby waits for. Renewals, which are all that happens most of the
// time, do not: that a Lease was not renewed is seen when it ends.
func whatServersServeChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*coordinationv1.Lease)
		after, also := e.ObjectNew.(*coordinationv1.Lease)
		return !ok || !also || before.UID != after.UID || held(before) != held(after) ||
			before.Annotations[v1alpha1.AnnotationServes] != after.Annotations[v1alpha1.AnnotationServes]
	}}
}

// A server that says that it serves something else many times in a second is not followed each time: what is asked of the
// API server for it is taken from others.
const (
	leaseNewsBurst  = 20
	leaseNewsPeriod = time.Second
)

// calmly has the SigningKeys that wait for servers looked at again: at once, as long as that is not asked for too often, and
// else a little later, once for all who ask meanwhile.
func (r *signingKeyReconciler) calmly() handler.EventHandler {
	limit := rate.NewLimiter(rate.Every(leaseNewsPeriod), leaseNewsBurst)
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, _ event.CreateEvent, queue leaseNews) { r.spread(ctx, limit, queue) },
		UpdateFunc: func(ctx context.Context, _ event.UpdateEvent, queue leaseNews) { r.spread(ctx, limit, queue) },
		DeleteFunc: func(ctx context.Context, _ event.DeleteEvent, queue leaseNews) { r.spread(ctx, limit, queue) },
	}
}

type leaseNews = workqueue.TypedRateLimitingInterface[ctrl.Request]

func (r *signingKeyReconciler) spread(ctx context.Context, limit *rate.Limiter, queue leaseNews) {
	after := time.Duration(0)
	if !limit.AllowN(r.clock.Now(), 1) {
		after = leaseNewsPeriod
	}
	for _, request := range r.awaiting(ctx) {
		queue.AddAfter(request, after)
	}
}

// await notes whether the standby waits for servers. It comes before the Leases are listed: what changes after that is an
// event that finds the note.
func (w *keyWork) await(waits bool) {
	switch {
	case w.standbys == nil:
	case waits:
		w.standbys.Store(w.key.Name, true)
	default:
		w.standbys.Delete(w.key.Name)
	}
}

// awaiting asks for the SigningKeys whose standby waits for servers to be looked at again. To the others it is all the
// same what servers say, and each server that comes, goes or sees a new key would have all of them looked at.
func (r *signingKeyReconciler) awaiting(ctx context.Context) []ctrl.Request {
	return r.requests(ctx, func(k *v1alpha1.SigningKey) bool {
		if r.standbys == nil {
			return true
		}
		_, waits := r.standbys.Load(k.Name)
		return waits
	})
}
