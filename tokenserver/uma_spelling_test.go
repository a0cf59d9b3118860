package tokenserver

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// said is an answer.
type said struct {
	status int
	body   string
}

var (
	// same is what Keycloak says as the specification does.
	same said
	// denies is what Keycloak says to whom policies grant nothing.
	denies = said{403, problemOf("access_denied", "not_authorized")}
)

// or is the answer of a server that spells as Keycloak or not.
func (s said) or(keycloak bool, status int, body string) said {
	if !keycloak || s == same {
		return said{status, body}
	}
	return s
}

func (s said) by(t *testing.T, reason string, answer reply) {
	t.Helper()
	answer.is(t, reason, s.status, s.body)
}

// inBothSpellings runs a test against a server of each.
func inBothSpellings(t *testing.T, test func(t *testing.T, w *umaWorld, keycloak bool)) {
	t.Helper()
	for name, keycloak := range map[string]bool{"kantara": false, "keycloak": true} {
		t.Run(name, func(t *testing.T) {
			test(t, startUMA(t, func(options *Options, _ *Parts, _ *snapshot.Input) { options.UMAKeycloak = keycloak }), keycloak)
		})
	}
}

// TestBadPermissions are requests that cannot be answered.
func TestBadPermissions(t *testing.T) { inBothSpellings(t, badPermissions) }

func badPermissions(t *testing.T, w *umaWorld, keycloak bool) {
	ticket := w.ticket(t, nil, reads("orders/eu-1")...)
	denied := problemOf("request_denied", "no policy grants what was asked for")
	cases := map[string]struct {
		reason string
		form   url.Values
		status int
		want   string
		// keycloak is the answer in Keycloak's spelling.
		keycloak said
	}{
		"An unknown resource":            {"", umaForm("permission", "orders/eu-1", "permission", "orders/none"), 400, problemOf("invalid_resource", "permission number 2: the resource is not known at this audience"), same},
		"A resource of another server":   {"it is not known here", umaForm("permission", "orders/us-1"), 400, problemOf("invalid_resource", "permission number 1: the resource is not known at this audience"), same},
		"An unknown scope":               {"", umaForm("permission", "orders/eu-1#fly"), 400, problemOf("invalid_scope", "permission number 1: the resource has no such scope"), same},
		"A malformed permission":         {"", umaForm("permission", "#"), 400, problemOf("invalid_request", "permission number 1: a permission is malformed: a scope is empty"), same},
		"An empty permission":            {"", umaForm("permission", ""), 400, problemOf("invalid_request", "permission number 1: a permission is malformed: it must have 1 to 4096 bytes"), same},
		"A ticket and a permission":      {"", umaForm("ticket", ticket, "permission", "orders/eu-1"), 400, problemOf("invalid_request", "ticket and permission cannot be given together"), same},
		"No audience":                    {"", values("grant_type", umaGrant, "permission", "orders/eu-1"), 400, problemOf("invalid_request", "ticket is missing, or audience"), same},
		"Nothing":                        {"", values("grant_type", umaGrant), 400, problemOf("invalid_request", "ticket is missing, or audience"), same},
		"An unknown audience":            {"as with other grants", umaForm("audience", "https://none.example.com"), 400, problemOf("invalid_target", "the audience is not known here"), said{400, problemOf("invalid_request", "Unknown resource server id")}},
		"Denied":                         {"", umaForm("permission", "photos/vault"), 403, denied, denies},
		"Denied, as a decision":          {"", umaForm("permission", "photos/vault", "response_mode", "decision"), 403, denied, denies},
		"Half of a decision":             {"a yes must not stand for the half of a question", umaForm("permission", "orders/eu-1#read", "permission", "photos/vault", "response_mode", "decision"), 403, denied, denies},
		"A scope of a decision":          {"", umaForm("permission", "orders/eu-1#delete,read", "response_mode", "decision"), 403, denied, denies},
		"Twice the audience":             {"", umaForm("audience", api, "audience", otherAPI), 400, problemOf("invalid_request", "audience must not be given more than once"), same},
		"Two grants":                     {"", umaForm("grant_type", "client_credentials"), 400, problemOf("invalid_request", "grant_type must not be given more than once"), same},
		"An unknown mode":                {"", umaForm("response_mode", "fragment"), 400, problemOf("invalid_request", "response_mode must be decision or permissions"), said{400, problemOf("invalid_request", "Invalid response_mode")}},
		"A limit of nothing":             {"", umaForm("response_permissions_limit", "0"), 400, problemOf("invalid_request", "response_permissions_limit must be a number from 1 to 1000000"), same},
		"Neither true nor false":         {"", umaForm("submit_request", "maybe"), 400, problemOf("invalid_request", "submit_request must be true or false"), same},
		"Resources by another form":      {"", umaForm("permission_resource_format", "name"), 400, problemOf("invalid_request", "permission_resource_format must be id or uri"), same},
		"A subject token":                {"", umaForm("subject_token", "x"), 400, problemOf("invalid_request", "subject_token is not served with this grant: exchange it for a token, and come with that"), same},
		"What nobody of the type owns":   {"the type is known", umaForm("permission", "resource-type-owner:order"), 403, denied, denies},
		"An rpt that is none":            {"", umaForm("rpt", "x"), 400, problemOf("invalid_grant", "the rpt is not one of this server, or is not good any more"), said{403, problemOf("invalid_rpt", "the rpt is not one of this server, or is not good any more")}},
		"An access token to be upgraded": {"it is another kind", umaForm("rpt", w.aat(t, "alice", "secret", api, "uma_authorization")), 400, problemOf("invalid_grant", "the rpt is not one of this server, or is not good any more"), said{403, problemOf("invalid_rpt", "the rpt is not one of this server, or is not good any more")}},
		"Another user's rpt": {
			"it is not the caller's to be upgraded", umaForm("rpt", w.form(t, "/token", "robot", "r2d2 + c3po%", umaForm()).text(t, "access_token")), 400,
			problemOf("invalid_grant", "the rpt is another user's, or of another resource server"), said{403, problemOf("invalid_rpt", "the rpt is another user's, or of another resource server")},
		},
		"An upgrade of which half is denied": {
			"one that is denied denies all", umaForm("rpt", w.form(t, "/token", "alice", "secret", umaForm("permission", "orders/eu-2")).text(t, "access_token"),
				"permission", "orders/eu-1#read", "permission", "photos/vault"), 403, denied, denies,
		},
		"Claims that nobody signed": {
			"", umaForm("claim_token", "e30", "claim_token_format", "urn:ietf:params:oauth:token-type:jwt"), 400,
			problemOf("invalid_request", "claim_token must be an ID token (claim_token_format=http://openid.net/specs/openid-connect-core-1_0.html#IDToken): claims that nobody signed prove nothing"),
			said{400, problemOf("invalid_request", "Invalid claims")},
		},
		"A format of claims and none": {"", umaForm("claim_token_format", "x"), 400, problemOf("invalid_request", "claim_token is missing"), said{400, problemOf("invalid_request", "Invalid claims")}},
		"An rpt of another server": {
			"", umaForm("rpt", w.form(t, "/token", "alice", "secret", umaForm("audience", otherAPI)).text(t, "access_token")), 400,
			problemOf("invalid_grant", "the rpt is another user's, or of another resource server"), said{403, problemOf("invalid_rpt", "the rpt is another user's, or of another resource server")},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.keycloak.or(keycloak, tc.status, tc.want).by(t, tc.reason, w.form(t, "/token", "alice", "secret", tc.form))
		})
	}
	w.form(t, "/token", "alice", "secret", umaForm("permission", "orders/eu-1#read,write", "response_mode", "decision")).is(t, "all of it", 200, `{"result":true}`)
}

// TestBadPermissionsOfATicket asks for tickets that cannot be made.
func TestBadPermissionsOfATicket(t *testing.T) { inBothSpellings(t, badTickets) }

func badTickets(t *testing.T, w *umaWorld, keycloak bool) {
	pat := w.aat(t, "rs", "rs-secret", api, "uma_protection")
	const one = `{"resource_id":"orders/eu-1","resource_scopes":["read"]}`
	form := "the body is not JSON of the form that is expected here"
	two := "a permission must have resource_id and resource_scopes, or resource_set_id and scopes"
	cases := map[string]struct{ reason, body, code, keycloak, message string }{
		"An unknown resource":          {"", `[` + one + `,{"resource_id":"none"}]`, "invalid_resource_id", "invalid_resource_id", "the resource is not known at this audience"},
		"A resource of another server": {"", `{"resource_id":"orders/us-1"}`, "invalid_resource_id", "invalid_resource_id", "the resource is not known at this audience"},
		"An unknown scope":             {"", `{"resource_id":"orders/eu-1","resource_scopes":["fly"]}`, "invalid_scope", "invalid_scope", "the resource has no such scope"},
		"None":                         {"", `[]`, "invalid_request", "invalid_permission_request", "there must be 1 to 256 permissions"},
		"257":                          {"", `[` + strings.Repeat(one+",", 256) + one + `]`, "invalid_request", "invalid_permission_request", "there must be 1 to 256 permissions"},
		"A text":                       {"", `"x"`, "invalid_request", "invalid_permission_request", form},
		"No JSON":                      {"", `{`, "invalid_request", "invalid_permission_request", form},
		"Both spellings in one":        {"which is meant?", `{"resource_id":"orders/eu-1","resource_set_id":"orders/eu-2"}`, "invalid_request", "invalid_permission_request", two},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			want := said{400, problemOf(tc.keycloak, tc.message)}.or(keycloak, 400, problemOf(tc.code, tc.message))
			want.by(t, tc.reason, w.json(t, http.MethodPost, "/authz/protection/permission", pat, tc.body))
		})
	}
}

// TestAnotherAudienceInKeycloaksWords comes with a token of another audience, which no policy lets its user exchange.
func TestAnotherAudienceInKeycloaksWords(t *testing.T) {
	w := startUMA(t, func(options *Options, _ *Parts, _ *snapshot.Input) { options.UMAKeycloak = true })
	bearer := w.aat(t, "bob", "hunter2", otherAPI, "uma_authorization")
	denies.by(t, "not allowed", w.form(t, "/token", "bearer", bearer, umaForm("permission", "orders/eu-1")))
}

// TestTickets uses tickets that are good, and some that are not.
func TestTickets(t *testing.T) { inBothSpellings(t, tickets) }

func tickets(t *testing.T, w *umaWorld, keycloak bool) {
	w.revokeSubject(t, "robot", time.Now())
	expired := func(c *token.TicketClaims) { c.Expiry = time.Now().Add(-time.Second).Unix() }
	notOurs := problemOf("invalid_grant", "the permission ticket is not one of this server")
	good := w.ticket(t, nil, reads("orders/eu-1")...)
	dot := strings.LastIndexByte(good, '.')
	cases := map[string]struct {
		reason, user, password, ticket string
		more                           []string
		status                         int
		want                           string
		// keycloak is the answer in Keycloak's spelling.
		keycloak said
		spent    bool
	}{
		"A good one":                        {"", "alice", "secret", w.ticket(t, nil, reads("orders/eu-1")...), nil, 200, `[{"rsid":"orders/eu-1","rsname":"Order 1","scopes":["read"]}]`, same, true},
		"With its audience":                 {"", "alice", "secret", w.ticket(t, nil, reads("orders/eu-2")...), []string{"audience", api}, 200, `[{"rsid":"orders/eu-2","rsname":"Order 2","scopes":["read"]}]`, same, true},
		"For somebody who may not":          {"it is used up all the same", "bob", "hunter2", w.ticket(t, nil, reads("orders/eu-1")...), nil, 403, problemOf("request_denied", "no policy grants what was asked for"), denies, true},
		"With claims":                       {"the resource server says so", "bob", "hunter2", w.ticket(t, nil, token.Permission{ID: "orders/eu-2", Claims: map[string][]string{"ward": {"7"}}}), nil, 200, `[{"rsid":"orders/eu-2","rsname":"Order 2","scopes":["read"],"claims":{"ward":["7"]}}]`, same, true},
		"With other claims":                 {"", "bob", "hunter2", w.ticket(t, nil, token.Permission{ID: "orders/eu-2", Claims: map[string][]string{"ward": {"8"}}}), nil, 403, problemOf("request_denied", "no policy grants what was asked for"), denies, true},
		"Of a resource that is gone":        {"", "alice", "secret", w.ticket(t, nil, reads("orders/gone")...), nil, 403, problemOf("request_denied", "no policy grants what was asked for"), denies, true},
		"Expired":                           {"", "alice", "secret", w.ticket(t, expired, reads("orders/eu-1")...), nil, 400, problemOf("invalid_grant", "the permission ticket has expired"), said{403, problemOf("invalid_ticket", "the permission ticket has expired")}, false},
		"Of another resource server":        {"", "alice", "secret", w.ticket(t, nil, reads("orders/eu-1")...), []string{"audience", otherAPI}, 400, problemOf("invalid_grant", "the permission ticket is of another resource server"), said{403, problemOf("invalid_ticket", "the permission ticket is of another resource server")}, false},
		"Tampered with":                     {"", "alice", "secret", good[:dot-4] + "AAAA" + good[dot:], nil, 400, notOurs, said{403, problemOf("invalid_ticket", "the permission ticket is not one of this server")}, false},
		"An RPT":                            {"it is another kind", "alice", "secret", w.form(t, "/token", "alice", "secret", umaForm()).text(t, "access_token"), nil, 400, notOurs, said{403, problemOf("invalid_ticket", "the permission ticket is not one of this server")}, false},
		"An access token":                   {"it is another kind", "alice", "secret", w.aat(t, "alice", "secret", api, "order:eu-1:read"), nil, 400, notOurs, said{403, problemOf("invalid_ticket", "the permission ticket is not one of this server")}, false},
		"Nonsense":                          {"", "alice", "secret", "x", nil, 400, notOurs, said{403, problemOf("invalid_ticket", "the permission ticket is not one of this server")}, false},
		"Of a client whose tokens are gone": {"", "alice", "secret", w.ticket(t, func(c *token.TicketClaims) { c.RequestedBy = "robot" }, reads("orders/eu-1")...), nil, 400, problemOf("invalid_grant", "the permission ticket was revoked"), said{403, problemOf("invalid_ticket", "the permission ticket was revoked")}, false},
		"Without an end":                    {"it could not be remembered that it was used", "alice", "secret", w.ticketWithout(t, "exp"), nil, 400, notOurs, said{403, problemOf("invalid_ticket", "the permission ticket is not one of this server")}, false},
		"Stolen, by nobody":                 {"nothing is said of it, and it stays good", "", "", w.ticket(t, nil, reads("orders/eu-1")...), nil, 401, problemOf("invalid_client", "the caller must prove who it is"), same, false},
		"Stolen, with a wrong password":     {"", "alice", "guess", w.ticket(t, nil, reads("orders/eu-1")...), nil, 401, problemOf("invalid_client", "the credentials were not accepted"), same, false},
		"With a token that reaches nothing": {"it stays good for a better one", "bearer", w.aat(t, "bob", "hunter2", api, ""), w.ticket(t, nil, reads("orders/eu-1")...), nil, 403, problemOf("insufficient_scope", "the token does not stand for the caller here: ask for one with the scope uma_authorization"), said{403, problemOf("invalid_scope", "the token does not stand for the caller here: ask for one with the scope uma_authorization")}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := w.spent()
			form := umaForm(append([]string{"ticket", tc.ticket, "response_mode", "permissions"}, tc.more...)...)
			tc.keycloak.or(keycloak, tc.status, tc.want).by(t, tc.reason, w.form(t, "/token", tc.user, tc.password, form))
			if got := w.spent() > before; got != tc.spent {
				t.Errorf("%s used up: %v", tc.reason, got)
			}
			if tc.spent {
				again := said{403, problemOf("invalid_ticket", "the permission ticket was used before")}
				again.or(keycloak, 400, problemOf("invalid_grant", "the permission ticket was used before")).
					by(t, "once", w.form(t, "/token", "alice", "secret", form))
			}
		})
	}
}

// TestKeycloaksClaimsAreTheServers: no policy says who the client of an RPT is. Two claims of one name would be one to each reader.
func TestKeycloaksClaimsAreTheServers(t *testing.T) {
	w := startUMA(t, func(options *Options, _ *Parts, input *snapshot.Input) {
		options.UMAKeycloak = true
		claims := func(spec *v1alpha1.ClusterAccessPolicySpec) {
			spec.Claims = []v1alpha1.Claim{
				{Name: "azp", Value: v1alpha1.ClaimValue{Raw: []byte(`"mallory"`)}}, {Name: "tenant", Value: v1alpha1.ClaimValue{Raw: []byte(`"a"`)}},
			}
		}
		input.Policies = fixture.Policies(t, append(oauthPolicies(), fixture.Cluster("claims", users("alice"), typed("order", "none", "none"), claims))...)
	})
	text := w.form(t, "/token", "alice", "secret", umaForm("permission", "orders/eu-1#read")).text(t, "access_token")
	got := w.rpt(t, text)
	want := map[string]any{
		"iss": issuerName, "sub": "alice", "aud": api, "client_id": "alice", "azp": "alice", "typ": "Bearer", "tenant": "a",
		"authorization": map[string]any{"permissions": decoded(t, `[{"rsid":"orders/eu-1","rsname":"Order 1","scopes":["read"]}]`)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
	if n := strings.Count(string(payload), `"azp":`); n != 1 || err != nil {
		t.Errorf("azp is there %d times (%v)", n, err)
	}
}
