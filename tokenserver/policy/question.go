package policy

import (
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy/name"
)

// Asked returns the actions that a request is decided about: concrete, sorted, each once. "*" stands for pull, push and
// delete of a repository, and for itself of a registry's catalog.
func Asked(req Request) []string { return asked(req.Resource.Type, req.Resource.Name, req.Actions) }

// Nameable says whether anything can have the name: nothing is ever granted on what cannot.
func (r Resource) Nameable() bool {
	if r.Type == "" {
		return false
	}
	_, ok := name.Split(grammarOf(r.Type), r.Name, nil)
	return ok
}

// Owner is the namespace whose AccessPolicies may speak of the resource; empty if it is the platform's alone.
func (r Resource) Owner() string {
	owner := r.Namespace
	if r.Type == v1alpha1.TypeRepository {
		segments, ok := name.Split(name.Repository, r.Name, nil)
		if !ok || len(segments) < 2 {
			return ""
		}
		owner = segments[0]
	}
	if !tenantType(r.Type) || len(validation.IsDNS1123Label(owner)) > 0 {
		return ""
	}
	return owner
}
