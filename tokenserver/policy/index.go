package policy

import "github.com/tokenwright/tokenwright/api/v1alpha1"

// Index answers requests from a set of policies. It is immutable and safe for concurrent use; a nil Index denies all.
//
// It is a map of subjects; behind each, a map of resource types; behind each, a trie of names. What a request costs
// depends on the caller's groups and on the name, not on how many policies there are. What one policy may add to it, in
// memory and in work, is bounded when it is compiled.
type Index struct {
	users, groups map[string]*subject
	everyone      *subject
	size          int
}

// subject is all that policies say of one user or group.
type subject struct {
	types small[*typeRules]
	// any are rules of no type in particular; anyOf are those of tenants, by namespace.
	any   *hit
	anyOf small[*node]
	// extras are the Allows that speak of refresh tokens and claims.
	extras []*Policy
}

// typeRules are rules of one type: the platform's, and each namespace's. A namespace's trie begins behind the namespace.
type typeRules struct {
	cluster node
	tenants small[*node]
}

// NewIndex indexes the policies; their order does not matter. It keeps the policies but not the slice.
func NewIndex(policies []*Policy) *Index {
	x := &Index{users: map[string]*subject{}, groups: map[string]*subject{}, size: len(policies)}
	for _, p := range policies {
		for _, who := range p.subjects {
			x.subject(who).add(p)
		}
	}
	return x
}

// Len is the number of policies, also of those that did not compile.
func (x *Index) Len() int {
	if x == nil {
		return 0
	}
	return x.size
}

func (x *Index) subject(who principal) *subject {
	switch who.kind {
	case user:
		return subjectOf(x.users, who.name)
	case group:
		return subjectOf(x.groups, who.name)
	default:
		if x.everyone == nil {
			x.everyone = &subject{}
		}
		return x.everyone
	}
}

func subjectOf(subjects map[string]*subject, key string) *subject {
	s, found := subjects[key]
	if !found {
		s = &subject{}
		subjects[key] = s
	}
	return s
}

func (s *subject) add(p *Policy) {
	if p.offline != nil || len(p.claims) > 0 {
		s.extras = append(s.extras, p)
	}
	for i := range p.rules {
		r := &p.rules[i]
		if r.typ == "" {
			s.addAny(r)
			continue
		}
		root := s.root(r.typ, p.ref)
		for j := range r.names {
			root.insert(&r.names[j], r)
		}
	}
}

func (s *subject) addAny(r *rule) {
	if r.policy.ref.Kind == KindClusterAccessPolicy {
		s.any = s.any.add(r)
		return
	}
	n := tenantOf(&s.anyOf, r.policy.ref.Namespace)
	n.deep = n.deep.add(r)
}

func (s *subject) root(typ string, ref Ref) *node {
	t, found := s.types.get(typ)
	if !found {
		t = &typeRules{}
		s.types.put(typ, t)
	}
	if ref.Kind == KindClusterAccessPolicy {
		return &t.cluster
	}
	return tenantOf(&t.tenants, ref.Namespace)
}

func tenantOf(tenants *small[*node], namespace string) *node {
	n, found := tenants.get(namespace)
	if !found {
		n = &node{}
		tenants.put(namespace, n)
	}
	return n
}

// tenantType says whether policies of namespaces may speak of a type at all.
func tenantType(typ string) bool {
	return typ != v1alpha1.TypeRegistry && typ != v1alpha1.TypeNATS && typ != v1alpha1.TypeOAuth
}
