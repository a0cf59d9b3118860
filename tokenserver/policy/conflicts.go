package policy

import (
	"slices"
	"strings"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// ClaimConflict says that other policies may give a caller another value for a claim. The caller then gets no token.
type ClaimConflict struct {
	Claim string
	// Others are the first few of the policies, by name.
	Others []Ref
	// More is how many more there are; MaxMore stands for as many and all beyond.
	More int
}

// Bounds of what is said of one policy, and of what is looked at for it.
const (
	// MaxMore is how far those are counted that are not named.
	MaxMore    = maxCounted - maxOthers
	maxOthers  = 3
	maxCounted = 20
	// maxApart is how many policies are looked at in one place that nothing but their times keeps apart from this one.
	// Past it some that are in each other's way may not be found.
	maxApart = 200
)

// ClaimConflicts returns, for each policy that has one, the claims for which it can be seen that a caller may get two
// values. That is so of two policies that give different values, in canonical JSON, and have a principal, an audience and
// a time in common. A principal is in common if it is the same, or a group that holds the other for certain: nobody knows
// here who is in other groups. Addresses and expressions are not looked at, so that it may never come to it.
//
// The order of the policies does not matter. The work grows with the number of policies, not with that of pairs.
func ClaimConflicts(policies []*Policy) map[Ref][]ClaimConflict {
	policies = slices.DeleteFunc(slices.Clone(policies), func(p *Policy) bool { return len(p.claims) == 0 })
	slices.SortFunc(policies, func(a, b *Policy) int { return compareRefs(a.ref, b.ref) })
	given := map[string]*givers{}
	for _, p := range policies {
		for _, c := range p.claims {
			if given[c.name] == nil {
				given[c.name] = &givers{at: map[principal]*byAudience{}, below: map[principal]*byAudience{}}
			}
			given[c.name].add(giver{p, c.value})
		}
	}
	conflicts := map[Ref][]ClaimConflict{}
	for _, p := range policies {
		for _, c := range p.claims {
			if others := given[c.name].others(giver{p, c.value}); len(others) > 0 {
				conflicts[p.ref] = append(conflicts[p.ref], ClaimConflict{
					Claim: c.name, Others: others[:min(len(others), maxOthers)], More: max(0, len(others)-maxOthers),
				})
			}
		}
		slices.SortFunc(conflicts[p.ref], func(a, b ClaimConflict) int { return strings.Compare(a.Claim, b.Claim) })
	}
	return conflicts
}

// giver is a policy that gives the claim that is looked at, and the value.
type giver struct {
	policy *Policy
	value  string
}

// givers are all that give one claim: by principal, and by the groups that hold the principal for certain.
type givers struct {
	at, below map[principal]*byAudience
}

func (g *givers) add(x giver) {
	put := func(m map[principal]*byAudience, who principal) {
		if m[who] == nil {
			m[who] = &byAudience{by: map[string]*byValue{}}
		}
		m[who].add(x)
	}
	for _, who := range principalsOf(x.policy) {
		put(g.at, who)
		for _, group := range holders(who) {
			put(g.below, group)
		}
	}
}

// others returns the policies in the way of x in their order, maxCounted at most.
func (g *givers) others(x giver) []Ref {
	found := map[Ref]bool{}
	for _, who := range principalsOf(x.policy) {
		g.at[who].others(x, found)
		g.below[who].others(x, found)
		for _, group := range holders(who) {
			g.at[group].others(x, found)
		}
	}
	if len(found) == 0 {
		return nil
	}
	list := make([]Ref, 0, len(found))
	for ref := range found {
		list = append(list, ref)
	}
	slices.SortFunc(list, compareRefs)
	return list[:min(len(list), maxCounted)]
}

// principalsOf takes the anonymous user and its group for one: each is met by the same callers.
func principalsOf(p *Policy) []principal {
	list := slices.Clone(p.subjects)
	for i, who := range list {
		if who.anonymous() {
			list[i] = principal{kind: group, name: caller.GroupUnauthenticated}
		}
	}
	return list
}

// holders are the other groups that everybody who is the principal is in.
func holders(who principal) []principal {
	groups := []string{caller.GroupAuthenticated}
	switch {
	case who.kind == group && (who.name == caller.GroupUnauthenticated || who.name == caller.GroupAuthenticated):
		return nil
	case who.kind == group && strings.HasPrefix(who.name, caller.GroupServiceAccounts+":"):
		groups = append(groups, caller.GroupServiceAccounts)
	case who.kind == user:
		if namespace, _ := (caller.Caller{Username: who.name}).ServiceAccount(); namespace != "" {
			groups = caller.ServiceAccountGroups(namespace)
		}
	}
	list := make([]principal, len(groups))
	for i, name := range groups {
		list[i] = principal{kind: group, name: name}
	}
	return list
}

// byAudience are givers at one place, by audience.
type byAudience struct {
	all, unbound byValue
	by           map[string]*byValue
}

func (a *byAudience) add(x giver) {
	a.all.add(x)
	if len(x.policy.audiences) == 0 {
		a.unbound.add(x)
	}
	for _, audience := range x.policy.audiences {
		if a.by[audience] == nil {
			a.by[audience] = &byValue{}
		}
		a.by[audience].add(x)
	}
}

func (a *byAudience) others(x giver, found map[Ref]bool) {
	if a == nil {
		return
	}
	if len(x.policy.audiences) == 0 {
		a.all.others(x, found)
		return
	}
	a.unbound.others(x, found)
	for _, audience := range x.policy.audiences {
		a.by[audience].others(x, found)
	}
}

// byValue are givers at one place for one audience, by what they give, so that those who agree are passed over.
type byValue struct {
	order []string
	by    map[string][]*Policy
}

func (v *byValue) add(x giver) {
	if v.by == nil {
		v.by = map[string][]*Policy{}
	}
	policies := v.by[x.value]
	if len(policies) == 0 {
		v.order = append(v.order, x.value)
	}
	if n := len(policies); n == 0 || policies[n-1] != x.policy { // by several subjects it comes here several times
		v.by[x.value] = append(policies, x.policy)
	}
}

func (v *byValue) others(x giver, found map[Ref]bool) {
	if v == nil {
		return
	}
	counted, apart := 0, 0
	for _, value := range v.order {
		if value == x.value {
			continue
		}
		for _, p := range v.by[value] {
			switch {
			case !p.when.meets(x.policy.when):
				if apart++; apart == maxApart {
					return
				}
			default:
				found[p.ref] = true
				if counted++; counted == maxCounted {
					return
				}
			}
		}
	}
}

// meets says whether there is a time at which both conditions can hold.
func (c *condition) meets(o *condition) bool {
	if c == nil || o == nil {
		return true
	}
	return (c.notAfter.IsZero() || o.notBefore.Before(c.notAfter)) && (o.notAfter.IsZero() || c.notBefore.Before(o.notAfter))
}
