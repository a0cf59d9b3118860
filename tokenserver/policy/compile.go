package policy

import (
	"fmt"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy/expr"
)

// Problem is one thing wrong with a policy.
type Problem struct {
	// Reason is one of v1alpha1's condition reasons.
	Reason string
	// Path is the field, such as spec.rules[0].names[1].
	Path string
	// Message says what must be changed.
	Message string
}

// Policy is a compiled policy. It is immutable.
type Policy struct {
	ref       Ref
	deny      bool
	subjects  []principal
	audiences []string
	when      *condition
	rules     []rule
	offline   *offlineAccess
	claims    []claim
}

// Ref names the object that the policy was compiled from.
func (p *Policy) Ref() Ref { return p.ref }

// rule is one rule of a policy; names and actions are never empty.
type rule struct {
	policy *Policy
	index  int
	// typ is empty for a rule that speaks of every type, which only a broken Deny has.
	typ   string
	names []pattern
	// actions is nil for every action.
	actions []string
}

// offlineAccess is what an Allow says about refresh tokens.
type offlineAccess struct {
	maxLifetime time.Duration
	nonExpiring bool
}

// claim is a claim with its value in canonical JSON.
type claim struct {
	name, value string
}

// CompileAccessPolicy compiles a tenant's policy. The result is never nil: with problems, an Allow grants nothing and a
// Deny denies within its whole reach, which never goes beyond what tenants' policies in its namespace allow.
func CompileAccessPolicy(p *v1alpha1.AccessPolicy) (*Policy, []Problem) {
	return compileAccessPolicy(p, expr.Compile)
}

// CompileClusterAccessPolicy compiles a policy of the platform's. The result is never nil: with problems, an Allow
// grants nothing and a Deny denies within its whole reach.
func CompileClusterAccessPolicy(p *v1alpha1.ClusterAccessPolicy) (*Policy, []Problem) {
	return compileClusterAccessPolicy(p, expr.Compile)
}

// programs returns the program of an expression.
type programs func(text string) (*expr.Program, error)

func compileAccessPolicy(p *v1alpha1.AccessPolicy, of programs) (*Policy, []Problem) {
	c := newCompiler(Ref{Kind: KindAccessPolicy, Namespace: p.Namespace, Name: p.Name}, p.Spec.Effect, of)
	c.common(&p.Spec.PolicySpec)
	if len(p.Spec.Rules) == 0 {
		c.noRules()
	}
	c.onlyPullForAnonymous(&p.Spec.PolicySpec)
	return c.finish()
}

func compileClusterAccessPolicy(p *v1alpha1.ClusterAccessPolicy, of programs) (*Policy, []Problem) {
	c := newCompiler(Ref{Kind: KindClusterAccessPolicy, Name: p.Name}, p.Spec.Effect, of)
	c.common(&p.Spec.PolicySpec)
	if len(p.Spec.Rules) == 0 && (c.policy.deny || p.Spec.OfflineAccess == nil && len(p.Spec.Claims) == 0) {
		c.noRules()
	}
	c.offlineAccess(p.Spec.OfflineAccess)
	c.claims(p.Spec.Claims)
	return c.finish()
}

// compiler collects what it finds. Each step leaves a Deny no weaker than its author can have meant; finish voids an
// Allow if any step found a problem.
type compiler struct {
	policy   *Policy
	problems []Problem
	programs programs
}

func newCompiler(ref Ref, effect v1alpha1.Effect, of programs) *compiler {
	c := &compiler{policy: &Policy{ref: ref, deny: effect == v1alpha1.EffectDeny}, programs: of}
	if effect != "" && effect != v1alpha1.EffectAllow && effect != v1alpha1.EffectDeny {
		c.problem(v1alpha1.ReasonInvalidAction, "spec.effect", "must be Allow or Deny, not %q", effect)
		c.policy.deny = true
	}
	return c
}

func (c *compiler) namespaced() bool { return c.policy.ref.Kind == KindAccessPolicy }

func (c *compiler) problem(reason, path, format string, args ...any) {
	c.problems = append(c.problems, Problem{Reason: reason, Path: path, Message: fmt.Sprintf(format, args...)})
}

func (c *compiler) common(spec *v1alpha1.PolicySpec) {
	c.subjects(spec.Subjects)
	for _, audience := range spec.Audiences {
		c.policy.audiences = append(c.policy.audiences, string(audience))
	}
	c.when(spec.When)
	for i := range spec.Rules {
		c.rule(i, &spec.Rules[i])
	}
	c.size()
}

// noRules is for a policy that says nothing about resources although it has to. A Deny then denies every resource.
func (c *compiler) noRules() {
	c.problem(v1alpha1.ReasonInvalidName, "spec.rules", "must not be empty")
	c.policy.rules = append(c.policy.rules, rule{names: []pattern{everythingOf("")}})
}

func (c *compiler) finish() (*Policy, []Problem) {
	if len(c.problems) > 0 && !c.policy.deny {
		return &Policy{ref: c.policy.ref}, c.problems
	}
	for i := range c.policy.rules {
		c.policy.rules[i].policy = c.policy
	}
	return c.policy, c.problems
}
