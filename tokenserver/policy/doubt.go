package policy

import "github.com/tokenwright/tokenwright/tokenserver/policy/name"

// Whoever asks about subjects, and not for one request, does not know everything: not the address, not what an expression
// will say, not all values of placeholders. What can be said in spite of that is decided by the same index, from policies
// that are rewritten: once so that all that is open goes in favour of the caller, and once so that all of it goes against.

// doubt is what is not known.
type doubt struct {
	address bool
	values  name.Unknown
}

// uncertain says whether the condition depends on what is not known. Times do not: now is known.
func (d doubt) uncertain(c *condition) bool {
	return c != nil && (c.program != nil || d.address && len(c.ranges) > 0)
}

// settled is the condition without what is not known; nil if nothing is left.
func (d doubt) settled(c *condition) *condition {
	if c == nil {
		return nil
	}
	rest := *c
	rest.program = nil
	if d.address {
		rest.ranges = nil
	}
	if len(rest.ranges) == 0 && rest.notBefore.IsZero() && rest.notAfter.IsZero() {
		return nil
	}
	return &rest
}

// best is the policy at its best for the caller: an Allow whose conditions hold and whose placeholders fit, a Deny only
// where nothing is open. It is nil if nothing is left of it.
func (d doubt) best(p *Policy) *Policy {
	if !p.deny {
		return p.with(d.settled(p.when), func(n *pattern) (pattern, bool) { return n.Widen(d.values), true })
	}
	if d.uncertain(p.when) {
		return nil
	}
	return p.with(p.when, func(n *pattern) (pattern, bool) { return *n, !n.Placeholders(d.values) })
}

// worst is the policy at its worst: an Allow only where nothing is open, a Deny whose conditions hold. Placeholders
// without a value match for a Deny only, as always.
func (d doubt) worst(p *Policy) *Policy {
	if p.deny {
		return p.with(d.settled(p.when), func(n *pattern) (pattern, bool) { return *n, true })
	}
	if d.uncertain(p.when) {
		return nil
	}
	return p
}

// with is the policy with another condition and other names. Rules without a name are left out; nil if none is left.
func (p *Policy) with(when *condition, names func(*pattern) (pattern, bool)) *Policy {
	copied := *p
	copied.when, copied.rules, copied.offline, copied.claims = when, nil, nil, nil
	for i := range p.rules {
		r := p.rules[i]
		r.policy, r.names = &copied, nil
		for j := range p.rules[i].names {
			if n, ok := names(&p.rules[i].names[j]); ok {
				r.names = append(r.names, n)
			}
		}
		if len(r.names) > 0 {
			copied.rules = append(copied.rules, r)
		}
	}
	if len(copied.rules) == 0 {
		return nil
	}
	return &copied
}

// index indexes the policies, rewritten.
func rewritten(policies []*Policy, rewrite func(*Policy) *Policy) *Index {
	var kept []*Policy
	for _, p := range policies {
		if r := rewrite(p); r != nil {
			kept = append(kept, r)
		}
	}
	return NewIndex(kept)
}
