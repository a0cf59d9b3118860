package review

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// protect adds what the resources that a server would serve give to their owners and to those whose requests were approved.
func (w *World) protect(o Objects) {
	var catalog *resource.Catalog
	of := map[string][]*resource.Resource{}
	for _, object := range o.ProtectedResources {
		if r, _ := resource.Compile(object); r != nil && w.admits(r.Audience)(r.Namespace) {
			of[r.Audience] = append(of[r.Audience], r)
		}
	}
	served := map[types.NamespacedName]*resource.Resource{}
	for audience, resources := range of {
		catalog = catalog.With(audience, resources)
		for _, r := range catalog.All(audience) {
			served[types.NamespacedName{Namespace: r.Namespace, Name: r.Object}] = r
			if p := r.OwnerPolicy(); p != nil {
				w.add(p, given(r, r.Owner, r.Scopes), nil)
			}
		}
	}
	for _, q := range o.PermissionRequests {
		r := served[types.NamespacedName{Namespace: q.Namespace, Name: q.Spec.Resource.Name}]
		if r == nil {
			continue
		}
		if p := r.RequestPolicy(q); p != nil {
			w.add(p, given(r, q.Spec.Requester, r.Approved(q)), nil)
		}
	}
}

// given is what a policy would have to say for the same.
func given(r *resource.Resource, username string, scopes []string) *v1alpha1.PolicySpec {
	rule := v1alpha1.Rule{Type: r.Type, Names: []v1alpha1.ResourceName{v1alpha1.ResourceName(r.Object)}}
	for _, s := range scopes {
		rule.Actions = append(rule.Actions, v1alpha1.Action(s))
	}
	return &v1alpha1.PolicySpec{
		Subjects: []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: username}}, Audiences: []v1alpha1.Audience{v1alpha1.Audience(r.Audience)},
		Rules: []v1alpha1.Rule{rule},
	}
}

// isPolicy says whether the object has rules that people wrote.
func isPolicy(ref policy.Ref) bool {
	return ref.Kind == policy.KindAccessPolicy || ref.Kind == policy.KindClusterAccessPolicy
}
