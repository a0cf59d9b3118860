package controllers

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=tokenwright-system,resources=leases,verbs=list;watch;delete

// LeaderLease is the name of the manager's own Lease, which is never collected, whatever labels somebody gives it.
const LeaderLease = "tokenwright-manager"

// leaseGrace is how long a Lease that has ended stays: for people who look, and for a server whose clock is behind.
const leaseGrace = 10 * time.Minute

// serverLeaseReconciler deletes the Leases of servers that are no more. Where the Lease is owned by a Pod, Kubernetes does
// it with the Pod; this is for those that are not, and for servers in a Pod that is cut off.
type serverLeaseReconciler struct {
	reader client.Reader
	client client.Client
	clock  clock.PassiveClock
	leases leaseSightings
	Options
}

// addServerLease adds the controller to the manager.
func addServerLease(mgr ctrl.Manager, o Options) error {
	r := &serverLeaseReconciler{reader: mgr.GetClient(), client: mgr.GetClient(), clock: o.Clock, Options: o}
	return ctrl.NewControllerManagedBy(mgr).
		Named("serverlease").
		For(&coordinationv1.Lease{}, builder.WithPredicates(heldChanged())).
		WithOptions(controllerOptions(1)).
		Complete(r)
}

// Reconcile deletes a Lease that has ended, or comes back when it may have.
func (r *serverLeaseReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var lease coordinationv1.Lease
	if err := r.reader.Get(ctx, request.NamespacedName, &lease); err != nil {
		if apierrors.IsNotFound(err) {
			r.leases.forget(request.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if _, labelled := lease.Labels[v1alpha1.LabelServerLease]; !labelled || lease.Name == LeaderLease || !lease.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	now := r.clock.Now()
	if left := leaseCollection(&lease, r.leases.at(now, r.Options)).Sub(now); left >= 0 {
		return ctrl.Result{RequeueAfter: left + time.Second}, nil
	}
	// What was looked at may be old: one that was renewed since must stay.
	err := r.client.Delete(ctx, &lease, client.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion})
	switch {
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: time.Second}, nil
	case client.IgnoreNotFound(err) != nil:
		return ctrl.Result{}, fmt.Errorf("collect Lease %s/%s: %w", lease.Namespace, lease.Name, err)
	}
	ctrl.LoggerFrom(ctx).Info("Collected the Lease of a server that is gone")
	return ctrl.Result{}, nil
}

// leaseCollection is when the Lease may go: some time after it ended, or was given back, or was made and never used.
func leaseCollection(l *coordinationv1.Lease, belief leaseBelief) time.Time {
	switch {
	case held(l):
		return belief.end(l).Add(leaseGrace)
	case l.Spec.RenewTime != nil:
		return belief.renewed(l).Add(leaseGrace)
	}
	return l.CreationTimestamp.Add(leaseGrace)
}

// heldChanged passes what can bring the end nearer. A renewal moves it away: that is seen when it would have come.
func heldChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*coordinationv1.Lease)
			after, also := e.ObjectNew.(*coordinationv1.Lease)
			return !ok || !also || before.UID != after.UID || held(before) != held(after)
		},
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}
