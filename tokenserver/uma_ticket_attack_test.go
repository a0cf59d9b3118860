package tokenserver

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// plainly verifies as a resource server with a library does that looks at signature, iss, aud and exp, and at no typ.
func (w *umaWorld) plainly(t *testing.T, text, audience string) (map[string]any, error) {
	t.Helper()
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal((ask{path: "/.well-known/jwks.json"}).send(t, w.running).body, &keys); err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	var all map[string]any
	if err := parsed.Claims(keys, &claims, &all); err != nil {
		t.Fatal(err)
	}
	return all, claims.Validate(jwt.Expected{Issuer: issuerName, AnyAudience: jwt.Audience{audience}, Time: time.Now()})
}

// submitted is the ticket for the next try of an answer that says that owners were asked.
func (r reply) submitted(t testing.TB) string {
	t.Helper()
	ticket, _ := fields(t, r.body)["ticket"].(string)
	if r.status != http.StatusForbidden || ticket == "" {
		t.Fatalf("no owner was asked: %d %s", r.status, r.body)
	}
	return ticket
}

// TestATicketIsNoTokenAtAResourceServer sends one as a bearer: it says what somebody wants, which must not be taken for what
// somebody may.
func TestATicketIsNoTokenAtAResourceServer(t *testing.T) {
	w := startUMA(t, nil)
	first := w.ticket(t, nil, token.Permission{ID: "beach", Scopes: []string{"view"}})
	next := w.form(t, "/token", "bob", "hunter2", umaForm("ticket", first, "submit_request", "true")).submitted(t)
	for name, text := range map[string]string{"from the protection API": first, "for the next try": next} {
		claims, err := w.plainly(t, text, api)
		if !errors.Is(err, jwt.ErrInvalidAudience) {
			t.Errorf("a ticket %s is taken at the resource server: %v", name, err)
		}
		for _, claim := range []string{"permissions", "authorization", "scope", "sub", "client_id", "azp", "access"} {
			if claims[claim] != nil {
				t.Errorf("a ticket %s says %s: %v", name, claim, claims[claim])
			}
		}
	}
	rpt := w.form(t, "/token", "alice", "secret", umaForm("permission", "orders/eu-1#read")).text(t, "access_token")
	if _, err := w.plainly(t, rpt, api); err != nil {
		t.Errorf("an RPT is taken: %v", err)
	}
}

// TestTicketsThatTheServerDidNotMakeSo signs tickets with keys of the server that do not say what the server would.
func TestTicketsThatTheServerDidNotMakeSo(t *testing.T) {
	w := startUMA(t, nil)
	ticket := func(audience string, change func(map[string]any)) string {
		return w.sign(t, token.TypeTicket, audience, func(c map[string]any) {
			for _, name := range []string{"sub", "client_id", "scope"} {
				delete(c, name)
			}
			id, err := token.NewID(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			c["jti"], c["aud"], c["tokenwright.dev/resource_server"], c["tokenwright.dev/requested_by"] = id, issuerName, api, "rs"
			c["tokenwright.dev/permissions"] = []any{map[string]any{"rsid": "orders/eu-1", "scopes": []string{"read"}}}
			if change != nil {
				change(c)
			}
		})
	}
	notOurs := problemOf("invalid_grant", "the permission ticket is not one of this server")
	cases := map[string]struct {
		reason, ticket string
		status         int
		want           string
	}{
		"As the server makes it":        {"", ticket(api, nil), 200, `{"result":true}`},
		"By another resource server's":  {"its key serves that one only", ticket(otherAPI, nil), 400, notOurs},
		"For the resource server":       {"it would be taken there", ticket(api, func(c map[string]any) { c["aud"] = api }), 400, notOurs},
		"Of no resource server":         {"", ticket(api, func(c map[string]any) { delete(c, "tokenwright.dev/resource_server") }), 400, notOurs},
		"Of an unknown resource server": {"", ticket(api, func(c map[string]any) { c["tokenwright.dev/resource_server"] = issuerName }), 400, notOurs},
		"With permissions of an RPT": {
			"they are no permissions of a ticket", ticket(api, func(c map[string]any) {
				c["permissions"] = c["tokenwright.dev/permissions"]
				delete(c, "tokenwright.dev/permissions")
			}), 403, problemOf("request_denied", "no policy grants what was asked for"),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w.form(t, "/token", "alice", "secret", umaForm("ticket", tc.ticket, "response_mode", "decision")).is(t, tc.reason, tc.status, tc.want)
		})
	}
}

// TestATicketIsNotRenewedForMoreThanWasAskedOfOwners goes on with tickets for the next try: they must not carry what the resource
// server once said, nor what was granted, nor live on when the resource server is none any more.
func TestATicketIsNotRenewedForMoreThanWasAskedOfOwners(t *testing.T) {
	w := startUMA(t, nil)
	ward := map[string][]string{"ward": {"7"}}
	first := w.ticket(t, nil,
		token.Permission{ID: "orders/eu-2", Scopes: []string{"read"}, Claims: ward},
		token.Permission{ID: "photos/vault", Scopes: []string{"open"}, Claims: ward},
		token.Permission{ID: "beach", Scopes: []string{"view"}, Claims: ward})
	again := func(ticket string) reply {
		return w.form(t, "/token", "bob", "hunter2", umaForm("ticket", ticket, "response_mode", "decision", "submit_request", "true"))
	}
	next := again(first).submitted(t)
	verified, err := w.snapshots.Load().Verify(next, issuerName, time.Now(), token.TypeTicket)
	if err != nil {
		t.Fatal(err)
	}
	got, err := verified.Permissions()
	if diff := cmp.Diff([]token.Permission{{ID: "beach", Scopes: []string{"view"}}}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if verified.ResourceServer != api || verified.RequestedBy != "rs" {
		t.Errorf("it is of another resource server: %+v", verified)
	}
	w.owners.take()
	denied := problemOf("request_denied", "no policy grants what was asked for")
	w.input.Policies = fixture.Owners(fixture.Policies(t, oauthPolicies()...), protected(t)...)
	w.snapshots.Store(snapshot.Build(w.input))
	again(next).is(t, "the resource server is none any more", 403, denied)
	byNobody := w.ticket(t, func(c *token.TicketClaims) { c.RequestedBy = "gone" }, token.Permission{ID: "beach", Scopes: []string{"view"}})
	again(byNobody).is(t, "nobody vouches for who asked", 403, denied)
	if asked := w.owners.take(); len(asked) != 0 {
		t.Errorf("owners were asked: %v", asked)
	}
}

// TestKeycloaksClientsAskOneOwnerUnasked sends no submit_request, which Keycloak takes for true beside a ticket. A resource server
// that puts all that it has into a ticket must not have all owners asked by whoever comes with it.
func TestKeycloaksClientsAskOneOwnerUnasked(t *testing.T) {
	photos := func(name string) *resource.Resource {
		return fixture.Resource(t, api, "photos", name, "album", func(spec *v1alpha1.ProtectedResourceSpec) {
			spec.Owner, spec.OwnerManagedAccess = "alice", v1alpha1.Allowed
		}, "view")
	}
	w := startUMA(t, func(options *Options, _ *Parts, input *snapshot.Input) {
		options.UMAKeycloak = true
		input.Resources = input.Resources.With(api, append(protected(t), photos("dune"), photos("pier")))
	})
	asks := func(ids ...string) string {
		var list []token.Permission
		for _, id := range ids {
			list = append(list, token.Permission{ID: id, Scopes: []string{"view"}})
		}
		return w.ticket(t, nil, list...)
	}
	cases := map[string]struct {
		reason, ticket string
		more           []string
		want           []string
	}{
		"One":                      {"as Keycloak has it", asks("photos/dune"), nil, []string{"bob photos/dune view"}},
		"Two":                      {"nobody said that all are to be asked", asks("photos/dune", "photos/pier"), nil, nil},
		"One that nobody owns too": {"two are denied", w.ticket(t, nil, token.Permission{ID: "photos/dune"}, token.Permission{ID: "photos/vault"}), nil, nil},
		"Two, asked for":           {"", asks("photos/dune", "photos/pier"), []string{"submit_request", "true"}, []string{"bob photos/dune view", "bob photos/pier view"}},
		"One, not to be asked":     {"", asks("photos/dune"), []string{"submit_request", "false"}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			form := umaForm(append([]string{"ticket", tc.ticket}, tc.more...)...)
			if answer := w.form(t, "/token", "bob", "hunter2", form); answer.status != http.StatusForbidden {
				t.Fatalf("%d %s", answer.status, answer.body)
			}
			if diff := cmp.Diff(tc.want, w.owners.take()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
