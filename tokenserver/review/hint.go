package review

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// Hints say what a person can look at, or do, where an answer is no: one line each.
func (w *World) Hints(req policy.Request, a Answer) []string {
	if len(a.Denied) == 0 {
		return nil
	}
	if !w.held(req.Audience) {
		return []string{w.noSuchAudience(req.Audience)}
	}
	req.Admits, req.Budget, req.Actions = w.admits(req.Audience), nil, a.Denied
	hints := w.nearMisses(req)
	hints = append(hints, w.broken(req, a)...)
	req.Actions = slices.DeleteFunc(slices.Clone(a.Denied), func(action string) bool {
		return slices.ContainsFunc(a.Why, func(r policy.Reason) bool { return r.Action == action })
	})
	if len(hints) == 0 && len(req.Actions) > 0 {
		hints = append(hints, w.howToAllow(req))
	}
	return hints
}

func (w *World) noSuchAudience(audience string) string {
	if known := w.Audiences(); len(known) > 0 {
		return fmt.Sprintf("no SigningKey holds the audience %q; there are: %s", audience, quoted(known))
	}
	return fmt.Sprintf("no SigningKey holds the audience %q: there is no SigningKey", audience)
}

// nearMisses tell of rules that would count if something else were so.
func (w *World) nearMisses(req policy.Request) []string {
	actions := map[policy.RuleRef][]string{}
	var order []policy.NearMiss
	for _, m := range policy.NearMisses(w.policies, req) {
		if actions[m.RuleRef] == nil {
			order = append(order, m)
		}
		actions[m.RuleRef] = append(actions[m.RuleRef], m.Action)
	}
	var hints []string
	for _, m := range order {
		hints = append(hints, fmt.Sprintf("%s would allow %s, but %s", Rule(m.RuleRef), strings.Join(actions[m.RuleRef], ", "), w.inTheWay(req, m)))
	}
	return hints
}

func (w *World) inTheWay(req policy.Request, m policy.NearMiss) string {
	spec := w.objects[m.Policy].spec
	var reasons []string
	add := func(is bool, format string, args ...any) {
		if is {
			reasons = append(reasons, fmt.Sprintf(format, args...))
		}
	}
	add(m.Audience, "it speaks of the audiences %s only", quoted(spec.Audiences))
	add(m.Admission, "%s", w.notAdmitted(req.Audience, m.Policy.Namespace))
	if when := spec.When; when != nil {
		add(m.Address && req.SourceIP.IsValid(), "the address %s lies outside of %s", req.SourceIP, list(when.SourceRanges))
		add(m.Address && !req.SourceIP.IsValid(), "it asks for an address in %s, and none is given (--from)", list(when.SourceRanges))
		add(m.Time, "it holds%s only", span(when))
		add(m.Expression, "its expression is not true, or gives no answer: %s", oneLine(when.Expression))
	}
	return strings.Join(reasons, ", and ")
}

func (w *World) notAdmitted(audience, namespace string) string {
	return fmt.Sprintf("SigningKey %q does not admit AccessPolicies of namespace %q (spec.namespaces)", w.audiences[audience].SigningKey, namespace)
}

func span(when *v1alpha1.When) string {
	text := ""
	if when.NotBefore != "" {
		text += " from " + string(when.NotBefore)
	}
	if when.NotAfter != "" {
		text += " until " + string(when.NotAfter)
	}
	return text
}

// broken tells of policies that are not accepted: Allows which might have been meant for the request, and Denies that deny
// it because nobody knows what they were meant for. What an Allow can have meant is what it would deny if it were a Deny.
func (w *World) broken(req policy.Request, a Answer) []string {
	var suspects []*policy.Policy
	for ref, o := range w.objects {
		if len(o.problems) == 0 || o.spec.Effect == v1alpha1.EffectDeny {
			continue
		}
		spec := *o.spec
		spec.Effect = v1alpha1.EffectDeny
		if ref.Kind == policy.KindAccessPolicy {
			p := &v1alpha1.AccessPolicy{Spec: v1alpha1.AccessPolicySpec{PolicySpec: spec}}
			p.Namespace, p.Name = ref.Namespace, ref.Name
			compiled, _ := policy.CompileAccessPolicy(p)
			suspects = append(suspects, compiled)
			continue
		}
		p := &v1alpha1.ClusterAccessPolicy{Spec: v1alpha1.ClusterAccessPolicySpec{PolicySpec: spec}}
		p.Name = ref.Name
		compiled, _ := policy.CompileClusterAccessPolicy(p)
		suspects = append(suspects, compiled)
	}
	var hints []string
	tell := func(reasons []policy.Reason, what string) {
		var told []policy.Ref
		for _, r := range reasons {
			problems := w.Problems(r.Policy)
			if r.Effect != v1alpha1.EffectDeny || len(problems) == 0 || slices.Contains(told, r.Policy) {
				continue
			}
			told = append(told, r.Policy)
			hints = append(hints, fmt.Sprintf("%s is not accepted, and %s: %s: %s", Policy(r.Policy), what, problems[0].Path, oneLine(problems[0].Message)))
		}
	}
	tell(policy.NewIndex(suspects).Explain(req).Why, "grants nothing")
	tell(a.Why, "denies all that it may have meant")
	return hints
}

// howToAllow says what a policy would need.
func (w *World) howToAllow(req policy.Request) string {
	where := "a ClusterAccessPolicy"
	if owner := req.Resource.Owner(); owner != "" {
		where = fmt.Sprintf("an AccessPolicy in namespace %q, or a ClusterAccessPolicy", owner)
		if !req.Admits(owner) {
			where = fmt.Sprintf("a ClusterAccessPolicy (%s)", w.notAdmitted(req.Audience, owner))
		}
	}
	return fmt.Sprintf("no policy gives %s: %s whose subjects name the user %q, or one of the groups %s, would have to allow it",
		strings.Join(req.Actions, ", "), where, req.Caller.Username, quoted(req.Caller.Groups))
}

// oneLine takes out what makes several lines: expressions have them, and so has what their compiler says.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func quoted[S ~string](names []S) string {
	texts := make([]string, 0, len(names))
	for _, n := range names {
		texts = append(texts, fmt.Sprintf("%q", n))
	}
	return strings.Join(texts, ", ")
}

func list[S ~string](names []S) string {
	texts := make([]string, 0, len(names))
	for _, n := range names {
		texts = append(texts, string(n))
	}
	return strings.Join(texts, ", ")
}

// Policy is how a policy is called in a line of text.
func Policy(ref policy.Ref) string {
	if ref.Namespace == "" {
		return ref.Kind + " " + ref.Name
	}
	return ref.Kind + " " + ref.Namespace + "/" + ref.Name
}

// Rule is how a rule is called in a line of text, or an object that gives what a rule would.
func Rule(r policy.RuleRef) string {
	if !isPolicy(r.Policy) {
		return Policy(r.Policy)
	}
	return fmt.Sprintf("%s rules[%d]", Policy(r.Policy), r.Rule)
}
