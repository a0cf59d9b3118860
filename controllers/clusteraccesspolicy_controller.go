package controllers

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// +kubebuilder:rbac:groups=tokenwright.dev,resources=clusteraccesspolicies,verbs=list;watch
// +kubebuilder:rbac:groups=tokenwright.dev,resources=clusteraccesspolicies/status,verbs=patch

// clusterAccessPolicyReconciler says in the status of each ClusterAccessPolicy what the compiler thinks of it. What
// policies do to each other is claimConflictReconciler's.
type clusterAccessPolicyReconciler struct {
	reader client.Reader
	status statusWriter
	clock  clock.PassiveClock
}

// addClusterAccessPolicy adds the controller to the manager.
func addClusterAccessPolicy(mgr ctrl.Manager, o Options) error {
	r := &clusterAccessPolicyReconciler{
		reader: mgr.GetClient(),
		status: o.statusWriter(mgr.GetClient(), "clusteraccesspolicy"),
		clock:  o.Clock,
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("clusteraccesspolicy").
		For(&v1alpha1.ClusterAccessPolicy{}, builder.WithPredicates(statusOutdated())).
		WithOptions(controllerOptions(policyConcurrency)).
		Complete(r)
}

// Reconcile compiles the policy and writes what came of it.
func (r *clusterAccessPolicyReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var object v1alpha1.ClusterAccessPolicy
	if err := r.reader.Get(ctx, request.NamespacedName, &object); err != nil {
		if client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, fmt.Errorf("get ClusterAccessPolicy: %w", err)
		}
		return ctrl.Result{}, nil
	}
	_, problems := policy.CompileClusterAccessPolicy(&object)
	// The warning is claimConflictReconciler's.
	object.Status.Conditions = exceptWarning(object.Status.Conditions)
	next := policyStatus(metav1.NewTime(r.clock.Now()), object.Generation, object.Status, problems)
	return r.status.apply(ctx, object.Status, next, v1alpha1ac.ClusterAccessPolicy(object.Name).
		WithResourceVersion(object.ResourceVersion).
		WithStatus(v1alpha1ac.PolicyStatus().
			WithObservedGeneration(next.ObservedGeneration).
			WithConditions(applied(next.Conditions)...)))
}
