package policy

import "slices"

// NearMiss is a rule that would allow an action to a caller, were it not for what it depends on.
type NearMiss struct {
	RuleRef
	Action string
	// Audience: the policy speaks of others. Admission: the audience does not admit the policy's namespace. Address: it
	// lies in none of the ranges, or is not known. Time: it is too early or too late. Expression: it is not true, or
	// gives no answer.
	Audience, Admission, Address, Time, Expression bool
}

// NearMisses returns the rules that name the caller, the resource and an action, and did not count for another reason.
// They are decided by an index of those policies without what may have been in the way.
func NearMisses(policies []*Policy, req Request) []NearMiss {
	known := map[Ref]*Policy{}
	for _, p := range policies {
		if !p.deny && p.namesCaller(&req) {
			known[p.ref] = p
		}
	}
	freed := rewritten(policies, func(p *Policy) *Policy {
		if known[p.ref] != p {
			return nil
		}
		free := p.with(nil, func(n *pattern) (pattern, bool) { return *n, true })
		if free != nil {
			free.audiences = nil
		}
		return free
	})
	ask := req
	ask.Admits, ask.Budget = func(string) bool { return true }, nil
	var misses []NearMiss
	for _, r := range freed.Explain(ask).Why {
		if miss := known[r.Policy].miss(&req, r); miss != (NearMiss{RuleRef: miss.RuleRef, Action: miss.Action}) {
			misses = append(misses, miss)
		}
	}
	return misses
}

func (p *Policy) namesCaller(req *Request) bool {
	return slices.ContainsFunc(p.subjects, func(who principal) bool {
		return who.kind == user && who.name == req.Caller.Username || who.kind == group && slices.Contains(req.Caller.Groups, who.name)
	})
}

// miss says what was in the way of a rule; nothing if it counted.
func (p *Policy) miss(req *Request, r Reason) NearMiss {
	m := NearMiss{RuleRef: RuleRef{r.Policy, r.Rule}, Action: r.Action}
	m.Audience = !p.speaksOf(req.Audience)
	m.Admission = p.ref.Kind != KindClusterAccessPolicy && (req.Admits == nil || !req.Admits(p.ref.Namespace))
	if p.when == nil {
		return m
	}
	address, times := condition{ranges: p.when.ranges}, condition{notBefore: p.when.notBefore, notAfter: p.when.notAfter}
	m.Address, m.Time = !address.holds(req, false), !times.holds(req, false)
	if m.Audience || m.Admission || m.Address || m.Time || p.when.program == nil {
		return m
	}
	ask := *req
	ask.Budget = nil
	m.Expression = !slices.ContainsFunc(NewIndex([]*Policy{p}).Explain(ask).Why, func(found Reason) bool { return found == r })
	return m
}
