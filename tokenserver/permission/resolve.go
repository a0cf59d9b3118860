package permission

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// Ask is one resource and what is to be done with it.
type Ask struct {
	Resource *resource.Resource
	// Scopes are those of the resource that are asked for, sorted. There is at least one.
	Scopes []string
	// Named says that the client named the resource, and Wanted the scopes that it named; none are any.
	Named  bool
	Wanted []string
	// Claims are what the resource server said of the request.
	Claims map[string][]string
	// NotAfter is when what it said ends; zero: with the answer.
	NotAfter time.Time
}

// Resolve finds the resources. Username is whose resources are the caller's own. The asks come in the order in which they were
// named, those of sets behind; each resource comes once.
//
// The error wraps ErrUnknownResource or ErrUnknownScope.
func (q *Query) Resolve(catalog *resource.Catalog, audience, username string) ([]Ask, error) {
	if len(q.named) == 0 && len(q.sets) == 0 {
		return everything(catalog.All(audience)), nil
	}
	a := asks{at: make(map[*resource.Resource]int, len(q.named)), list: make([]Ask, 0, len(q.named))}
	for n := range q.named {
		one := &q.named[n]
		r := q.find(catalog, audience, one.text)
		if r == nil {
			return nil, fmt.Errorf("permission number %d: %w", one.at, ErrUnknownResource)
		}
		for _, scope := range one.scopes {
			if !r.Has(scope) {
				return nil, fmt.Errorf("permission number %d: %w", one.at, ErrUnknownScope)
			}
		}
		a.add(Ask{Resource: r, Scopes: one.scopes, Named: true, Wanted: one.scopes})
	}
	for n := range q.sets {
		if err := q.sets[n].resolve(&a, catalog, audience, username); err != nil {
			return nil, fmt.Errorf("permission number %d: %w", q.sets[n].at, err)
		}
	}
	return a.list, nil
}

func everything(all []*resource.Resource) []Ask {
	list := make([]Ask, len(all))
	for n, r := range all {
		list[n] = Ask{Resource: r, Scopes: r.Scopes}
	}
	return list
}

func (q *Query) find(catalog *resource.Catalog, audience, text string) *resource.Resource {
	switch {
	case q.form.ByURI && q.form.Matching:
		return catalog.Matching(audience, text)
	case q.form.ByURI:
		return catalog.ByURI(audience, text)
	}
	return catalog.Find(audience, text)
}

// resolve adds the resources of a set that have one of the scopes.
func (s *set) resolve(a *asks, catalog *resource.Catalog, audience, username string) error {
	members := s.members(catalog, audience)
	if s.kind != ofAudience && len(members) == 0 {
		return ErrUnknownResource
	}
	seen := make([]bool, len(s.scopes))
	for _, r := range members {
		var has []string
		for _, scope := range r.Scopes {
			if at, found := slices.BinarySearch(s.scopes, scope); found {
				seen[at] = true
				has = append(has, scope)
			}
		}
		if s.all {
			has = r.Scopes
		}
		if len(has) > 0 && s.holds(r, username) {
			a.add(Ask{Resource: r, Scopes: has})
		}
	}
	if slices.Contains(seen, false) {
		return ErrUnknownScope
	}
	return nil
}

// members are the resources among which those of the set are.
func (s *set) members(catalog *resource.Catalog, audience string) []*resource.Resource {
	switch {
	case s.kind != ofAudience:
		return catalog.OfType(audience, s.typ)
	case len(s.scopes) == 1:
		return catalog.WithScope(audience, s.scopes[0])
	}
	return catalog.All(audience)
}

func (s *set) holds(r *resource.Resource, username string) bool {
	switch s.kind {
	case instances:
		return r.Owner != ""
	case owned:
		return r.Owner != "" && r.Owner == username
	}
	return true
}

// asks has each resource once.
type asks struct {
	list []Ask
	at   map[*resource.Resource]int
}

// add adds an ask, or what it asks for more than one that is there. Without scopes it is for all of the resource.
func (a *asks) add(one Ask) {
	if len(one.Scopes) == 0 {
		one.Scopes = one.Resource.Scopes
	}
	at, found := a.at[one.Resource]
	if !found {
		a.at[one.Resource] = len(a.list)
		a.list = append(a.list, one)
		return
	}
	have := &a.list[at]
	have.Scopes = union(have.Scopes, one.Scopes)
	if one.Named {
		have.Named, have.Wanted = true, union(have.Wanted, one.Wanted)
	}
}

// union is sorted and unique, as both are. It shares memory with them where it can.
func union(a, b []string) []string {
	switch {
	case len(b) == 0:
		return a
	case len(a) == 0:
		return b
	}
	return unique(slices.Concat(a, b))
}

// Of are the asks of a ticket or of an older token, which we signed. What is not served any more, or has lost a scope, is left
// out, and whole is false. Named says that they are what the client asks for now.
func Of(catalog *resource.Catalog, audience string, permissions []token.Permission, named bool) (list []Ask, whole bool) {
	list, whole = make([]Ask, 0, len(permissions)), true
	for _, p := range permissions {
		r := catalog.ByID(audience, p.ID)
		if r == nil {
			whole = false
			continue
		}
		ask := Ask{Resource: r, Scopes: r.Scopes, Named: named, Claims: p.Claims}
		if len(p.Scopes) > 0 {
			ask.Scopes = unique(slices.DeleteFunc(slices.Clone(p.Scopes), func(s string) bool { return !r.Has(s) }))
			whole = whole && len(ask.Scopes) == len(unique(slices.Clone(p.Scopes)))
		}
		if len(ask.Scopes) == 0 {
			continue
		}
		if named && len(p.Scopes) > 0 {
			ask.Wanted = ask.Scopes
		}
		list = append(list, ask)
	}
	return list, whole
}

// Until says when an older token ended that asks are of. What rests on what the resource server once said ends then: else it could
// be carried from token to token for ever.
func Until(asks []Ask, end time.Time) []Ask {
	for n := range asks {
		if len(asks[n].Claims) > 0 {
			asks[n].NotAfter = end
		}
	}
	return asks
}

// Upgrade puts the asks of an older token before those of now. What both ask for comes once, in its place among those of now. A
// resource of which the resource server said different things comes twice: what it said of one request is not true of another.
func Upgrade(older, now []Ask) []Ask {
	at := make(map[*resource.Resource]int, len(now))
	now = slices.Clone(now)
	for n := range now {
		at[now[n].Resource] = n
	}
	var kept []Ask
	for _, o := range older {
		n, found := at[o.Resource]
		if !found || !SameClaims(now[n].Claims, o.Claims) {
			kept = append(kept, o)
			continue
		}
		now[n].Scopes = union(now[n].Scopes, o.Scopes)
	}
	return append(kept, now...)
}
