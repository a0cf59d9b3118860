package permission

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// Asker is who asks, and by what the policies decide. All of one request share its budget.
type Asker struct {
	Policies *policy.Index
	Caller   caller.Caller
	Audience string
	SourceIP netip.Addr
	Time     time.Time
	Admits   func(namespace string) bool
	Budget   *policy.Budget
	// Claims are those of a verified ID token. What the resource server said of the request wins over them.
	Claims map[string]any
	// Least is for how long what is granted must last; zero for an answer that is not a token.
	Least time.Duration
	// Decide is asked instead of the policies where it is given: it is told of each decision.
	Decide func(policy.Request) policy.Decision
}

// Granted is what came of one ask.
type Granted struct {
	*Ask
	// Scopes are those that are granted.
	Scopes []string
	// notAfter is when they end; zero if they do not.
	notAfter time.Time
}

// Answer is what came of all asks.
type Answer struct {
	// Granted has no resource of which nothing is granted, and the order of the asks.
	Granted []Granted
	// Denied are the scopes that the client named and that are not granted, and all those asked for of a resource that it named
	// without any, if none is granted. Without them the client got all that it named.
	Denied []Ask
}

// Evaluate asks the policies about each.
//
// They are asked in the order of the ids, those that the client named before those of sets, so that the same asks get the same
// answer, whatever their order, also where the budget of expressions is spent before the end.
func (a *Asker) Evaluate(asks []Ask) Answer {
	decided := make([]Granted, len(asks))
	if slices.IsSortedFunc(asks, compareAsks) {
		for n := range asks {
			decided[n] = a.one(&asks[n])
		}
	} else {
		order := make([]int, len(asks))
		for n := range order {
			order[n] = n
		}
		slices.SortStableFunc(order, func(x, y int) int { return compareAsks(asks[x], asks[y]) })
		for _, n := range order {
			decided[n] = a.one(&asks[n])
		}
	}
	var answer Answer
	for n := range decided {
		if missing := decided[n].missing(); len(missing) > 0 {
			answer.Denied = append(answer.Denied, Ask{Resource: decided[n].Resource, Scopes: missing, Claims: decided[n].Claims})
		}
	}
	answer.Granted = slices.DeleteFunc(decided, func(d Granted) bool { return len(d.Scopes) == 0 })
	return answer
}

func compareAsks(a, b Ask) int {
	switch {
	case a.Named == b.Named:
		return strings.Compare(a.Resource.ID, b.Resource.ID)
	case a.Named:
		return -1
	}
	return 1
}

// missing are the scopes that the client named and did not get.
func (g *Granted) missing() []string {
	switch {
	case !g.Named:
		return nil
	case len(g.Wanted) > 0:
		return slices.DeleteFunc(slices.Clone(g.Wanted), func(s string) bool { return slices.Contains(g.Scopes, s) })
	case len(g.Scopes) == 0:
		return g.Ask.Scopes
	}
	return nil
}

func (a *Asker) one(ask *Ask) Granted {
	request := policy.Request{
		Caller: a.Caller, Audience: a.Audience, Resource: ask.Resource.Policy(), Actions: ask.Scopes, SourceIP: a.SourceIP,
		Claims: a.claims(ask.Claims), Time: a.Time, Admits: a.Admits, Budget: a.Budget,
	}
	var decision policy.Decision
	if a.Decide != nil {
		decision = a.Decide(request)
	} else {
		decision = a.Policies.Decide(request)
	}
	g := Granted{Ask: ask, Scopes: decision.Granted, notAfter: decision.NotAfter}
	if a.Least > 0 && !decision.NotAfter.IsZero() {
		g.Scopes, g.notAfter = a.Policies.Lasting(request, decision, a.Least)
	}
	if end := ask.NotAfter; !end.IsZero() {
		if end.Before(a.Time.Add(a.Least)) {
			g.Scopes = nil
		}
		if g.notAfter.IsZero() || end.Before(g.notAfter) {
			g.notAfter = end
		}
	}
	return g
}

// claims are what policies know as request.claims.
func (a *Asker) claims(pushed map[string][]string) map[string]any {
	if len(pushed) == 0 {
		return a.Claims
	}
	all := make(map[string]any, len(a.Claims)+len(pushed))
	maps.Copy(all, a.Claims)
	for name, values := range pushed {
		all[name] = values
	}
	return all
}

// Last drops all but the last so many.
func (a *Answer) Last(most int) {
	a.Granted = a.Granted[max(0, len(a.Granted)-most):]
}

// NotAfter is what a token with all that is granted must not outlive; zero if nothing bounds it.
func (a *Answer) NotAfter() time.Time {
	var first time.Time
	for n := range a.Granted {
		if end := a.Granted[n].notAfter; !end.IsZero() && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	return first
}

// Permissions are the answer as tokens have it, with the names of the resources or without.
func (a *Answer) Permissions(names bool) []token.Permission {
	list := make([]token.Permission, len(a.Granted))
	for n := range a.Granted {
		g := &a.Granted[n]
		list[n] = token.Permission{ID: g.Resource.ID, Scopes: g.Scopes, Claims: g.Claims}
		if names {
			list[n].Name = g.Resource.Name
		}
	}
	return list
}
