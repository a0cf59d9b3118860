package permission

import "github.com/tokenwright/tokenwright/tokenserver/resource"

// Size is how many resources the query walks through at most, without walking.
func (q *Query) Size(catalog *resource.Catalog, audience string) int {
	if len(q.named) == 0 && len(q.sets) == 0 {
		return len(catalog.All(audience))
	}
	size := len(q.named)
	for n := range q.sets {
		size += len(q.sets[n].members(catalog, audience))
	}
	return size
}

// Outgrows says whether a token with what is granted is longer than so many bytes, as far as that can be told without making it:
// by ids, names and scopes alone, as base64url has them.
func (a *Answer) Outgrows(most int, names bool) bool {
	size := 0
	for n := range a.Granted {
		g := &a.Granted[n]
		size += len(`{"rsid":"","scopes":[""]},`) + len(g.Resource.ID)
		if names {
			size += len(g.Resource.Name)
		}
		for _, s := range g.Scopes {
			size += len(s)
		}
		if size/3*4 > most {
			return true
		}
	}
	return false
}
