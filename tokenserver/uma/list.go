package uma

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// Bounds of a list.
const (
	entriesUnsaid = 100
	mostEntries   = 1000
	mostFirst     = 1_000_000
	// largestList is how large one with whole resources is at most, in bytes.
	largestList = 4 << 20
)

// page is a part of a list.
type page struct{ first, most int }

// queryOf reads the parameters, of which none may come twice.
func queryOf(r *http.Request, names ...string) (url.Values, page, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, page{}, httpx.BadRequest("the query is malformed")
	}
	if err := httpx.Once(query, append(names, "first", "max")...); err != nil {
		return nil, page{}, err
	}
	p := page{most: entriesUnsaid}
	if query.Has("first") {
		if p.first, err = strconv.Atoi(query.Get("first")); err != nil || p.first < 0 || p.first > mostFirst {
			return nil, page{}, httpx.BadRequest("first must be a number from 0 to " + strconv.Itoa(mostFirst))
		}
	}
	if query.Has("max") {
		if p.most, err = strconv.Atoi(query.Get("max")); err != nil || p.most < 1 || p.most > mostEntries {
			return nil, page{}, httpx.BadRequest("max must be a number from 1 to " + strconv.Itoa(mostEntries))
		}
	}
	return query, p, nil
}

// cut returns the page's part of a list.
func cut[T any](all []T, p page) []T {
	all = all[min(p.first, len(all)):]
	return all[:min(p.most, len(all))]
}

// listResources answers with ids, or with all of the resources, in the order of the ids.
func (s *Server) listResources(w http.ResponseWriter, r *http.Request, p *session) error {
	query, part, err := queryOf(r, "_id", "name", "exactName", "uri", "matchingUri", "owner", "type", "scope", "deep")
	if err != nil {
		return err
	}
	deep, err := boolOf(query, "deep", false)
	if err != nil {
		return err
	}
	found, err := matching(p, query)
	if err != nil {
		return err
	}
	found = cut(found, part)
	if !deep {
		noStore(w.Header())
		ids := make([]string, len(found))
		for n, one := range found {
			ids[n] = one.ID
		}
		httpx.WriteJSON(w, http.StatusOK, ids)
		return nil
	}
	return s.writeWhole(w, found)
}

// writeWhole writes resources as they are, unless that is too much: how many attributes one has is up to tenants.
func (s *Server) writeWhole(w http.ResponseWriter, found []*resource.Resource) error {
	whole, size := make([]json.RawMessage, len(found)), 0
	for n, one := range found {
		text, err := json.Marshal(s.described(one))
		if err != nil {
			return httpx.Internal(err)
		}
		if size += len(text); size > largestList {
			return httpx.BadRequest("the answer would be larger than 4 MiB: ask for fewer by max, or for the ids")
		}
		whole[n] = text
	}
	noStore(w.Header())
	httpx.WriteJSON(w, http.StatusOK, whole)
	return nil
}

// matching are the resources that fit all filters.
func matching(p *session, query url.Values) ([]*resource.Resource, error) {
	exact, err := boolOf(query, "exactName", false)
	if err != nil {
		return nil, err
	}
	byPattern, err := boolOf(query, "matchingUri", false)
	if err != nil {
		return nil, err
	}
	catalog, audience := p.from.Resources, p.audience()
	var at *resource.Resource
	if query.Has("uri") {
		if at = catalog.ByURI(audience, query.Get("uri")); byPattern {
			at = catalog.Matching(audience, query.Get("uri"))
		}
	}
	candidates := catalog.All(audience)
	switch {
	case query.Has("_id"):
		candidates = []*resource.Resource{catalog.ByID(audience, query.Get("_id"))}
	case query.Has("uri"):
		candidates = []*resource.Resource{at}
	case query.Has("type"):
		candidates = catalog.OfType(audience, query.Get("type"))
	case query.Has("scope"):
		candidates = catalog.WithScope(audience, query.Get("scope"))
	}
	fits := func(r *resource.Resource) bool {
		return r != nil && (!query.Has("uri") || r == at) && (!query.Has("scope") || r.Has(query.Get("scope"))) &&
			is(query, "owner", r.Owner) && is(query, "type", r.Type) && isName(query.Get("name"), exact && query.Has("name"), r.Name)
	}
	var found []*resource.Resource
	for _, r := range candidates {
		if fits(r) {
			found = append(found, r)
		}
	}
	if exact && query.Has("name") && len(found) > 1 {
		// Who asks for a name means one resource: the one that holds it, as Catalog.Find has it.
		found = []*resource.Resource{slices.MinFunc(found, func(a, b *resource.Resource) int {
			return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Object, b.Object))
		})}
	}
	return found, nil
}

// isName compares whole names, or looks for a part of one whatever its case.
func isName(filter string, exact bool, name string) bool {
	return name == filter || !exact && strings.Contains(strings.ToLower(name), strings.ToLower(filter))
}

// is says whether a filter that is given says the value.
func is(query url.Values, name, value string) bool {
	return !query.Has(name) || query.Get(name) == value
}
