package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy/name"
)

// object is a policy as it is stored; namespace is empty for one of the platform's.
type object struct {
	namespace, name string
	spec            v1alpha1.PolicySpec
	// gives is the kind of an object that gives one user one resource, and is no policy; then spec has one subject, one
	// audience, and one rule with one name, which means just itself.
	gives string
	// problems are what the compiler said, for the naive matcher.
	problems []Problem
}

func (o object) compile() (*Policy, []Problem) {
	if o.gives != "" {
		return o.approval()
	}
	if o.namespace == "" {
		p := &v1alpha1.ClusterAccessPolicy{Spec: v1alpha1.ClusterAccessPolicySpec{PolicySpec: o.spec}}
		p.Name = o.name
		return CompileClusterAccessPolicy(p)
	}
	p := &v1alpha1.AccessPolicy{Spec: v1alpha1.AccessPolicySpec{PolicySpec: o.spec}}
	p.Namespace, p.Name = o.namespace, o.name
	return CompileAccessPolicy(p)
}

func (o object) ref() Ref {
	if o.gives != "" {
		return Ref{Kind: o.gives, Namespace: o.namespace, Name: o.name}
	}
	if o.namespace == "" {
		return Ref{Kind: KindClusterAccessPolicy, Name: o.name}
	}
	return Ref{Kind: KindAccessPolicy, Namespace: o.namespace, Name: o.name}
}

// approval has a problem where the object gives nothing, which the naive matcher says by its own words.
func (o object) approval() (*Policy, []Problem) {
	r := o.spec.Rules[0]
	p := Approval(o.ref(), o.spec.Subjects[0].Name, string(o.spec.Audiences[0]), Resource{r.Type, o.namespace, string(r.Names[0])}, texts(r.Actions))
	user, account := o.spec.Subjects[0].Name, "system:serviceaccount:a:"
	nobody := user == "" || strings.HasPrefix(user, "system:") && (!strings.HasPrefix(user, account) || user == account)
	if nobody || r.Type != "album" || strings.ContainsAny(string(r.Names[0]), "*$") || strings.Contains(string(r.Names[0]), "//") || o.spec.Audiences[0] == "" {
		return p, []Problem{{}}
	}
	return p, nil
}

func texts(actions []v1alpha1.Action) (list []string) {
	for _, a := range actions {
		list = append(list, string(a))
	}
	return list
}

// naiveDecide is the design, word for word: for each action it walks every rule of every policy. Whether a policy
// compiles it takes from the compiler, and what a name matches from package name, which have tests of their own.
func naiveDecide(objects []object, req Request) Decision {
	var result Decision
	for _, action := range naiveActions(req) {
		granted, notAfter, why := naiveAction(objects, req, action)
		result.Why = append(result.Why, why...)
		if !granted {
			continue
		}
		result.Granted = append(result.Granted, action)
		if !notAfter.IsZero() && (result.NotAfter.IsZero() || notAfter.Before(result.NotAfter)) {
			result.NotAfter = notAfter
		}
	}
	sort.Slice(result.Why, func(i, j int) bool { return whyKey(result.Why[i]) < whyKey(result.Why[j]) })
	return result
}

func whyKey(r Reason) string {
	return fmt.Sprintf("%s\x00%s\x00%s\x00%s\x00%03d", r.Action, r.Policy.Kind, r.Policy.Namespace, r.Policy.Name, r.Rule)
}

func naiveActions(req Request) []string {
	set := map[string]bool{}
	for _, a := range req.Actions {
		switch {
		case a == "*" && req.Resource.Type == "repository":
			set["pull"], set["push"], set["delete"] = true, true, true
		case a == "*" && (req.Resource.Type != "registry" || req.Resource.Name != "catalog"):
		case a != "":
			set[a] = true
		}
	}
	var list []string
	for a := range set {
		list = append(list, a)
	}
	sort.Strings(list)
	return list
}

// naiveAction follows "granted = (cluster Allows - cluster Denies) + ((namespaced Allows - namespaced Denies) - cluster
// Denies)".
func naiveAction(objects []object, req Request, action string) (granted bool, notAfter time.Time, why []Reason) {
	var allows, denies [2]bool
	var ends [2][]time.Time
	for _, o := range objects {
		tier := 0
		if o.namespace != "" {
			tier = 1
		}
		for i := range o.spec.Rules {
			if !naiveRule(o, i, req, action) {
				continue
			}
			why = append(why, Reason{Policy: o.ref(), Rule: i, Effect: naiveEffect(o), Action: action})
			if naiveEffect(o) == v1alpha1.EffectDeny {
				denies[tier] = true
				continue
			}
			allows[tier] = true
			ends[tier] = append(ends[tier], naiveEnd(o))
		}
	}
	fromCluster := allows[0] && !denies[0]
	fromTenants := allows[1] && !denies[1] && !denies[0]
	var all []time.Time
	if fromCluster {
		all = append(all, ends[0]...)
	}
	if fromTenants {
		all = append(all, ends[1]...)
	}
	for _, end := range all {
		if end.IsZero() {
			return true, time.Time{}, why
		}
		if end.After(notAfter) {
			notAfter = end
		}
	}
	return fromCluster || fromTenants, notAfter, why
}

func naiveEffect(o object) v1alpha1.Effect {
	if o.spec.Effect == v1alpha1.EffectDeny {
		return v1alpha1.EffectDeny
	}
	return v1alpha1.EffectAllow
}

func naiveEnd(o object) time.Time {
	if o.spec.When == nil || o.spec.When.NotAfter == "" {
		return time.Time{}
	}
	end, _ := o.spec.When.NotAfter.Parse()
	return end
}

func naiveRule(o object, i int, req Request, action string) bool {
	problems := o.problems
	deny := naiveEffect(o) == v1alpha1.EffectDeny
	if len(problems) > 0 && !deny {
		return false
	}
	broken := func(path string) bool {
		return slices.ContainsFunc(problems, func(p Problem) bool { return p.Path == path || strings.HasPrefix(p.Path, path+".") })
	}
	r := o.spec.Rules[i]
	subject := false
	for k, s := range o.spec.Subjects {
		subject = subject || broken(fmt.Sprintf("spec.subjects[%d]", k)) || naiveSubject(s, req.Caller)
	}
	if !subject || r.Type != req.Resource.Type {
		return false
	}
	if len(o.spec.Audiences) > 0 && !slices.Contains(o.spec.Audiences, v1alpha1.Audience(req.Audience)) {
		return false
	}
	if !naivePlace(o, req) {
		return false
	}
	named := false
	for j, n := range r.Names {
		named = named || broken(fmt.Sprintf("spec.rules[%d].names[%d]", i, j)) || naiveName(r.Type, string(n), req, deny)
	}
	if !named {
		return false
	}
	acts := slices.Contains(r.Actions, "*") && o.gives == "" || slices.Contains(r.Actions, v1alpha1.Action(action)) || deny && action == "*"
	for k := range r.Actions {
		acts = acts || broken(fmt.Sprintf("spec.rules[%d].actions[%d]", i, k))
	}
	return acts && naiveWhen(o.spec.When, req, action, deny, broken)
}

// naivePlace says whether the policy may speak of the resource at all.
func naivePlace(o object, req Request) bool {
	if _, ok := name.Split(grammarOf(req.Resource.Type), req.Resource.Name, nil); !ok {
		return false
	}
	if o.namespace == "" {
		return true
	}
	if req.Admits == nil || !req.Admits(o.namespace) {
		return false
	}
	switch req.Resource.Type {
	case "repository":
		return strings.HasPrefix(req.Resource.Name, o.namespace+"/")
	case "registry", "nats", "oauth":
		return false
	default:
		return req.Resource.Namespace == o.namespace
	}
}

func naiveSubject(s v1alpha1.Subject, c caller.Caller) bool {
	switch s.Kind {
	case v1alpha1.SubjectUser:
		return s.Name == c.Username
	case v1alpha1.SubjectGroup:
		return slices.Contains(c.Groups, s.Name)
	default:
		return c.Username == "system:serviceaccount:"+s.Namespace+":"+s.Name
	}
}

func naiveName(typ, pattern string, req Request, deny bool) bool {
	p, err := name.Parse(grammarOf(typ), pattern)
	if err != nil {
		return false
	}
	segments, ok := name.Split(grammarOf(typ), req.Resource.Name, nil)
	v := name.Values{Username: req.Caller.Username, Extra: req.Caller.Extra}
	v.Namespace, v.ServiceAccount = req.Caller.ServiceAccount()
	return ok && p.Match(req.Resource.Name, segments, &v, deny)
}

func naiveWhen(w *v1alpha1.When, req Request, action string, deny bool, broken func(string) bool) bool {
	if w == nil {
		return true
	}
	inRange, rangesBroken := len(w.SourceRanges) == 0 || deny && !req.SourceIP.IsValid(), false
	for i, text := range w.SourceRanges {
		rangesBroken = rangesBroken || broken(fmt.Sprintf("spec.when.sourceRanges[%d]", i))
		if prefix, err := netip.ParsePrefix(string(text)); err == nil && req.SourceIP.IsValid() {
			inRange = inRange || prefix.Contains(req.SourceIP.Unmap())
		}
	}
	if !inRange && !rangesBroken {
		return false
	}
	start, noStart := w.NotBefore.Parse()
	end, noEnd := w.NotAfter.Parse()
	inverted := noStart == nil && noEnd == nil && !start.Before(end)
	unknown := req.Time.IsZero()
	if noStart == nil && !inverted && (unknown && !deny || !unknown && req.Time.Before(start)) {
		return false
	}
	if noEnd == nil && !inverted && (unknown && !deny || !unknown && !req.Time.Before(end)) {
		return false
	}
	if w.Expression == "" || broken("spec.when.expression") {
		return true
	}
	holds, known := naiveExpressions[w.Expression](req, action)
	if !known {
		return deny
	}
	return holds
}

// naiveExpressions says what the expressions of generated policies mean, and whether they mean anything for the request.
var naiveExpressions = map[string]func(req Request, action string) (holds, known bool){
	"action == 'pull'": func(_ Request, action string) (bool, bool) { return action == "pull", true },
	"subject.extra['k'].exists(v, v == 'a')": func(req Request, _ string) (bool, bool) {
		values, found := req.Caller.Extra["k"]
		return slices.Contains(values, "a"), found
	},
	"resource.name.startsWith(subject.namespace)": func(req Request, _ string) (bool, bool) {
		namespace, _ := req.Caller.ServiceAccount()
		return strings.HasPrefix(req.Resource.Name, namespace), true
	},
	"request.claims.level > 2": func(Request, string) (bool, bool) { return false, false },
	"request.ip == '10.0.0.1' || action == 'push'": func(req Request, action string) (bool, bool) {
		return req.SourceIP.IsValid() && req.SourceIP.Unmap().String() == "10.0.0.1" || action == "push", true
	},
}
