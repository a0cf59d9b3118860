package policy

import "github.com/tokenwright/tokenwright/api/v1alpha1"

// Index answers requests from a set of policies. It is immutable and safe for concurrent use; a nil Index denies all.
//
// It is a map of subjects; behind each, a map of resource types; behind each, a trie of names. What a request costs
// depends on the caller's groups and on the name, not on how many policies there are. What one policy may add to it, in
// memory and in work, is bounded when it is compiled.
//
// An index with some policies changed is made of the old one: it copies what lies on the way to them, and shares the rest.
type Index struct {
	users, groups table[*subject]
	everyone      *subject
	size          int
}

// Change is a policy that comes (Old is nil), goes (New is nil) or is replaced.
type Change struct{ Old, New *Policy }

// NewIndex indexes the policies; their order does not matter. It keeps the policies but not the slice.
func NewIndex(policies []*Policy) *Index {
	x, e := &Index{}, &edit{}
	for _, p := range policies {
		x.add(e, p)
	}
	return x
}

// Apply returns an index with the changes made, in their order; the index itself stays as it is. An Old must be the very
// Policy that was put in before.
func (x *Index) Apply(changes []Change) *Index {
	next, e := &Index{}, &edit{}
	if x != nil {
		*next = *x
		next.users, next.groups, next.everyone = x.users.clone(), x.groups.clone(), x.everyone
	}
	for _, c := range changes {
		if c.Old != nil {
			next.remove(e, c.Old)
		}
		if c.New != nil {
			next.add(e, c.New)
		}
	}
	return next
}

// Len is the number of policies, also of those that did not compile.
func (x *Index) Len() int {
	if x == nil {
		return 0
	}
	return x.size
}

func (x *Index) add(e *edit, p *Policy) {
	for _, who := range p.subjects {
		before := x.subject(who)
		s := before.mine(e)
		s.add(e, p)
		if s != before {
			x.set(e, who, s)
		}
	}
	x.size++
}

func (x *Index) remove(e *edit, p *Policy) {
	for _, who := range p.subjects {
		before := x.subject(who)
		if before == nil {
			continue
		}
		s := before.mine(e)
		s.remove(e, p)
		if s.empty() {
			s = nil
		}
		if s != before {
			x.set(e, who, s)
		}
	}
	x.size--
}

// subject is what is said of a principal; nil if nothing is.
func (x *Index) subject(who principal) *subject {
	var s *subject
	switch who.kind {
	case user:
		s, _ = x.users.get(who.name)
	case group:
		s, _ = x.groups.get(who.name)
	default:
		s = x.everyone
	}
	return s
}

// set puts a subject in the place of the one that was there; nil takes it away.
func (x *Index) set(e *edit, who principal, s *subject) {
	subjects := &x.users
	switch {
	case who.kind == everyone:
		x.everyone = s
		return
	case who.kind == group:
		subjects = &x.groups
	}
	if s == nil {
		subjects.remove(e, who.name)
		return
	}
	subjects.put(e, who.name, s)
}

// tenantType says whether policies of namespaces may speak of a type at all.
func tenantType(typ string) bool {
	return typ != v1alpha1.TypeRegistry && typ != v1alpha1.TypeNATS && typ != v1alpha1.TypeOAuth
}
