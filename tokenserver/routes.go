package tokenserver

import (
	"crypto/rand"
	"net/http"
	"runtime"
	"slices"

	"github.com/tokenwright/tokenwright/tokenserver/discovery"
	"github.com/tokenwright/tokenwright/tokenserver/docker"
	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/ident"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/oauth"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/statuslist"
	"github.com/tokenwright/tokenwright/tokenserver/uma"
)

// routes are all paths of the API listener.
func (s *server) routes() http.Handler {
	granter := s.granter()
	limits := granter.Stores
	token, others := docker.Endpoint{Granter: granter}, oauth.Server{Granter: granter, Limits: limits}
	keys := discovery.JWKS{Snapshots: s.parts.Snapshots, MaxAge: s.options.JWKSMaxAge, Fence: s.parts.Fence}
	nothing := func(http.ResponseWriter, *http.Request, *httpx.Exchange) error { return httpx.NotFound() }
	endpoints := map[string]http.Handler{
		docker.Path:          s.endpoint(docker.Name, docker.Methods(), s.whenSynced(token.Handle), docker.WriteError),
		discovery.Path:       s.endpoint(discovery.Name, discovery.Methods(), s.whenSynced(keys.Handle), httpx.WritePlainError),
		oauth.PathIntrospect: s.endpoint(oauth.NameIntrospect, oauth.Methods(), s.whenSynced(others.Introspect), oauth.WriteError),
	}
	if s.revokes() {
		endpoints[oauth.PathRevoke] = s.endpoint(oauth.NameRevoke, oauth.Methods(), s.whenSynced(others.Revoke), oauth.WriteError)
		lists := &discovery.StatusLists{Snapshots: s.parts.Snapshots, Records: s.parts.Records.Index(), Issuer: granter.Issuer, Current: s.current}
		endpoints[discovery.PathStatusLists] = s.endpoint(discovery.NameStatusLists, discovery.Methods(), s.whenSynced(lists.Handle), httpx.WritePlainError)
		endpoints[discovery.PathAggregation] = s.endpoint(discovery.NameStatusLists, discovery.Methods(), s.whenSynced(lists.Aggregate), httpx.WritePlainError)
	}
	if s.options.IdentAudience != "" {
		s.identRoutes(endpoints, &ident.Server{
			Granter: granter, Audience: s.options.IdentAudience, KeysMaxAge: s.options.JWKSMaxAge, Wait: limits.Wait,
		})
	}
	if s.options.UMA {
		token.UMA = s.umaRoutes(endpoints, granter).Token
	}
	s.metadataRoutes(endpoints)
	return httpx.Routes(s.options.PathPrefix, endpoints, s.endpoint("none", nil, nothing, httpx.WritePlainError))
}

// identRoutes adds the paths of the Provide Ident API.
func (s *server) identRoutes(endpoints map[string]http.Handler, api *ident.Server) {
	add := func(path, name string, handle handler) {
		endpoints[path] = s.endpoint(name, api.Methods(name), s.whenSynced(handle), ident.WriteError)
	}
	add(ident.PathAuthenticate, ident.NameAuthenticate, api.Authenticate)
	add(ident.PathTokens, ident.NameTokens, api.Tokens)
	add(ident.PathToken, ident.NameToken, api.Delete)
	add(ident.PathKeys, ident.NameKeys, api.Keys)
}

// umaRoutes adds the paths of package uma.
func (s *server) umaRoutes(endpoints map[string]http.Handler, granter *grant.Granter) *uma.Server {
	base, _ := discovery.Base(s.options.Issuer, s.options.PathPrefix)
	api := &uma.Server{
		Granter: granter, Registrations: s.parts.Registrations, Base: base, Wait: granter.Stores.Wait, Keycloak: s.options.UMAKeycloak, AccessToken: s.options.UMA1AccessToken,
	}
	for _, r := range api.Routes() {
		endpoints[r.Path] = s.endpoint(r.Name, r.Methods, s.whenSynced(r.Handle), api.WriteError)
	}
	if _, ok := discovery.Base(s.options.Issuer, s.options.PathPrefix); ok {
		point := s.endpoint(uma.NameAuthZEN, discovery.Methods(), s.whenSynced(api.DecisionPoint(s.options.Issuer)), httpx.WritePlainError)
		for _, path := range discovery.Paths(s.options.Issuer, s.options.PathPrefix, uma.PathAuthZEN) {
			endpoints[path] = point
		}
	}
	return api
}

// metadataRoutes adds the documents that clients find the server by, if they can: the issuer must be a URL.
func (s *server) metadataRoutes(endpoints map[string]http.Handler) {
	metadata := s.metadata()
	if metadata == nil {
		return
	}
	add := func(document *discovery.Metadata, at ...string) {
		for _, path := range discovery.Paths(s.options.Issuer, s.options.PathPrefix, at...) {
			endpoints[path] = s.endpoint(discovery.NameMetadata, discovery.Methods(), s.whenSynced(document.Handle), httpx.WritePlainError)
		}
	}
	add(metadata, discovery.PathOAuth, discovery.PathOpenID)
	if s.options.UMA {
		protects := *metadata
		protects.Known.Scopes = []string{issue.ScopeUMA, issue.ActionUMA}
		if base, ok := discovery.Base(s.options.Issuer, s.options.PathPrefix); ok && s.parts.Registrations != nil && s.revokes() {
			protects.Known.PermissionEndpoint, protects.Known.RegistrationEndpoint = base+uma.PathPermission, base+uma.PathResources
		}
		add(&protects, discovery.PathUMA)
	}
}

// revokes says whether there is where revocations can be stored: a cluster.
func (s *server) revokes() bool { return s.parts.Records != nil && len(s.options.Manifests) == 0 }

func (s *server) granter() *grant.Granter {
	lists, _ := discovery.Base(s.options.Issuer, s.options.PathPrefix)
	granter := &grant.Granter{
		Snapshots: s.parts.Snapshots, Authenticator: s.parts.Authenticator, Audit: s.audit, Metrics: s.metrics, Log: s.options.Log,
		Current: s.current, Logins: record.NewLoginLimits(), Stores: &record.Limits{}, Requests: s.parts.Requests,
		Walks: grant.NewWalks(2 * runtime.GOMAXPROCS(0)),
		Issuer: &issue.Issuer{
			Name: s.options.Issuer, Audit: s.audit, Metrics: s.metrics, Random: rand.Reader, Explain: s.options.AuditExplain,
			Fence: s.parts.Fence, Log: s.options.Log, Lists: lists,
		},
	}
	if s.revokes() {
		granter.Records = s.parts.Records // without a cluster whoever asks for a refresh token gets none, and no error
	}
	return granter
}

// metadata is what clients can find out about the server; nil if the issuer is not a URL, by which they would look for it.
func (s *server) metadata() *discovery.Metadata {
	base, ok := discovery.Base(s.options.Issuer, s.options.PathPrefix)
	if !ok {
		return nil
	}
	callers := []string{"client_secret_basic", "Bearer"}
	known := discovery.Document{
		Issuer: s.options.Issuer, JWKS: base + discovery.Path, TokenEndpoint: base + docker.Path,
		IntrospectionEndpoint: base + oauth.PathIntrospect, IntrospectionAuthMethods: callers,
		GrantTypes: docker.GrantTypes(s.options.UMA), TokenAuthMethods: []string{"none", "client_secret_basic"},
	}
	if !s.revokes() { // nor is there a record of a refresh token
		known.GrantTypes = slices.DeleteFunc(known.GrantTypes, func(name string) bool { return name == docker.GrantRefresh })
	} else {
		known.RevocationEndpoint, known.RevocationAuthMethods = base+oauth.PathRevoke, callers
		known.StatusLists = statuslist.AggregationURI(base)
	}
	return &discovery.Metadata{Snapshots: s.parts.Snapshots, Known: known, MaxAge: s.options.JWKSMaxAge, Fence: s.parts.Fence}
}
