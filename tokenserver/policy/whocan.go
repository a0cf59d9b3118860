package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy/name"
)

// RuleRef names a rule of a policy.
type RuleRef struct {
	Policy Ref
	Rule   int
}

// Holder is a subject with a rule that lets it do something.
type Holder struct {
	// Subject is named by the policy. Its kind is empty for everybody, whom a Deny that was not understood means.
	Subject v1alpha1.Subject
	RuleRef
	// Conditional says that the policy has an address or an expression to be met, Placeholders that one of the rule's
	// names has to fit the caller's values. Neither is set where it is known to be so.
	Conditional, Placeholders bool
	// Unless are Denies that take it away if what they depend on is so.
	Unless []RuleRef
	// NotAfter is when the policy ends; zero if it does not.
	NotAfter time.Time
}

// Certain says whether the subject may, whatever its address, its values and what expressions say.
func (h *Holder) Certain() bool { return !h.Conditional && !h.Placeholders && len(h.Unless) == 0 }

// Holders are the answer to who may do something.
type Holders struct {
	// Can has those who may or, under conditions, might.
	Can []Holder
	// Denied has those from whom a Deny takes it, or might, also where they are among those who can by another name: the
	// members of a group, for example. The rule is the Deny's.
	Denied []Holder
}

// WhoCan says which of the subjects that policies name may do what is asked for; of its actions the first counts. The
// request's caller is not looked at. A zero SourceIP is an address that is not known.
//
// A subject is taken for nothing but itself and what everybody of its kind is: a user is in system:authenticated, a
// ServiceAccount in the groups of ServiceAccounts. What it may by these groups alone is said of the groups.
func WhoCan(policies []*Policy, req Request) Holders {
	req.Actions = Asked(req)
	if len(req.Actions) == 0 {
		return Holders{}
	}
	req.Actions = req.Actions[:1]
	w := whoCan{req: req, known: map[Ref]*Policy{}, indexes: map[name.Unknown]*sides{}}
	for _, p := range policies {
		if p.concerns(&req) {
			w.policies = append(w.policies, p)
			w.known[p.ref] = p
		}
	}
	seen := map[principal]bool{}
	for _, p := range w.policies {
		for _, who := range p.subjects {
			if !seen[who] {
				seen[who] = true
				w.ask(who)
			}
		}
	}
	slices.SortFunc(w.found.Can, compareHolders)
	slices.SortFunc(w.found.Denied, compareHolders)
	return w.found
}

// concerns says whether the policy has a rule of the type, and speaks of the audience. It spares those the trouble that
// could not match anyway.
func (p *Policy) concerns(req *Request) bool {
	return p.speaksOf(req.Audience) && slices.ContainsFunc(p.rules, func(r rule) bool { return r.typ == "" || r.typ == req.Resource.Type })
}

// whoCan is the work on one question.
type whoCan struct {
	req      Request
	policies []*Policy
	known    map[Ref]*Policy
	// indexes are those that a subject needs of whom this is not known.
	indexes map[name.Unknown]*sides
	found   Holders
}

// sides are the two ways in which what is open can go.
type sides struct{ best, worst *Index }

func (w *whoCan) sides(u name.Unknown) *sides {
	if w.indexes[u] == nil {
		d := doubt{address: !w.req.SourceIP.IsValid(), values: u}
		w.indexes[u] = &sides{best: rewritten(w.policies, d.best), worst: rewritten(w.policies, d.worst)}
	}
	return w.indexes[u]
}

func (w *whoCan) ask(who principal) {
	req := w.req
	req.Caller = who.caller()
	s := w.sides(who.unknown())
	best, worst := s.best.Explain(req), s.worst.Explain(req)
	var might []Reason // Denies that are not certain
	for _, r := range worst.Why {
		if r.Effect == v1alpha1.EffectDeny && !slices.Contains(best.Why, r) {
			might = append(might, r)
		}
	}
	for _, r := range worst.Why {
		if r.Effect == v1alpha1.EffectDeny && w.names(r, who) {
			w.found.Denied = append(w.found.Denied, w.holder(who, r, slices.Contains(might, r)))
		}
	}
	if len(best.Granted) == 0 {
		return
	}
	for _, r := range best.Why {
		if r.Effect == v1alpha1.EffectDeny || !w.names(r, who) || overruled(r, best.Why) {
			continue
		}
		h := w.holder(who, r, !slices.Contains(worst.Why, r))
		for _, deny := range might {
			if deny.outranks(r) {
				h.Unless = append(h.Unless, RuleRef{deny.Policy, deny.Rule})
			}
		}
		w.found.Can = append(w.found.Can, h)
	}
}

// names says whether the reason's policy names the principal itself.
func (w *whoCan) names(r Reason, who principal) bool {
	return slices.Contains(w.known[r.Policy].subjects, who)
}

// holder describes a rule of a subject; open says that it is not certain to match.
func (w *whoCan) holder(who principal, r Reason, open bool) Holder {
	p := w.known[r.Policy]
	h := Holder{Subject: who.subject(), RuleRef: RuleRef{r.Policy, r.Rule}}
	if p.when != nil {
		h.NotAfter = p.when.notAfter
	}
	if !open {
		return h
	}
	d := doubt{address: !w.req.SourceIP.IsValid()}
	h.Conditional = d.uncertain(p.when)
	// As an Allow, and were its conditions met: does it match without values for placeholders?
	alone := *p
	alone.deny = false
	req := w.req
	req.Caller = who.caller()
	met := rewritten([]*Policy{&alone}, d.best).Explain(req)
	h.Placeholders = !slices.ContainsFunc(met.Why, func(m Reason) bool { return m.Rule == r.Rule })
	return h
}

// overruled says whether one of the Denies takes away what the Allow gives.
func overruled(allow Reason, why []Reason) bool {
	return slices.ContainsFunc(why, func(r Reason) bool { return r.Effect == v1alpha1.EffectDeny && r.outranks(allow) })
}

// outranks says whether a Deny counts against an Allow: the platform's against all, a tenant's against those of tenants, their
// resources and requests.
func (r Reason) outranks(allow Reason) bool {
	return r.Policy.Kind == KindClusterAccessPolicy || allow.Policy.Kind != KindClusterAccessPolicy
}

// caller is who is that principal and nothing more than everybody of its kind.
func (p principal) caller() caller.Caller {
	switch {
	case p.kind == everyone:
		return caller.Caller{}
	case p.anonymous():
		return caller.Anonymous()
	case p.kind == user:
		c := caller.Caller{Username: p.name, Groups: []string{caller.GroupAuthenticated}, Method: caller.MethodPassword}
		if namespace, _ := c.ServiceAccount(); namespace != "" {
			c.Groups, c.Method = caller.ServiceAccountGroups(namespace), caller.MethodServiceAccount
		}
		return c
	case p.name == caller.GroupAuthenticated:
		return caller.Caller{Groups: []string{p.name}, Method: caller.MethodPassword}
	}
	c := caller.Caller{Groups: []string{p.name, caller.GroupAuthenticated}, Method: caller.MethodPassword}
	if namespace, found := strings.CutPrefix(p.name, caller.GroupServiceAccounts+":"); found {
		c.Groups, c.Method = caller.ServiceAccountGroups(namespace), caller.MethodServiceAccount
	}
	return c
}

// unknown says what is not known of a caller of whom only this is known.
func (p principal) unknown() name.Unknown {
	if p.anonymous() {
		return name.Unknown{}
	}
	return name.Unknown{Subject: p.kind == group, Extra: true}
}

// subject is the principal as a policy names it.
func (p principal) subject() v1alpha1.Subject {
	switch p.kind {
	case everyone:
		return v1alpha1.Subject{}
	case group:
		return v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: p.name}
	}
	if namespace, account := (caller.Caller{Username: p.name}).ServiceAccount(); namespace != "" {
		return v1alpha1.Subject{Kind: v1alpha1.SubjectServiceAccount, Namespace: namespace, Name: account}
	}
	return v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: p.name}
}

func compareHolders(a, b Holder) int {
	return cmp.Or(cmp.Compare(a.Subject.Kind, b.Subject.Kind), strings.Compare(a.Subject.Namespace, b.Subject.Namespace),
		strings.Compare(a.Subject.Name, b.Subject.Name), compareRefs(a.Policy, b.Policy), cmp.Compare(a.Rule, b.Rule))
}
