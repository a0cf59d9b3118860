package policy

// walkSubject takes into account all that is said of one of the caller's names.
func (d *decision) walkSubject(s *subject, p place) {
	d.walk(platform, s.any, p.segments)
	t, found := s.types.get(d.req.Resource.Type)
	if found {
		d.walk(platform, t.cluster, p.segments)
	}
	if p.namespace == "" {
		return
	}
	if n, ok := s.anyOf.get(p.namespace); ok {
		d.walk(tenants, n, p.below)
	}
	if found {
		if n, ok := t.tenants.get(p.namespace); ok {
			d.walk(tenants, n, p.below)
		}
	}
}

// walk meets every rule with a name that matches the segments from here on. A name visits a node at most once, since
// what could lead there by several ways is kept as a tail.
func (d *decision) walk(t tier, n *node, segments []string) {
	if n == nil {
		return
	}
	for h := n.deep; h != nil; h = h.next {
		d.meet(t, h.rule)
	}
	if n.wild != nil && len(n.wild.tails) > 0 {
		values := d.callerValues()
		for i := range n.wild.tails {
			tail := &n.wild.tails[i]
			if tail.pattern.Match(d.req.Resource.Name, segments, values, tail.rule.policy.deny) {
				d.meet(t, tail.rule)
			}
		}
	}
	if len(segments) == 0 {
		for h := n.end; h != nil; h = h.next {
			d.meet(t, h.rule)
		}
		return
	}
	for h := n.rest; h != nil; h = h.next {
		d.meet(t, h.rule)
	}
	if next, found := n.literal.get(segments[0]); found {
		d.walk(t, next, segments[1:])
	}
	if n.wild == nil {
		return
	}
	if n.wild.any != nil {
		d.walk(t, n.wild.any, segments[1:])
	}
	for i := range n.wild.globs {
		if g := n.wild.globs[i]; g.stars.Match(segments[0]) {
			d.walk(t, g.next, segments[1:])
		}
	}
}

// meet takes a rule into account whose subject, type and name match.
func (d *decision) meet(t tier, r *rule) {
	p := r.policy
	actions := r.of(d.actions)
	if actions == 0 || !p.speaksOf(d.req.Audience) {
		return
	}
	if p.when == nil {
		d.count(t, match{r, actions})
		return
	}
	if !p.when.holds(d.req, p.deny) {
		return
	}
	if p.when.program != nil {
		v := &d.verdicts[t]
		v.pending = append(v.pending, match{r, actions})
		return
	}
	d.count(t, match{r, actions})
}

// count lets a rule that matches in every respect have its effect.
func (d *decision) count(t tier, m match) {
	v := &d.verdicts[t]
	switch w := m.rule.policy.when; {
	case m.rule.policy.deny:
		v.denied |= m.actions
	case w == nil || w.notAfter.IsZero():
		v.allowed |= m.actions
		v.lasting |= m.actions
	default:
		v.allowed |= m.actions
		v.limits = append(v.limits, limit{m.actions, w.notAfter})
	}
	if d.explain {
		d.matches = append(d.matches, m)
	}
}
