package controllers

import (
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// +kubebuilder:rbac:groups=tokenwright.dev,resources=accesspolicies,verbs=list;watch
// +kubebuilder:rbac:groups=tokenwright.dev,resources=accesspolicies/status,verbs=patch

var accessPolicyKind = policyKind[*v1alpha1.AccessPolicy]{
	name:  "AccessPolicy",
	empty: func() *v1alpha1.AccessPolicy { return &v1alpha1.AccessPolicy{} },
	compile: func(p *v1alpha1.AccessPolicy) []policy.Problem {
		_, problems := policy.CompileAccessPolicy(p)
		return problems
	},
	status: func(p *v1alpha1.AccessPolicy) v1alpha1.PolicyStatus { return p.Status },
	apply: func(p *v1alpha1.AccessPolicy, status *v1alpha1ac.PolicyStatusApplyConfiguration) runtime.ApplyConfiguration {
		return v1alpha1ac.AccessPolicy(p.Name, p.Namespace).WithResourceVersion(p.ResourceVersion).WithStatus(status)
	},
}

// addAccessPolicy adds the controller to the manager.
func addAccessPolicy(mgr ctrl.Manager, o Options) error { return addPolicies(mgr, o, accessPolicyKind) }
