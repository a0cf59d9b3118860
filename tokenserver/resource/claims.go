package resource

import (
	"fmt"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// Taken says what a resource claims and another of the audience holds, of those that the catalog was made of; nothing if
// all is its own. Of an id the whole resource is not served, of a uri that uri is not. It does not say who the other is:
// tenants do not know of each other.
func (c *Catalog) Taken(r *Resource) []policy.Problem {
	s := c.shelf(r.Audience)
	if s.idTaken(r) {
		return []policy.Problem{{
			Reason: v1alpha1.ReasonIDTaken, Path: "spec.id",
			Message: fmt.Sprintf("%q is the id of an older resource of audience %q, or the name of one of another namespace: choose another", r.ID, r.Audience),
		}}
	}
	var problems []policy.Problem
	for i, u := range r.URIs {
		if message := s.uris.taken(u, r); message != "" {
			problems = append(problems, policy.Problem{
				Reason: v1alpha1.ReasonURITaken, Path: fmt.Sprintf("spec.uris[%d]", i),
				Message: fmt.Sprintf("%q "+message+": this one is served without it", u, r.Audience),
			})
		}
	}
	return problems
}

func (s *shelf) idTaken(r *Resource) bool {
	if holder := s.byID[r.ID]; holder != nil {
		return !holder.is(r)
	}
	return r.choseID() && s.words.foreign(r.ID, r.Namespace)
}

// taken says why the resource would have to do without the uri, or does; nothing if it need not.
func (u *uris) taken(uri string, r *Resource) string {
	holder, namespace := u.holder(uri)
	switch _, isPattern := claimOf(uri); {
	case namespace != "" && namespace != r.Namespace:
		return "is a uri of an older resource of audience %q, or within one of another namespace"
	case holder != nil && !holder.is(r):
		return "is a uri of an older resource of audience %q"
	case holder == nil && isPattern && u.count[r.Namespace] >= maxPatterns:
		return fmt.Sprintf("is one of more than %d uris with {name} or /* of the namespace at audience %%q, and the older ones count", maxPatterns)
	}
	return ""
}

// Nameless says why Find does not return the resource for its name; nothing if it does. The resource is served all the same.
func (c *Catalog) Nameless(r *Resource) string {
	s := c.shelf(r.Audience)
	switch found := c.Find(r.Audience, r.Name); {
	case found != nil && found.is(r):
		return ""
	case s.words.foreign(r.Name, r.Namespace):
		return fmt.Sprintf("%q is the id or name of an older resource of another namespace at audience %q, or what one would be called there without an id", r.Name, r.Audience)
	case found != nil:
		return fmt.Sprintf("%q is the id or name of an older resource of audience %q", r.Name, r.Audience)
	}
	return ""
}

// is says whether both are one object, perhaps in two versions. Files have no uid.
func (r *Resource) is(other *Resource) bool {
	return r.Namespace == other.Namespace && r.Object == other.Object && r.UID == other.UID
}
