package permission

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// MaxParameters is how many permissions one request may ask for.
	MaxParameters = 1000
	// MaxInTicket is how many a ticket may hold.
	MaxInTicket = 256
	// maxText is the longest permission in bytes.
	maxText = 4096
)

// The errors of Parse and Resolve. What wraps them can be shown to the client: it repeats nothing of the request.
var (
	// ErrMalformed says that a permission cannot be read.
	ErrMalformed = errors.New("a permission is malformed")
	// ErrUnknownResource says that a permission names no resource of the audience, and ErrUnknownScope that it names a scope
	// which the resource does not have.
	ErrUnknownResource = errors.New("the resource is not known at this audience")
	ErrUnknownScope    = errors.New("the resource has no such scope")
)

// Form says how resources are named.
type Form struct {
	// ByURI says by their uris, and Matching by a path that one of their uris fits to.
	ByURI, Matching bool
}

// Query is what is asked, parsed. The zero value asks for everything.
type Query struct {
	form  Form
	named []named
	sets  []set
}

// named is a resource that is asked for by itself.
type named struct {
	text string
	// scopes are sorted and unique; none are all of the resource.
	scopes []string
	// at is which parameter it was, counted from one.
	at int
}

// which tells sets of resources apart.
type which struct {
	kind setKind
	typ  string
}

type setKind string

// The kinds of sets, as they are spelled.
const (
	// ofAudience are all that have the scope.
	ofAudience setKind = ""
	// ofType are all of the type, as anyOfType are; instances are those that have an owner, and owned those of the caller.
	ofType    setKind = "resource-type"
	anyOfType setKind = "resource-type-any"
	instances setKind = "resource-type-instance"
	owned     setKind = "resource-type-owner"
)

// set is many resources that are asked for together. Sets of the same resources are one, so that no request walks through all
// resources more than a few times.
type set struct {
	which
	// scopes are sorted and unique. All says that all of each resource are asked for.
	scopes []string
	all    bool
	at     int
}

// Parse reads permissions: `RESOURCE`, `RESOURCE#scope,scope`, `#scope` for every resource that has it, and `resource-type:TYPE`
// with or without scopes, as Keycloak has them. The same resource twice is asked for once, with the scopes of both.
func Parse(parameters []string, form Form) (*Query, error) {
	if len(parameters) > MaxParameters {
		return nil, fmt.Errorf("%w: at most %d can be asked for at once", ErrMalformed, MaxParameters)
	}
	q := &Query{form: form}
	known, sets := map[string]int{}, map[which]int{}
	for n, text := range parameters {
		resource, scopes, err := split(text)
		if err != nil {
			return nil, fmt.Errorf("permission number %d: %w", n+1, err)
		}
		if w, ok := setOf(resource, form); ok {
			at, found := sets[w]
			if !found {
				at = len(q.sets)
				q.sets, sets[w] = append(q.sets, set{which: w, at: n + 1}), at
			}
			q.sets[at].scopes = append(q.sets[at].scopes, scopes...)
			q.sets[at].all = q.sets[at].all || len(scopes) == 0
			continue
		}
		q.name(known, resource, scopes, n+1)
	}
	for n := range q.named {
		q.named[n].scopes = unique(q.named[n].scopes)
	}
	for n := range q.sets {
		q.sets[n].scopes = unique(q.sets[n].scopes)
	}
	return q, nil
}

// name asks for one resource, or for more of one that is asked for.
func (q *Query) name(known map[string]int, resource string, scopes []string, number int) {
	at, found := known[resource]
	switch {
	case !found:
		known[resource] = len(q.named)
		q.named = append(q.named, named{text: resource, scopes: scopes, at: number})
	case len(scopes) == 0 || len(q.named[at].scopes) == 0:
		q.named[at].scopes = nil // all of them, whatever else is asked for
	default:
		q.named[at].scopes = append(q.named[at].scopes, scopes...)
	}
}

// Parameter is one resource and what is to be done with it, where requests have them apart.
type Parameter struct {
	// Resource is an id or a name.
	Resource string
	Scopes   []string
}

// Named is Parse for resources that are named one by one.
func Named(parameters []Parameter) (*Query, error) {
	if len(parameters) > MaxParameters {
		return nil, fmt.Errorf("%w: at most %d can be asked for at once", ErrMalformed, MaxParameters)
	}
	q, known := &Query{}, map[string]int{}
	for n, p := range parameters {
		if p.Resource == "" || len(p.Resource) > maxText {
			return nil, fmt.Errorf("permission number %d: %w: it must name a resource", n+1, ErrMalformed)
		}
		q.name(known, p.Resource, slices.Clone(p.Scopes), n+1)
	}
	for n := range q.named {
		q.named[n].scopes = unique(q.named[n].scopes)
	}
	return q, nil
}

// split cuts at the last #: no scope has one, and a name may.
func split(text string) (resource string, scopes []string, err error) {
	if text == "" || len(text) > maxText {
		return "", nil, fmt.Errorf("%w: it must have 1 to %d bytes", ErrMalformed, maxText)
	}
	at := strings.LastIndexByte(text, '#')
	if at < 0 {
		return text, nil, nil
	}
	for scope := range strings.SplitSeq(text[at+1:], ",") {
		if scope = strings.TrimSpace(scope); scope == "" {
			return "", nil, fmt.Errorf("%w: a scope is empty", ErrMalformed)
		}
		scopes = append(scopes, scope)
	}
	return text[:at], scopes, nil
}

// setOf says which set of resources is meant, if it is one. A uri never is.
func setOf(resource string, form Form) (which, bool) {
	if resource == "" {
		return which{kind: ofAudience}, true
	}
	if form.ByURI {
		return which{}, false
	}
	prefix, typ, found := strings.Cut(resource, ":")
	if !found || typ == "" {
		return which{}, false
	}
	switch kind := setKind(prefix); kind {
	case ofType, anyOfType:
		return which{ofType, typ}, true // one set
	case instances, owned:
		return which{kind, typ}, true
	}
	return which{}, false
}

// unique sorts the texts, and has each once.
func unique(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}
