package resource

import (
	"maps"
	"slices"
	"strings"
)

// Catalog finds resources. It is immutable and safe for concurrent use; a nil Catalog holds none.
type Catalog struct {
	audiences map[string]*shelf
	size      int
}

// shelf holds the resources of one audience.
type shelf struct {
	byID  map[string]*Resource
	words words
	// all is sorted by id; byType and byScope are parts of it, in the same order.
	all     []*Resource
	byType  map[string][]*Resource
	byScope map[string][]*Resource
	uris    uris
}

// With returns a catalog in which the audience has these resources, and no others; the catalog itself stays as it is. All
// must be of the audience and of namespaces that it admits: whoever may not speak of it must hold no claim.
func (c *Catalog) With(audience string, resources []*Resource) *Catalog {
	next := &Catalog{audiences: map[string]*shelf{}}
	if c != nil {
		next.audiences, next.size = maps.Clone(c.audiences), c.size
	}
	if old := next.audiences[audience]; old != nil {
		next.size -= len(old.all)
		delete(next.audiences, audience)
	}
	if len(resources) > 0 {
		s := newShelf(resources)
		next.audiences[audience] = s
		next.size += len(s.all)
	}
	return next
}

func newShelf(resources []*Resource) *shelf {
	s := &shelf{
		byID: make(map[string]*Resource, len(resources)), words: make(words, len(resources)),
		byType: map[string][]*Resource{}, byScope: map[string][]*Resource{},
	}
	for _, r := range slices.SortedFunc(slices.Values(resources), age) {
		if s.byID[r.ID] == nil && s.words.add(r) {
			s.byID[r.ID] = r
			s.all = append(s.all, r)
		}
	}
	s.uris = newURIs(s.all)
	slices.SortFunc(s.all, func(a, b *Resource) int { return strings.Compare(a.ID, b.ID) })
	for _, r := range s.all {
		s.byType[r.Type] = append(s.byType[r.Type], r)
		for _, scope := range r.Scopes {
			s.byScope[scope] = append(s.byScope[scope], r)
		}
	}
	return s
}

// Len is the number of resources that are served.
func (c *Catalog) Len() int {
	if c == nil {
		return 0
	}
	return c.size
}

// shelf returns an empty one where there is none.
func (c *Catalog) shelf(audience string) *shelf {
	if c != nil {
		if s := c.audiences[audience]; s != nil {
			return s
		}
	}
	return &shelf{}
}

// ByID returns the resource of the id, or nil.
func (c *Catalog) ByID(audience, id string) *Resource { return c.shelf(audience).byID[id] }

// Find returns the resource of the id, or else the oldest of the name in the namespace that has the name; nil if there is
// neither.
func (c *Catalog) Find(audience, idOrName string) *Resource {
	s := c.shelf(audience)
	if r := s.byID[idOrName]; r != nil {
		return r
	}
	return s.words[idOrName].named
}

// All returns the resources of the audience, sorted by id. The result is shared: treat it as read-only.
func (c *Catalog) All(audience string) []*Resource { return c.shelf(audience).all }

// OfType is All of one type.
func (c *Catalog) OfType(audience, typ string) []*Resource { return c.shelf(audience).byType[typ] }

// WithScope is All that have the scope.
func (c *Catalog) WithScope(audience, scope string) []*Resource {
	return c.shelf(audience).byScope[scope]
}

// ByURI returns the resource that holds the very uri, or nil. What a placeholder is called makes no difference.
func (c *Catalog) ByURI(audience, uri string) *Resource {
	holder, _ := c.shelf(audience).uris.holder(uri)
	return holder
}

// Matching returns the resource that a path is of. Of all claims that fit it the oldest decides, by its namespace, and among those
// of that namespace the one that fits best: the one that is equal, or else the pattern with the longest literal beginning, then
// the one with more segments, then one that ends before one with /*. It is nil if none fits.
//
// Paths are compared as they are given, byte by byte: /a/../b, /a//b, /a%2Fb, /A/b and /a/b/ are five others than /a/b. Whoever
// asks must pass what its own router goes by: the path after decoding it once and cleaning it, without query and fragment, and
// must refuse a request whose path has an encoded slash if anything behind it decodes again. An absolute URI has its scheme and
// host in lower case, and no port that its scheme has anyway.
func (c *Catalog) Matching(audience, path string) *Resource {
	return c.shelf(audience).uris.match(path)
}
