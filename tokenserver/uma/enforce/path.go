package enforce

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

const (
	maxPaths = 1000
	// maxMethod is the longest method that is taken for a scope.
	maxMethod = 32
)

// ScopesMode says how many of the scopes a token must have.
type ScopesMode int

const (
	// All of them. It is the zero value.
	All ScopesMode = iota
	// Any one of them.
	Any
)

// Path says what resource is behind paths, and what a request must be allowed to do with it. Exactly one of Resource, Name, ByURI
// and Public must be given; and, unless the path is public, scopes.
type Path struct {
	// Pattern has the form of a ProtectedResource's uris: /albums, /albums/{id}, /albums/*. {id} is one segment that is not empty; *
	// is the last segment, and stands for anything and for nothing. The most specific pattern decides: one without {id} and *, or
	// else the one with the longest beginning before them, then the one with more segments, then one without *.
	Pattern string

	// Resource is the id of the resource.
	Resource string
	// Name is its name; the protection API is asked for the id.
	Name string
	// ByURI asks the protection API which resource has the request's path among its uris.
	ByURI bool
	// Public paths are served without a token.
	Public bool

	// Methods are the scopes by HTTP method. Those of GET are also those of HEAD, if HEAD is not named.
	Methods map[string][]string
	// Scopes are those of all other methods. Without them, other methods are refused.
	Scopes []string
	// HTTPMethodAsScope makes the method itself the scope; then Methods and Scopes must be empty.
	HTTPMethodAsScope bool
	// ScopesMode is All, if nothing is said.
	ScopesMode ScopesMode
}

// clone is a path that nobody else changes.
func (p *Path) clone() *Path {
	c := *p
	c.Scopes, c.Methods = slices.Clone(p.Scopes), maps.Clone(p.Methods)
	for method, scopes := range c.Methods {
		c.Methods[method] = slices.Clone(scopes)
	}
	return &c
}

// check says what is wrong with a path. There is no path of which a token for nothing would be good: each method has a scope.
func (p *Path) check() error {
	if problem := patternProblem(p.Pattern); problem != "" {
		return fmt.Errorf("the pattern %q %s", p.Pattern, problem)
	}
	kinds := 0
	for _, given := range []bool{p.Resource != "", p.Name != "", p.ByURI, p.Public} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		return errors.New("exactly one of Resource, Name, ByURI and Public must be given")
	}
	if p.ScopesMode != All && p.ScopesMode != Any {
		return fmt.Errorf("the scopes mode must be All or Any, and is %d", p.ScopesMode)
	}
	scopes := len(p.Methods) > 0 || len(p.Scopes) > 0
	switch {
	case p.Public && (scopes || p.HTTPMethodAsScope):
		return errors.New("a public path must have no scopes")
	case p.HTTPMethodAsScope && scopes:
		return errors.New("HTTPMethodAsScope goes with neither Methods nor Scopes")
	case !p.Public && !p.HTTPMethodAsScope && !scopes:
		return errors.New("one of Methods, Scopes and HTTPMethodAsScope must be given")
	}
	for method, scopes := range p.Methods {
		if hasLower(method) {
			return fmt.Errorf("methods[%q] must have no small letter: such requests are refused", method)
		}
		if method == "" || len(scopes) == 0 || slices.Contains(scopes, "") {
			return fmt.Errorf("methods[%q] must name scopes", method)
		}
	}
	if slices.Contains(p.Scopes, "") {
		return errors.New("scopes must not have an empty one")
	}
	return nil
}

// scopesOf are those that a request with the method needs; none: the method is refused.
func (p *Path) scopesOf(method string) []string {
	if p.HTTPMethodAsScope {
		if len(method) > maxMethod {
			return nil
		}
		return []string{method}
	}
	if scopes := p.Methods[method]; scopes != nil {
		return scopes
	}
	// A HEAD is a GET whose body is not sent.
	if scopes := p.Methods[http.MethodGet]; scopes != nil && method == http.MethodHead {
		return scopes
	}
	return p.Scopes
}
