package resource

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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
	Scopes     []string
	URIs       []string
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
	for _, s := range spec.Scopes {
		r.Scopes = append(r.Scopes, string(s))
	}
	slices.Sort(r.Scopes)
	r.Scopes = slices.Compact(r.Scopes)
	for _, u := range spec.URIs {
		r.URIs = append(r.URIs, string(u))
	}
	if len(spec.Attributes) > 0 {
		r.Attributes = make(map[string][]string, len(spec.Attributes))
		for _, a := range spec.Attributes {
			r.Attributes[a.Key] = slices.Clone(a.Values)
		}
	}
	return r, nil
}

// compiler collects what is wrong.
type compiler struct{ problems []policy.Problem }

func (c *compiler) problem(reason, path, format string, args ...any) {
	c.problems = append(c.problems, policy.Problem{Reason: reason, Path: path, Message: fmt.Sprintf(format, args...)})
}

// Bounds of the schema.
const (
	maxScopes = 64
	maxURIs   = 32
)

func (c *compiler) check(object *v1alpha1.ProtectedResource) {
	spec := &object.Spec
	if slices.Contains([]string{v1alpha1.TypeRepository, v1alpha1.TypeRegistry, v1alpha1.TypeNATS, v1alpha1.TypeOAuth}, spec.Type) {
		c.problem(v1alpha1.ReasonReservedType, "spec.type", "must not be %s: that has a meaning of its own", spec.Type)
	}
	if strings.Contains(spec.ID, "/") {
		c.problem(v1alpha1.ReasonInvalidResource, "spec.id", "must not have a slash: only an id that is not given has one")
	}
	if spec.Audience == "" {
		c.problem(v1alpha1.ReasonInvalidResource, "spec.audience", "must not be empty")
	}
	if len(spec.Scopes) == 0 || len(spec.Scopes) > maxScopes {
		c.problem(v1alpha1.ReasonInvalidResource, "spec.scopes", "must be 1 to %d", maxScopes)
	}
	for i, s := range spec.Scopes {
		if message := ScopeProblem(string(s)); message != "" {
			c.problem(v1alpha1.ReasonInvalidResource, fmt.Sprintf("spec.scopes[%d]", i), "%s", message)
		}
	}
	if len(spec.URIs) > maxURIs {
		c.problem(v1alpha1.ReasonInvalidResource, "spec.uris", "must be at most %d", maxURIs)
	}
	for i, u := range spec.URIs {
		if message := URIProblem(string(u)); message != "" {
			c.problem(v1alpha1.ReasonInvalidResource, fmt.Sprintf("spec.uris[%d]", i), "%s", message)
		}
	}
}

// ScopeProblem says what is wrong with a scope; nothing if all is well.
func ScopeProblem(scope string) string {
	if scope == "*" {
		return "must not be *: a resource names its scopes"
	}
	return policy.ActionProblem(DefaultType, scope)
}
