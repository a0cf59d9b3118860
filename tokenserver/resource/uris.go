package resource

import (
	"cmp"
	"slices"
	"strings"
)

// uris finds resources by where they are. Of all claims that fit a path, whatever they look like, the oldest says whose the path
// is: its namespace's. Within the namespace the most specific one counts. So nobody gets a path out of what another namespace has
// by claiming it in other words, and what is one's own can be divided.
type uris struct {
	literal  map[string]claim
	patterns patterns
	// count is how many patterns of each namespace there are; no more than maxPatterns count.
	count map[string]int
}

// maxPatterns is how many uris with {name} or /* of a namespace count at an audience. With more of them a tenant could have
// others wait for a search through all of them.
const maxPatterns = 256

// placeholder stands in a claim for every {name}. No text has it, and it sorts behind all that text can have.
const placeholder = "\xff"

// patternClaim is a claim of one that is not literal.
type patternClaim struct {
	text string
	by   claimant
}

// newURIs takes the claims of resources.
func newURIs(resources []*Resource) uris {
	u := uris{literal: make(map[string]claim, len(resources)), count: map[string]int{}}
	of := map[string][]patternClaim{}
	for _, r := range resources {
		for _, c := range r.Claims {
			by := claimant{r, c.Since.Unix()}
			if text, isPattern := claimOf(c.URI); isPattern {
				of[r.Namespace] = append(of[r.Namespace], patternClaim{text, by})
				continue
			}
			held := u.literal[c.URI]
			held.add(by)
			u.literal[c.URI] = held
		}
	}
	var all []*pattern
	for namespace, claims := range of {
		u.count[namespace] = len(claims)
		if len(claims) > maxPatterns {
			slices.SortFunc(claims, func(a, b patternClaim) int { return cmp.Or(a.by.compare(b.by), strings.Compare(a.text, b.text)) })
			claims = claims[:maxPatterns]
		}
		for _, c := range claims {
			if added := u.patterns.add(c.text, c.by); added != nil {
				all = append(all, added)
			}
		}
	}
	slices.SortFunc(all, func(a, b *pattern) int { return a.first.compare(b.first) })
	for order, p := range all {
		p.order = order
	}
	return u
}

// claimOf is the uri without the names of its placeholders, and whether it is a pattern. Two uris with one claim match the same
// paths: whoever came second must not get them by calling {id} otherwise.
func claimOf(uri string) (text string, isPattern bool) {
	if !strings.Contains(uri, "{") {
		return uri, strings.HasSuffix(uri, "/*")
	}
	segments := strings.Split(uri, "/")
	for i, s := range segments {
		if isPlaceholder(s) {
			segments[i], isPattern = placeholder, true
		}
	}
	return strings.Join(segments, "/"), isPattern || strings.HasSuffix(uri, "/*")
}

// match returns whose a path is.
func (u *uris) match(path string) *Resource {
	literal, fit := u.literal[path], u.patterns.search(search{path: path})
	namespace, found := oldest(&literal, fit.found)
	if !found {
		return nil
	}
	if r := literal.of(namespace); r != nil {
		return r
	}
	best := fit.found
	if fit.count > 1 {
		best = u.patterns.search(search{path: path, namespace: namespace}).found
	}
	return best.of(namespace)
}

// holder returns who holds a uri, and the namespace that all is of that it matches. There is no holder if the namespace does not
// claim it in these words, and no namespace if nobody does in any.
func (u *uris) holder(uri string) (holder *Resource, namespace string) {
	text, isPattern := claimOf(uri)
	var itself claim
	trimmed, rest := text, false
	if isPattern {
		trimmed, rest = strings.CutSuffix(text, "/*")
		itself = u.patterns.at(trimmed, rest)
	} else {
		itself = u.literal[text]
	}
	namespace, _ = oldest(&itself, u.patterns.search(search{path: trimmed, rest: rest}).found)
	return itself.of(namespace), namespace
}

// oldest is the namespace of the older of two claims, of which there may be none.
func oldest(one *claim, more *pattern) (namespace string, found bool) {
	first := one.first
	if more != nil && (first.resource == nil || more.first.older(first)) {
		first = more.first
	}
	if first.resource == nil {
		return "", false
	}
	return first.resource.Namespace, true
}
