package policy

import (
	"fmt"
	"slices"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy/name"
)

// Actions with a meaning of their own.
const (
	actionAll    = "*"
	actionPull   = "pull"
	actionPush   = "push"
	actionDelete = "delete"
)

// pattern is a name as the index keeps it. Of a tenant's policy the namespace is left out: it is compared apart.
type pattern = name.Pattern

func grammarOf(typ string) name.Grammar {
	switch typ {
	case v1alpha1.TypeRepository:
		return name.Repository
	case v1alpha1.TypeOAuth:
		return name.Audience
	case v1alpha1.TypeNATS:
		return name.NATS
	default:
		return name.Path
	}
}

func everythingOf(typ string) pattern { return name.Everything(grammarOf(typ)) }

// rule compiles one rule. Whatever is wrong with it is replaced by the most that it can have meant, which only a Deny
// lives to use.
func (c *compiler) rule(i int, r *v1alpha1.Rule) {
	path := fmt.Sprintf("spec.rules[%d]", i)
	compiled := rule{index: i, typ: r.Type}
	if r.Type == "" {
		c.problem(v1alpha1.ReasonInvalidName, path+".type", "must not be empty")
	}
	foreign := c.namespaced() && slices.Contains([]string{v1alpha1.TypeRegistry, v1alpha1.TypeNATS, v1alpha1.TypeOAuth}, r.Type)
	if foreign {
		c.problem(v1alpha1.ReasonOutsideNamespace, path+".type",
			"must not be %s in an AccessPolicy: use a ClusterAccessPolicy", r.Type)
	}
	if len(r.Names) == 0 {
		c.problem(v1alpha1.ReasonInvalidName, path+".names", "must not be empty")
		compiled.names = []pattern{everythingOf(r.Type)}
	}
	for j, text := range r.Names {
		p, reason, err := c.name(r.Type, string(text))
		if err != nil {
			c.problem(reason, fmt.Sprintf("%s.names[%d]", path, j), "%v", err)
			p = everythingOf(r.Type)
		}
		compiled.names = append(compiled.names, p)
	}
	if r.Type == "" {
		// Names are read as their type has them; without one each may have meant everything.
		compiled.names = []pattern{everythingOf("")}
	}
	compiled.actions = c.actions(path, r)
	c.policy.rules = append(c.policy.rules, compiled)
}

// name parses one name and, for a tenant, holds it to repositories under the namespace. That is decided on segments, as
// matching is: the first must be the namespace and nothing else, and something must follow it.
func (c *compiler) name(typ, text string) (p pattern, reason string, err error) {
	p, err = name.Parse(grammarOf(typ), text)
	if err != nil {
		return pattern{}, v1alpha1.ReasonInvalidName, fmt.Errorf("%q: %w", text, err)
	}
	if !c.namespaced() || typ != v1alpha1.TypeRepository {
		return p, "", nil
	}
	namespace := c.policy.ref.Namespace
	segments := p.Segments()
	if namespace == "" || len(segments) < 2 || segments[0].Kind() != name.Literal || segments[0].Text() != namespace {
		return pattern{}, v1alpha1.ReasonOutsideNamespace,
			fmt.Errorf("%q: must start with %q: an AccessPolicy speaks of repositories under its namespace only", text, namespace+"/")
	}
	return p.From(1), "", nil
}

// actions returns nil for every action.
func (c *compiler) actions(path string, r *v1alpha1.Rule) []string {
	if len(r.Actions) == 0 {
		c.problem(v1alpha1.ReasonInvalidAction, path+".actions", "must not be empty")
		return nil
	}
	actions, all := make([]string, 0, len(r.Actions)), false
	for k, action := range r.Actions {
		if message := ActionProblem(r.Type, string(action)); message != "" {
			c.problem(v1alpha1.ReasonInvalidAction, fmt.Sprintf("%s.actions[%d]", path, k), "%s", message)
			all = true
		}
		all = all || action == actionAll
		actions = append(actions, string(action))
	}
	if all {
		return nil
	}
	return actions
}

// ActionProblem says what is wrong with an action of a rule, or of a request; nothing if all is well.
func ActionProblem(typ, action string) string {
	if action == actionAll {
		return ""
	}
	switch typ {
	case v1alpha1.TypeNATS:
		if action != "publish" && action != "subscribe" {
			return "must be publish, subscribe or *"
		}
	case v1alpha1.TypeOAuth:
		if !slices.Contains([]string{"introspect", "exchange", "revoke", "list", "uma_protection", "register_for_others"}, action) {
			return "must be introspect, exchange, revoke, list, uma_protection, register_for_others or *"
		}
	}
	if !validAction(action) {
		return `must be "*", or begin with a letter or digit and hold only letters, digits and "._:/-"`
	}
	return ""
}

// validAction holds the schema's pattern also for objects that no API server has seen.
func validAction(action string) bool {
	if action == "" || len(action) > 64 {
		return false
	}
	for i := range len(action) {
		c := action[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			continue
		}
		if i == 0 || c != '.' && c != '_' && c != ':' && c != '/' && c != '-' {
			return false
		}
	}
	return true
}
