package controllers

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// policyKind is in what the kinds of policies differ.
type policyKind[P client.Object] struct {
	name    string
	empty   func() P
	compile func(P) []policy.Problem
	// status is the part of the status that is policyReconciler's.
	status func(P) v1alpha1.PolicyStatus
	apply  func(P, *v1alpha1ac.PolicyStatusApplyConfiguration) runtime.ApplyConfiguration
}

// policyReconciler says in the status of each policy of a kind what the compiler thinks of it. What policies do to each
// other is claimConflictReconciler's.
type policyReconciler[P client.Object] struct {
	kind   policyKind[P]
	reader client.Reader
	status statusWriter
	clock  clock.PassiveClock
}

// addPolicies adds the controller of a kind to the manager.
func addPolicies[P client.Object](mgr ctrl.Manager, o Options, kind policyKind[P]) error {
	name := strings.ToLower(kind.name)
	r := &policyReconciler[P]{kind: kind, reader: mgr.GetClient(), status: o.statusWriter(mgr.GetClient(), name), clock: o.Clock}
	return ctrl.NewControllerManagedBy(mgr).
		Named(name).
		For(kind.empty(), builder.WithPredicates(statusOutdated())).
		WithOptions(controllerOptions(policyConcurrency)).
		Complete(r)
}

// Reconcile compiles the policy and writes what came of it.
func (r *policyReconciler[P]) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := r.kind.empty()
	if err := r.reader.Get(ctx, request.NamespacedName, object); err != nil {
		if client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, fmt.Errorf("get %s: %w", r.kind.name, err)
		}
		return ctrl.Result{}, nil
	}
	previous := r.kind.status(object)
	next := policyStatus(metav1.NewTime(r.clock.Now()), object.GetGeneration(), previous, r.kind.compile(object))
	return r.status.apply(ctx, previous, next, r.kind.apply(object, v1alpha1ac.PolicyStatus().
		WithObservedGeneration(next.ObservedGeneration).
		WithConditions(applied(next.Conditions)...)))
}
