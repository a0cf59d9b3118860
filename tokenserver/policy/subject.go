package policy

import "slices"

// subject is all that policies say of one user or group. Only the edit that owns it changes it.
type subject struct {
	owner *edit
	types table[*typeRules]
	// any are rules of no type in particular, which only a broken Deny has; anyOf are those of tenants, by namespace.
	any   *node
	anyOf table[*node]
	// extras are the Allows that speak of refresh tokens and claims.
	extras []*Policy
}

// typeRules are rules of one type: the platform's, and each namespace's. A namespace's trie begins behind the namespace.
type typeRules struct {
	owner   *edit
	cluster *node
	tenants table[*node]
}

// mine is the subject itself if the edit made it, or a copy; of none it is a new one.
func (s *subject) mine(e *edit) *subject {
	switch {
	case s == nil:
		return &subject{owner: e}
	case s.owner == e:
		return s
	}
	return &subject{owner: e, types: s.types.clone(), any: s.any, anyOf: s.anyOf.clone(), extras: slices.Clone(s.extras)}
}

func (s *subject) empty() bool {
	return s.types.empty() && s.any == nil && s.anyOf.empty() && len(s.extras) == 0
}

func (t *typeRules) mine(e *edit) *typeRules {
	switch {
	case t == nil:
		return &typeRules{owner: e}
	case t.owner == e:
		return t
	}
	return &typeRules{owner: e, cluster: t.cluster, tenants: t.tenants.clone()}
}

func (t *typeRules) empty() bool { return t.cluster == nil && t.tenants.empty() }

func (p *Policy) hasExtras() bool { return p.offline != nil || len(p.claims) > 0 }

func (s *subject) add(e *edit, p *Policy) {
	if p.hasExtras() {
		s.extras = append(s.extras, p)
	}
	s.eachName(e, p, func(n *node, name *pattern, r *rule) *node { return n.with(e, name, 0, r) })
}

func (s *subject) remove(e *edit, p *Policy) {
	if p.hasExtras() {
		s.extras = slices.DeleteFunc(s.extras, func(known *Policy) bool { return known == p })
	}
	s.eachName(e, p, func(n *node, name *pattern, r *rule) *node { return n.without(e, name, 0, r) })
}

// eachName replaces the root that each name of the policy's rules lies below, which may be nil before and after.
func (s *subject) eachName(e *edit, p *Policy, change func(root *node, name *pattern, r *rule) *node) {
	for i := range p.rules {
		r := &p.rules[i]
		if r.typ == "" {
			changeRoot(e, &s.any, &s.anyOf, r, change)
			continue
		}
		before, _ := s.types.get(r.typ)
		t := before.mine(e)
		changeRoot(e, &t.cluster, &t.tenants, r, change)
		switch {
		case t.empty():
			s.types.remove(e, r.typ)
		case t != before:
			s.types.put(e, r.typ, t)
		}
	}
}

// changeRoot changes the platform's root, or that of the policy's namespace.
func changeRoot(e *edit, cluster **node, tenants *table[*node], r *rule, change func(*node, *pattern, *rule) *node) {
	for j := range r.names {
		if r.policy.ref.Kind == KindClusterAccessPolicy {
			*cluster = change(*cluster, &r.names[j], r)
			continue
		}
		namespace := r.policy.ref.Namespace
		before, _ := tenants.get(namespace)
		switch after := change(before, &r.names[j], r); {
		case after == nil:
			tenants.remove(e, namespace)
		case after != before:
			tenants.put(e, namespace, after)
		}
	}
}
