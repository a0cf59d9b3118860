package enforce

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
)

// Enforcer lets requests through that have a token for what they ask. It is safe for concurrent use.
type Enforcer struct {
	config    Config
	paths     *paths
	authority *authority

	endpoints kept[Endpoints]
	keys      kept[*keySet]
	pat       kept[string]

	// tokens are those that were verified, by their digest; resources the ids that were looked up, and nowhere the look-ups that found
	// none: anybody can think of paths, which must push nothing else out.
	tokens         *cache[[sha256.Size]byte, verified]
	resources      *cache[string, string]
	nowhere        *cache[string, struct{}]
	introspections flights[[sha256.Size]byte, *Token]
	lookups        flights[string, string]
}

// New returns an Enforcer, or says what is wrong with the configuration. Nothing is sent yet.
func New(config Config) (*Enforcer, error) {
	err := config.complete()
	all, wrong := compilePaths(config.Paths)
	if err := errors.Join(err, wrong); err != nil {
		return nil, fmt.Errorf("configure the enforcer: %w", err)
	}
	e := &Enforcer{
		config: config, paths: all, authority: newAuthority(&config),
		tokens:    newCache[[sha256.Size]byte, verified](config.Cache.MaxEntries),
		resources: newCache[string, string](config.Cache.MaxEntries),
		nowhere:   newCache[string, struct{}](min(maxNowhere, config.Cache.MaxEntries)),
	}
	// What is fetched may have to fetch the metadata first.
	e.endpoints.timeout, e.endpoints.clock, e.endpoints.fetch = config.Timeout, config.Clock, e.discover
	e.keys.timeout, e.keys.clock, e.keys.fetch = 2*config.Timeout, config.Clock, e.fetchKeys
	e.pat.timeout, e.pat.clock, e.pat.fetch = 2*config.Timeout, config.Clock, e.fetchPAT
	return e, nil
}

// Handler protects a handler. The next one finds the token in its context, see FromContext.
func (e *Enforcer) Handler(next http.Handler) http.Handler {
	if e.config.Mode == Disabled {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, problem := target(r)
		p := e.paths.match(path)
		switch {
		case problem != "":
		case hasLower(r.Method):
			problem = "the method has a small letter"
		case e.paths.ambiguous(path, p):
			problem = "the path has a slash at the end more or less than one that is protected"
		}
		if problem != "" {
			refuse(w, http.StatusBadRequest, problem)
			return
		}
		switch {
		case p == nil && e.config.Mode == Permissive, p != nil && p.Public:
			next.ServeHTTP(w, asDecided(r))
		case p == nil:
			refuse(w, http.StatusForbidden, "the path is not served")
		default:
			if token := e.decide(w, r, p, path); token != nil {
				next.ServeHTTP(w, asDecided(r.WithContext(context.WithValue(r.Context(), contextKey{}, token))))
			}
		}
	})
}

// decide returns the token that lets a request in, or nil when it was answered.
func (e *Enforcer) decide(w http.ResponseWriter, r *http.Request, p *Path, path string) *Token {
	scopes := p.scopesOf(r.Method)
	if len(scopes) == 0 {
		refuse(w, http.StatusForbidden, "the method is not served")
		return nil
	}
	bearer, err := bearerOf(r.Header)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return nil
	}
	resource, err := e.resourceOf(r.Context(), p, path)
	if err != nil {
		e.fail(w, r, err)
		return nil
	}
	if bearer != "" {
		token, err := e.verify(r.Context(), bearer)
		switch {
		case err == nil && token.covers(resource, scopes, p.ScopesMode):
			return token
		case err != nil && !errors.Is(err, errInvalid):
			e.fail(w, r, err)
			return nil
		}
	}
	ticket, err := e.ticket(r, resource, scopes)
	if err != nil {
		e.fail(w, r, err)
		return nil
	}
	e.challenge(w, ticket)
	return nil
}
