package resource

import (
	"cmp"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// DefaultType is that of a resource that does not say its own: the schema's default.
const DefaultType = "resource"

// Resource is a ProtectedResource as it is served. It is immutable.
type Resource struct {
	// Namespace and Object are metadata.namespace and metadata.name; UID is the object's.
	Namespace, Object, UID string
	// ID is what clients call it, Name what people do.
	ID, Name string
	Type     string
	Audience string
	// Owner is a user name; empty: nobody's. OwnerManaged says that the owner has every scope and approves requests.
	Owner        string
	OwnerManaged bool
	// Scopes are sorted.
	Scopes []string
	// URIs are all that it says it has, and Claims those of them that are known to be claimed: no other is served.
	URIs       []string
	Claims     []Claim
	Attributes map[string][]string
	Created    time.Time
}

// Policy is the resource as policies know it.
func (r *Resource) Policy() policy.Resource {
	return policy.Resource{Type: r.Type, Namespace: r.Namespace, Name: r.Object}
}

// Has says whether the resource has the scope.
func (r *Resource) Has(scope string) bool {
	_, found := slices.BinarySearch(r.Scopes, scope)
	return found
}

// Compile reads an object. It holds the schema's rules also for objects that no API server has seen. With problems the
// result is nil: a resource that is not understood is not served.
func Compile(object *v1alpha1.ProtectedResource) (*Resource, []policy.Problem) {
	c := compiler{}
	c.check(object)
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	spec := &object.Spec
	r := &Resource{
		Namespace: object.Namespace, Object: object.Name, UID: string(object.UID),
		ID:   cmp.Or(spec.ID, object.Namespace+"/"+object.Name),
		Name: cmp.Or(spec.DisplayName, object.Name), Type: cmp.Or(spec.Type, DefaultType), Audience: string(spec.Audience),
		Owner: spec.Owner, OwnerManaged: spec.Owner != "" && spec.OwnerManagedAccess == v1alpha1.Allowed,
		Created: object.CreationTimestamp.Time,
	}
	r.Scopes = texts(spec.Scopes)
	slices.Sort(r.Scopes)
	r.URIs, r.Claims = texts(spec.URIs), Claims(Kept(object))
	if len(spec.Attributes) > 0 {
		r.Attributes = make(map[string][]string, len(spec.Attributes))
		for _, a := range spec.Attributes {
			r.Attributes[a.Key] = slices.Clone(a.Values)
		}
	}
	return r, nil
}

func texts[S ~string](list []S) []string {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}
