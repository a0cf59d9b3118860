package tokenserver

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/uma/enforce"
)

// resourceServer serves orders behind the middleware, which finds the token server by its metadata.
type resourceServer struct {
	*umaWorld
	orders *httptest.Server
}

func startResourceServer(t *testing.T, keycloak bool, change func(*enforce.Config)) *resourceServer {
	t.Helper()
	return protect(t, startUMA(t, func(options *Options, parts *Parts, _ *snapshot.Input) {
		options.UMAKeycloak = keycloak
		options.Issuer = "http://" + options.Listener.Addr().String()
		// Nothing is registered here: the catalog has what is there.
		parts.Registrations = registration.New(registration.Options{Snapshots: parts.Snapshots, Now: time.Now, Log: logr.Discard()})
	}), change)
}

// protect runs the resource server; change may be nil.
func protect(t *testing.T, w *umaWorld, change func(*enforce.Config)) *resourceServer {
	t.Helper()
	config := enforce.Config{
		Issuer: w.url, Audience: api, Login: enforce.Login{Username: "rs", Password: "rs-secret"},
		Paths: []enforce.Path{
			{Pattern: "/orders/*", ByURI: true, Methods: map[string][]string{"GET": {"read"}, "PUT": {"read", "write"}}},
			{Pattern: "/second", Name: "Order 2", Scopes: []string{"read"}},
			{Pattern: "/vault", Resource: "photos/vault", Scopes: []string{"open"}},
		},
		Claims: func(r *http.Request) map[string][]string { return map[string][]string{"ward": {r.Header.Get("Ward")}} },
		Report: func(_ context.Context, err error) { t.Errorf("not decided: %v", err) },
	}
	if change != nil {
		change(&config)
	}
	enforcer, err := enforce.New(config)
	if err != nil {
		t.Fatal(err)
	}
	orders := httptest.NewServer(enforcer.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := enforce.FromContext(r.Context())
		fmt.Fprintf(w, "%s for %s", r.URL.Path, token.Subject)
	})))
	t.Cleanup(orders.Close)
	return &resourceServer{w, orders}
}

// ask asks the resource server, with or without a token.
func (s *resourceServer) ask(t *testing.T, method, path, rpt string, header ...string) reply {
	t.Helper()
	request, err := http.NewRequest(method, s.orders.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if rpt != "" {
		request.Header.Set("Authorization", "Bearer "+rpt)
	}
	for n := 0; n < len(header); n += 2 {
		request.Header.Set(header[n], header[n+1])
	}
	return s.do(t, request)
}

// challenge asks, and returns the ticket of the challenge.
func (s *resourceServer) challenge(t *testing.T, method, path, rpt string, header ...string) string {
	t.Helper()
	answer := s.ask(t, method, path, rpt, header...)
	begins := fmt.Sprintf("UMA realm=%q, as_uri=%q, ticket=\"", api, s.url)
	ticket, found := strings.CutPrefix(answer.header.Get("WWW-Authenticate"), begins)
	if answer.status != http.StatusUnauthorized || !found {
		t.Fatalf("%s %s: %d %v", method, path, answer.status, answer.header)
	}
	return strings.TrimSuffix(ticket, `"`)
}

// passes holds that the resource server serves somebody.
func (s *resourceServer) passes(t *testing.T, method, path, rpt, want string) {
	t.Helper()
	if answer := s.ask(t, method, path, rpt); answer.status != http.StatusOK || string(answer.body) != want {
		t.Errorf("%s %s: %d %q, want %q", method, path, answer.status, answer.body, want)
	}
}

// grant exchanges a ticket.
func (s *resourceServer) grant(t *testing.T, aat, ticket string, more ...string) reply {
	t.Helper()
	form := values(append([]string{"grant_type", umaGrant, "ticket", ticket}, more...)...)
	request, err := http.NewRequest(http.MethodPost, s.url+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", "Bearer "+aat)
	return s.do(t, request)
}

const (
	usedMessage   = "the permission ticket was used before"
	deniedMessage = "no policy grants what was asked for"
)

// TestTheEnforcer goes from a challenge to the resource, and back again when the policy has changed, with servers of both spellings.
func TestTheEnforcer(t *testing.T) {
	for name, keycloak := range map[string]bool{"kantara": false, "keycloak": true} {
		t.Run(name, func(t *testing.T) { enforced(t, keycloak) })
	}
}

func enforced(t *testing.T, keycloak bool) {
	s := startResourceServer(t, keycloak, nil)
	usedBefore := said{403, problemOf("invalid_ticket", usedMessage)}.or(keycloak, 400, problemOf("invalid_grant", usedMessage))
	nothingGranted := denies.or(keycloak, 403, problemOf("request_denied", deniedMessage))
	alice := s.aat(t, "alice", "secret", api, "uma_authorization")

	ticket := s.challenge(t, http.MethodGet, "/orders/17", "")
	rpt := s.grant(t, alice, ticket).text(t, "access_token")
	s.passes(t, http.MethodGet, "/orders/17", rpt, "/orders/17 for alice")
	usedBefore.by(t, "the ticket was for one use", s.grant(t, alice, ticket))

	wider := s.grant(t, alice, s.challenge(t, http.MethodPut, "/orders/17", rpt), "rpt", rpt).text(t, "access_token")
	s.passes(t, http.MethodPut, "/orders/17", wider, "/orders/17 for alice")
	s.challenge(t, http.MethodGet, "/second", wider)
	second := s.grant(t, alice, s.challenge(t, http.MethodGet, "/second", wider), "rpt", wider).text(t, "access_token")
	s.passes(t, http.MethodGet, "/second", second, "/second for alice")
	s.passes(t, http.MethodGet, "/orders/17", second, "/orders/17 for alice")

	s.challenge(t, http.MethodGet, "/orders/17", alice) // an access token is no permission
	nothingGranted.by(t, "nobody may", s.grant(t, alice, s.challenge(t, http.MethodGet, "/vault", second)))
	if answer := s.ask(t, http.MethodDelete, "/orders/17", wider); answer.status != http.StatusForbidden {
		t.Errorf("a method without scopes: %d", answer.status)
	}

	s.replace(func(input *snapshot.Input) {
		input.Policies = fixture.Policies(t, fixture.Cluster("protects", users("rs"), oauthRule(api, "uma_protection"), nil))
	})
	next := s.challenge(t, http.MethodGet, "/orders/17", "")
	nothingGranted.by(t, "the policy has changed", s.grant(t, alice, next))
	usedBefore.by(t, "and the ticket is used up", s.grant(t, alice, next))
	s.passes(t, http.MethodGet, "/orders/17", rpt, "/orders/17 for alice") // what was granted is good until it ends
}

// TestTheEnforcersClaims has what the resource server says of a request reach the policies.
func TestTheEnforcersClaims(t *testing.T) {
	s := startResourceServer(t, false, nil)
	bob := s.aat(t, "bob", "hunter2", api, "uma_authorization")
	rpt := s.grant(t, bob, s.challenge(t, http.MethodGet, "/second", "", "Ward", "7")).text(t, "access_token")
	s.passes(t, http.MethodGet, "/second", rpt, "/second for bob")
	s.grant(t, bob, s.challenge(t, http.MethodGet, "/second", "", "Ward", "8")).
		is(t, "another ward", 403, problemOf("request_denied", deniedMessage))
}

// TestTheEnforcerAsks has the middleware ask about each token: one that was revoked, and one whose resource is gone, is refused.
func TestTheEnforcerAsks(t *testing.T) {
	s := startResourceServer(t, false, func(config *enforce.Config) {
		config.Introspect, config.Cache.Lifetime = true, time.Nanosecond
	})
	alice := s.aat(t, "alice", "secret", api, "uma_authorization")
	first := s.grant(t, alice, s.challenge(t, http.MethodGet, "/orders/17", "")).text(t, "access_token")
	second := s.grant(t, alice, s.challenge(t, http.MethodGet, "/second", "")).text(t, "access_token")
	s.passes(t, http.MethodGet, "/orders/17", first, "/orders/17 for alice")
	s.passes(t, http.MethodGet, "/second", second, "/second for alice")

	if answer := s.form(t, "/revoke", "alice", "secret", values("token", first)); answer.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", answer.status, answer.body)
	}
	s.challenge(t, http.MethodGet, "/orders/17", first)
	s.replace(func(input *snapshot.Input) { input.Resources = input.Resources.With(api, protected(t)[1:2]) })
	s.passes(t, http.MethodGet, "/second", second, "/second for alice")
	if answer := s.ask(t, http.MethodGet, "/orders/17", second); answer.status != http.StatusForbidden {
		t.Errorf("the resource is gone: %d", answer.status)
	}
}
