package controllers

import (
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// +kubebuilder:rbac:groups=tokenwright.dev,resources=clusteraccesspolicies,verbs=list;watch
// +kubebuilder:rbac:groups=tokenwright.dev,resources=clusteraccesspolicies/status,verbs=patch

var clusterAccessPolicyKind = policyKind[*v1alpha1.ClusterAccessPolicy]{
	name:  "ClusterAccessPolicy",
	empty: func() *v1alpha1.ClusterAccessPolicy { return &v1alpha1.ClusterAccessPolicy{} },
	compile: func(p *v1alpha1.ClusterAccessPolicy) []policy.Problem {
		_, problems := policy.CompileClusterAccessPolicy(p)
		return problems
	},
	status: func(p *v1alpha1.ClusterAccessPolicy) v1alpha1.PolicyStatus {
		own := p.Status
		own.Conditions = exceptWarning(own.Conditions) // which is claimConflictReconciler's
		return own
	},
	apply: func(p *v1alpha1.ClusterAccessPolicy, status *v1alpha1ac.PolicyStatusApplyConfiguration) runtime.ApplyConfiguration {
		return v1alpha1ac.ClusterAccessPolicy(p.Name).WithResourceVersion(p.ResourceVersion).WithStatus(status)
	},
}

// addClusterAccessPolicy adds the controller to the manager.
func addClusterAccessPolicy(mgr ctrl.Manager, o Options) error {
	return addPolicies(mgr, o, clusterAccessPolicyKind)
}
