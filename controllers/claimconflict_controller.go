package controllers

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

const (
	// claimsSettle is how long changes of policies with claims are gathered before all of them are looked at together.
	claimsSettle = time.Second
	// warningsAtOnce is how many warnings are written before all policies are looked at anew: what would be written later
	// may no longer be true.
	warningsAtOnce = StatusWritesPerSecond
	// fieldClaims is the index of policies that have claims, or still a warning about them.
	fieldClaims = "claims"
)

// claimConflictReconciler warns in the status of ClusterAccessPolicies that may give a caller two values for one claim.
// Whether that is so depends on all policies with claims, so it looks at all of them at once, and owns nothing but the
// condition Warning: the rest of the status is policyReconciler's.
type claimConflictReconciler struct {
	reader client.Reader
	status statusWriter
	clock  clock.PassiveClock
	// compiled are the policies as they were last looked at. There is one worker.
	compiled map[string]compiledPolicy
}

// compiledPolicy is a compiled policy, and what it was made from. Generations do not tell: after a restore of etcd the same
// number can stand for another spec.
type compiledPolicy struct {
	spec   v1alpha1.ClusterAccessPolicySpec
	policy *policy.Policy
}

// addClaimConflict adds the controller to the manager.
func addClaimConflict(mgr ctrl.Manager, o Options) error {
	r := &claimConflictReconciler{
		reader: mgr.GetClient(),
		status: o.statusWriter(mgr.GetClient(), "claimconflict"),
		clock:  o.Clock,
	}
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.ClusterAccessPolicy{}, fieldClaims, claimsIndex); err != nil {
		return fmt.Errorf("index policies with claims: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("claimconflict").
		Watches(&v1alpha1.ClusterAccessPolicy{}, after(claimsSettle), builder.WithPredicates(claimsChanged())).
		WithOptions(controllerOptions(1)).
		Complete(r)
}

// Reconcile looks at all policies with claims, and writes the warnings that are no longer what they should be.
func (r *claimConflictReconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	var list v1alpha1.ClusterAccessPolicyList
	// Nothing is changed in what is read, and there may be very many.
	if err := r.reader.List(ctx, &list, client.MatchingFields{fieldClaims: "true"}, client.UnsafeDisableDeepCopy); err != nil {
		return ctrl.Result{}, fmt.Errorf("list ClusterAccessPolicies: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.ClusterAccessPolicy) int { return strings.Compare(a.Name, b.Name) })
	conflicts := policy.ClaimConflicts(r.compile(list.Items))
	now, result, written := metav1.NewTime(r.clock.Now()), ctrl.Result{}, 0
	for i := range list.Items {
		object := &list.Items[i]
		previous := onlyWarning(object.Status.Conditions)
		next := nextConditions(now, object.Generation, previous, claimWarning(conflicts[policyRef(object)])...)
		if equality.Semantic.DeepEqual(previous, next) {
			continue
		}
		one, err := r.status.apply(ctx, previous, next, v1alpha1ac.ClusterAccessPolicy(object.Name).
			WithResourceVersion(object.ResourceVersion).
			WithStatus(v1alpha1ac.PolicyStatus().WithConditions(applied(next)...)))
		if err != nil {
			return ctrl.Result{}, fmt.Errorf("warn of ClusterAccessPolicy %q: %w", object.Name, err)
		}
		if !one.IsZero() {
			result = one
		}
		if written++; written == warningsAtOnce {
			return ctrl.Result{RequeueAfter: claimsSettle}, nil
		}
	}
	return result, nil
}

// compile compiles what has changed since the last time.
func (r *claimConflictReconciler) compile(objects []v1alpha1.ClusterAccessPolicy) []*policy.Policy {
	compiled, policies := make(map[string]compiledPolicy, len(objects)), make([]*policy.Policy, 0, len(objects))
	for i := range objects {
		object := &objects[i]
		c, known := r.compiled[object.Name]
		if !known || !reflect.DeepEqual(c.spec, object.Spec) {
			p, _ := policy.CompileClusterAccessPolicy(object)
			c = compiledPolicy{spec: object.Spec, policy: p}
		}
		compiled[object.Name] = c
		policies = append(policies, c.policy)
	}
	r.compiled = compiled
	return policies
}

func policyRef(object *v1alpha1.ClusterAccessPolicy) policy.Ref {
	return policy.Ref{Kind: policy.KindClusterAccessPolicy, Name: object.Name}
}
