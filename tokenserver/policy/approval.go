package policy

import (
	"slices"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy/name"
)

// Kinds of objects that give one user one resource, as a Ref spells them.
const (
	// KindProtectedResource gives a resource to its owner.
	KindProtectedResource = "ProtectedResource"
	// KindPermissionRequest gives a resource to whoever asked the owner for it.
	KindPermissionRequest = "PermissionRequest"
)

// Approval compiles what an object gives to one user: actions on one resource of one audience. It counts as an Allow of the
// resource's namespace, so that a Deny there or of the platform's takes it away. What nobody in particular would have, or more
// than one resource, or one whose type has a meaning of its own, is nothing; so is what the object of ref may not speak of,
// because it is in another namespace.
func Approval(ref Ref, username, audience string, resource Resource, actions []string) *Policy {
	nothing := &Policy{ref: ref}
	kind := ref.Kind == KindProtectedResource || ref.Kind == KindPermissionRequest
	reserved := resource.Type == "" || resource.Type == v1alpha1.TypeRepository || !tenantType(resource.Type)
	nobody := username == "" || username == caller.AnonymousUser || userProblem(username) != ""
	if !kind || ref.Namespace == "" || ref.Namespace != resource.Namespace || reserved || nobody || audience == "" {
		return nothing
	}
	actions = slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return !validAction(a) })
	parsed, err := name.Parse(grammarOf(resource.Type), resource.Name)
	if err != nil || !parsed.IsLiteral() || len(actions) == 0 {
		return nothing
	}
	p := &Policy{ref: ref, subjects: []principal{{kind: user, name: username}}, audiences: []string{audience}}
	p.rules = []rule{{policy: p, typ: resource.Type, names: []pattern{parsed}, actions: actions}}
	return p
}
