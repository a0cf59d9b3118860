package policy

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// principal is a subject as callers are compared with it.
type principal struct {
	kind principalKind
	name string
}

type principalKind uint8

const (
	user principalKind = iota
	group
	// everyone is the subject of a Deny whose own subjects cannot be understood.
	everyone
)

// subjects turns ServiceAccounts into the users that they are. A subject that cannot be met is a mistake: in an Allow
// it would look like a grant, and in a Deny it may have meant anyone, so that it means everyone.
func (c *compiler) subjects(subjects []v1alpha1.Subject) {
	if len(subjects) == 0 {
		c.problem(v1alpha1.ReasonInvalidSubject, "spec.subjects", "must not be empty")
		c.policy.subjects = append(c.policy.subjects, principal{kind: everyone})
	}
	for i, s := range subjects {
		p, field, message := newPrincipal(s)
		if message != "" {
			c.problem(v1alpha1.ReasonInvalidSubject, fmt.Sprintf("spec.subjects[%d]%s", i, field), "%s", message)
			p = principal{kind: everyone}
		}
		if !slices.Contains(c.policy.subjects, p) {
			c.policy.subjects = append(c.policy.subjects, p)
		}
	}
}

// newPrincipal returns the principal, or the field that is wrong and what must be changed.
func newPrincipal(s v1alpha1.Subject) (p principal, field, message string) {
	if s.Name == "" {
		return principal{}, ".name", "must not be empty"
	}
	if s.Kind != v1alpha1.SubjectServiceAccount && s.Namespace != "" {
		return principal{}, ".namespace", "may only be given for a ServiceAccount"
	}
	switch s.Kind {
	case v1alpha1.SubjectUser:
		return principal{kind: user, name: s.Name}, ".name", userProblem(s.Name)
	case v1alpha1.SubjectGroup:
		return principal{kind: group, name: s.Name}, ".name", groupProblem(s.Name)
	case v1alpha1.SubjectServiceAccount:
		if len(validation.IsDNS1123Label(s.Namespace)) > 0 {
			return principal{}, ".namespace", "must be the name of a namespace"
		}
		if len(validation.IsDNS1123Subdomain(s.Name)) > 0 {
			return principal{}, ".name", "must be the name of a ServiceAccount"
		}
		return principal{kind: user, name: caller.ServiceAccountUser(s.Namespace, s.Name)}, "", ""
	default:
		return principal{}, ".kind", "must be User, Group or ServiceAccount"
	}
}

// userProblem refuses names that no caller can have: of those that start with "system:", only anonymous callers and
// ServiceAccounts exist.
func userProblem(name string) string {
	if !strings.HasPrefix(name, caller.ReservedPrefix) || name == caller.AnonymousUser {
		return ""
	}
	if namespace, _ := (caller.Caller{Username: name}).ServiceAccount(); namespace != "" {
		return ""
	}
	return "no user can have this name: of those with system: there are only " + caller.AnonymousUser + " and " +
		caller.ServiceAccountUser("<namespace>", "<name>")
}

func groupProblem(name string) string {
	if !strings.HasPrefix(name, caller.ReservedPrefix) {
		return ""
	}
	switch name {
	case caller.GroupAuthenticated, caller.GroupUnauthenticated, caller.GroupServiceAccounts:
		return ""
	}
	namespace, found := strings.CutPrefix(name, caller.GroupServiceAccounts+":")
	if found && len(validation.IsDNS1123Label(namespace)) == 0 {
		return ""
	}
	return "nobody can be in this group: of those with system: there are only " + caller.GroupAuthenticated + ", " +
		caller.GroupUnauthenticated + " and " + caller.GroupServiceAccounts + "[:<namespace>]"
}

// anonymous says whether the principal is met by callers who proved nothing.
func (p principal) anonymous() bool {
	return p.kind == user && p.name == caller.AnonymousUser || p.kind == group && p.name == caller.GroupUnauthenticated
}

// onlyPullForAnonymous holds a tenant to what may be given to the whole world: reading. A pull can be undone by no
// longer allowing it; a push by anyone cannot.
func (c *compiler) onlyPullForAnonymous(spec *v1alpha1.PolicySpec) {
	if c.policy.deny {
		return
	}
	j, k := beyondPull(spec.Rules)
	if j < 0 {
		return
	}
	for i, s := range spec.Subjects {
		if p, _, message := newPrincipal(s); message == "" && p.anonymous() {
			c.problem(v1alpha1.ReasonInvalidSubject, fmt.Sprintf("spec.subjects[%d]", i),
				"an AccessPolicy may give callers who are not authenticated nothing but %s, not spec.rules[%d].actions[%d]: %q",
				actionPull, j, k, spec.Rules[j].Actions[k])
		}
	}
}

// beyondPull finds the first action that is not pull, or returns -1. The first is enough: all of them for all subjects
// would be tens of thousands of problems.
func beyondPull(rules []v1alpha1.Rule) (rule, action int) {
	for j, r := range rules {
		for k, action := range r.Actions {
			if action != actionPull {
				return j, k
			}
		}
	}
	return -1, -1
}
