package policy

import (
	"slices"

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
// resource's namespace, so that a Deny there or of the platform's takes it away. The namespace of ref must be the resource's.
// What nobody in particular would have, or more than one resource, is nothing.
func Approval(ref Ref, username, audience string, resource Resource, actions []string) *Policy {
	nobody := username == "" || username == caller.AnonymousUser || userProblem(username) != ""
	parsed, err := name.Parse(grammarOf(resource.Type), resource.Name)
	if err != nil || !parsed.IsLiteral() || !tenantType(resource.Type) || nobody || audience == "" || len(actions) == 0 {
		return &Policy{ref: ref}
	}
	p := &Policy{ref: ref, subjects: []principal{{kind: user, name: username}}, audiences: []string{audience}}
	p.rules = []rule{{policy: p, typ: resource.Type, names: []pattern{parsed}, actions: slices.Clone(actions)}}
	return p
}
