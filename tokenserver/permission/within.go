package permission

import (
	"slices"

	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// Within returns what of the asks lies within the scopes of a token: it gives no more than it says. Whole is false if a resource
// that the client named is left out.
//
// A scope names a resource of its type by the id, or by the name of its object as rules do, if no other namespace has one of that
// name: else it would reach for what another tenant made, whoever it was meant for.
func Within(catalog *resource.Catalog, audience string, asks []Ask, has []scope.Scope) (within []Ask, whole bool) {
	may := reached(catalog, audience, has)
	whole = true
	for _, ask := range asks {
		actions := may[ask.Resource]
		scopes := slices.DeleteFunc(slices.Clone(ask.Scopes), func(s string) bool { return !slices.Contains(actions, s) })
		if len(scopes) == 0 {
			whole = whole && !ask.Named
			continue
		}
		ask.Scopes = scopes
		within = append(within, ask)
	}
	return within, whole
}

// reached are the resources that scopes name, with what they say may be done. It walks through the resources of each type once.
func reached(catalog *resource.Catalog, audience string, has []scope.Scope) map[*resource.Resource][]string {
	named := map[string]map[string][]string{}
	for _, s := range has {
		if named[s.Type] == nil {
			named[s.Type] = map[string][]string{}
		}
		named[s.Type][s.Name] = append(named[s.Type][s.Name], s.Actions...)
	}
	may := map[*resource.Resource][]string{}
	for typ, names := range named {
		objects := map[string]*resource.Resource{}
		shared := map[string]bool{}
		for _, r := range catalog.OfType(audience, typ) {
			if actions, found := names[r.ID]; found {
				may[r] = append(may[r], actions...)
			}
			if _, found := names[r.Object]; found {
				shared[r.Object] = shared[r.Object] || objects[r.Object] != nil
				objects[r.Object] = r
			}
		}
		for name, r := range objects {
			other := catalog.ByID(audience, name) // whose id is the name of another's object
			if !shared[name] && (other == nil || other.Namespace == r.Namespace) {
				may[r] = append(may[r], names[name]...)
			}
		}
	}
	return may
}
