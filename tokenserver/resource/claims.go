package resource

import (
	"fmt"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// Taken says what a resource claims and an older one of the audience holds, of those that the catalog was made of; nothing if
// all is its own. Of an id the whole resource is not served, of a uri that uri is not. It does not say who the other is:
// tenants do not know of each other.
func (c *Catalog) Taken(r *Resource) []policy.Problem {
	s := c.shelf(r.Audience)
	if holder := s.byID[r.ID]; holder != nil && !holder.is(r) {
		return []policy.Problem{{
			Reason: v1alpha1.ReasonIDTaken, Path: "spec.id",
			Message: fmt.Sprintf("%q is the id of an older resource of audience %q: choose another", r.ID, r.Audience),
		}}
	}
	var problems []policy.Problem
	for i, u := range r.URIs {
		if s.uris.taken(u, r) {
			problems = append(problems, policy.Problem{
				Reason: v1alpha1.ReasonURITaken, Path: fmt.Sprintf("spec.uris[%d]", i),
				Message: fmt.Sprintf("%q is a uri of an older resource of audience %q, or below one of another namespace: this one is served without it", u, r.Audience),
			})
		}
	}
	return problems
}

// is says whether both are one object, perhaps in two versions. Files have no uid.
func (r *Resource) is(other *Resource) bool {
	return r.Namespace == other.Namespace && r.Object == other.Object && r.UID == other.UID
}
