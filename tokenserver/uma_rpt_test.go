package tokenserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// permissions are those of an RPT, in its JSON.
func permissionsIn(t testing.TB, claims map[string]any) string {
	t.Helper()
	authorization, _ := claims["authorization"].(map[string]any)
	text, err := json.Marshal(authorization["permissions"])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestUpgrade(t *testing.T) {
	w := startUMA(t, nil)
	ask := func(more ...string) reply { return w.form(t, "/token", "alice", "secret", umaForm(more...)) }
	first := ask("permission", "orders/eu-1#read").text(t, "access_token")
	answer := ask("permission", "orders/eu-2", "rpt", first)
	const both = `[{"rsid":"orders/eu-1","rsname":"Order 1","scopes":["read"]},{"rsid":"orders/eu-2","rsname":"Order 2","scopes":["read"]}]`
	if got := permissionsIn(t, w.rpt(t, answer.text(t, "access_token"))); cmp.Diff(any(decoded(t, both)), any(decoded(t, got))) != "" {
		t.Errorf("permissions = %s", got)
	}
	if fields(t, answer.body)["upgraded"] != true {
		t.Errorf("answer: %s", answer.body)
	}
	ask("permission", "orders/eu-1#write", "rpt", first, "response_mode", "permissions").
		is(t, "the scopes of both", 200, `[{"rsid":"orders/eu-1","rsname":"Order 1","scopes":["read","write"]}]`)
	ask("permission", "orders/eu-2", "rpt", first, "response_mode", "permissions", "response_permissions_limit", "1").
		is(t, "the older ones go first", 200, `[{"rsid":"orders/eu-2","rsname":"Order 2","scopes":["read"]}]`)
	ask("ticket", w.ticket(t, nil, reads("orders/eu-2")...), "rpt", first, "response_mode", "permissions").is(t, "with a ticket", 200, both)
	ask("permission", "orders/eu-2", "permission", "photos/vault", "rpt", first).
		is(t, "one that is denied denies all", 403, problemOf("request_denied", "no policy grants what was asked for"))

	w.input.Policies = fixture.Policies(t, fixture.Cluster("less", users("alice"), typed("order", "eu-2", "read"), nil))
	w.snapshots.Store(snapshot.Build(w.input))
	ask("permission", "orders/eu-2", "rpt", first, "response_mode", "permissions").
		is(t, "what the older one had is decided anew", 200, `[{"rsid":"orders/eu-2","rsname":"Order 2","scopes":["read"]}]`)
	if answer := w.form(t, "/revoke", "alice", "secret", values("token", first)); answer.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", answer.status, answer.body)
	}
	ask("permission", "orders/eu-2", "rpt", first).
		is(t, "it was revoked", 400, problemOf("invalid_grant", "the rpt is not one of this server, or is not good any more"))
}

// TestWhatATicketSaidEndsWithItsRPT carries the claims of a ticket from token to token.
func TestWhatATicketSaidEndsWithItsRPT(t *testing.T) {
	w := startUMA(t, nil)
	end := time.Now().Add(5 * time.Minute).Unix()
	older := w.sign(t, token.TypeRPT, api, func(c map[string]any) {
		c["sub"], c["exp"] = "bob", end
		c["authorization"] = map[string]any{"permissions": []any{
			map[string]any{"rsid": "orders/eu-2", "scopes": []string{"read"}, "claims": map[string]any{"ward": []string{"7"}}},
		}}
	})
	ward := token.Permission{ID: "orders/eu-2", Claims: map[string][]string{"ward": {"7"}}}
	w.input.Policies = fixture.Owners(fixture.Policies(t, append(oauthPolicies(),
		fixture.Cluster("ward", users("bob"), typed("order", "eu-2", "read"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
			spec.When = &v1alpha1.When{Expression: `"ward" in request.claims`}
		}),
		fixture.Cluster("bob", users("bob"), typed("vault", "**", "open"), nil))...))
	w.snapshots.Store(snapshot.Build(w.input))
	for name, tc := range map[string]struct {
		form url.Values
		ends bool
	}{
		"carried":    {umaForm("permission", "photos/vault", "rpt", older), true},
		"said again": {umaForm("ticket", w.ticket(t, nil, ward), "rpt", older), false},
	} {
		text := w.form(t, "/token", "bob", "hunter2", tc.form).text(t, "access_token")
		verified, err := w.snapshots.Load().Verify(text, issuerName, time.Now(), token.TypeRPT)
		if err != nil || (verified.Expiry == end) != tc.ends || verified.Expiry < end {
			t.Errorf("%s: exp = %d, and that of the older one is %d: %v", name, verified.Expiry, end, err)
		}
	}
	w.form(t, "/token", "bob", "hunter2", umaForm("permission", "orders/eu-2", "rpt", older)).
		is(t, "what was said of one request is not true of another", 403, problemOf("request_denied", "no policy grants what was asked for"))
}

// TestUMA1 is the seed's exchange of a ticket for a token, and the entitlement API.
func TestUMA1(t *testing.T) {
	w := startUMA(t, nil)
	bearer := w.aat(t, "alice", "secret", api, "uma_authorization")
	came, err := w.snapshots.Load().Verify(bearer, issuerName, time.Now(), token.TypeAccess)
	if err != nil {
		t.Fatal(err)
	}
	want := func(permissions string) map[string]any {
		return map[string]any{
			"iss": issuerName, "sub": "alice", "aud": api, "client_id": "alice", "azp": "alice", "typ": "kc_ett", "permissions": decoded(t, permissions),
		}
	}
	const reading = `[{"resource_set_id":"orders/eu-1","resource_set_name":"Order 1","scopes":["read"]}]`
	const all = `[{"resource_set_id":"beach","resource_set_name":"The beach","scopes":["edit","view"]},` +
		`{"resource_set_id":"orders/eu-1","resource_set_name":"Order 1","scopes":["read","write"]},{"resource_set_id":"orders/eu-2","resource_set_name":"Order 2","scopes":["read"]}]`
	entitlement := "/authz/entitlement/" + url.PathEscape(api)
	ticket := func() string { return w.ticket(t, nil, reads("orders/eu-1")...) }
	good := map[string]struct{ method, path, body, want string }{
		"authorize":                   {http.MethodPost, "/authz/authorize", `{"ticket":"` + ticket() + `"}`, reading},
		"authorize without names":     {http.MethodPost, "/authz/authorize", `{"ticket":"` + ticket() + `","metadata":{"include_resource_name":false}}`, `[{"resource_set_id":"orders/eu-1","scopes":["read"]}]`},
		"entitlement":                 {http.MethodGet, entitlement, "", all},
		"entitlement of permissions":  {http.MethodPost, entitlement, `{"permissions":[{"resource_set_id":"orders/eu-1","scopes":["read"]}]}`, reading},
		"entitlement by name":         {http.MethodPost, entitlement, `{"permissions":[{"resource_set_name":"Order 1","scopes":["read"]}]}`, reading},
		"entitlement of nothing":      {http.MethodPost, entitlement, `{}`, all},
		"entitlement of the last one": {http.MethodPost, entitlement, `{"metadata":{"limit":1}}`, `[{"resource_set_id":"orders/eu-2","resource_set_name":"Order 2","scopes":["read"]}]`},
		"with a slash":                {http.MethodGet, entitlement + "/", "", all},
	}
	for name, tc := range good {
		t.Run(name, func(t *testing.T) {
			text := w.json(t, tc.method, tc.path, bearer, tc.body).text(t, "rpt")
			if diff := cmp.Diff(want(tc.want), w.rpt(t, text)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			got, err := w.snapshots.Load().Verify(text, issuerName, time.Now(), token.TypeRPT)
			if err != nil || got.Expiry != came.Expiry {
				t.Errorf("exp = %d, and that of the token that came is %d", got.Expiry, came.Expiry)
			}
		})
	}
	first := w.json(t, http.MethodPost, entitlement, bearer, good["entitlement by name"].body).text(t, "rpt")
	upgraded := w.rpt(t, w.json(t, http.MethodPost, "/authz/authorize", bearer, `{"rpt":"`+first+`","ticket":"`+w.ticket(t, nil, reads("orders/eu-2")...)+`"}`).text(t, "rpt"))
	if list, _ := upgraded["permissions"].([]any); len(list) != 2 || upgraded["accessToken"] != nil {
		t.Errorf("upgraded: %v", upgraded)
	}
	bob := w.aat(t, "bob", "hunter2", api, "uma_authorization")
	spent := ticket()
	w.json(t, http.MethodPost, "/authz/authorize", bearer, `{"ticket":"`+spent+`"}`)
	const notAuthorized = `{"error":"not_authorized","error_description":"no policy grants what was asked for"}`
	bad := map[string]struct {
		method, path, bearer, body string
		status                     int
		want                       string
	}{
		"Denied":                       {http.MethodPost, "/authz/authorize", bob, `{"ticket":"` + ticket() + `"}`, 403, notAuthorized},
		"No token":                     {http.MethodPost, "/authz/authorize", "", `{"ticket":"` + ticket() + `"}`, 401, problemOf("invalid_token", "a bearer token is missing")},
		"An RPT as the token":          {http.MethodPost, "/authz/authorize", first, `{"ticket":"` + ticket() + `"}`, 401, problemOf("invalid_token", "the token was not accepted")},
		"A narrow token":               {http.MethodGet, entitlement, w.aat(t, "alice", "secret", api, ""), "", 403, problemOf("not_authorized", "the token does not stand for the caller here: ask for one with the scope uma_authorization")},
		"A ticket that was used":       {http.MethodPost, "/authz/authorize", bearer, `{"ticket":"` + spent + `"}`, 403, problemOf("invalid_ticket", "the permission ticket was used before")},
		"No ticket":                    {http.MethodPost, "/authz/authorize", bearer, `{}`, 400, problemOf("invalid_request", "ticket is missing")},
		"No JSON":                      {http.MethodPost, "/authz/authorize", bearer, `ticket=x`, 400, problemOf("invalid_request", "the body is not JSON of the form that is expected here")},
		"Two tickets":                  {http.MethodPost, "/authz/authorize", bearer, `{"ticket":"x","ticket":"` + ticket() + `"}`, 400, problemOf("invalid_request", "the body is not JSON of the form that is expected here")},
		"Two values":                   {http.MethodPost, "/authz/authorize", bearer, `{"ticket":"x"} {}`, 400, problemOf("invalid_request", "the body must be one JSON value")},
		"An unknown resource":          {http.MethodPost, entitlement, bearer, `{"permissions":[{"resource_set_id":"none"}]}`, 403, problemOf("invalid_resource", "permission number 1: the resource is not known at this audience")},
		"A permission of nothing":      {http.MethodPost, entitlement, bearer, `{"permissions":[{"scopes":["read"]}]}`, 400, problemOf("invalid_request", "permission number 1: a permission is malformed: it must name a resource")},
		"An unknown scope":             {http.MethodPost, entitlement, bearer, `{"permissions":[{"resource_set_id":"orders/eu-1","scopes":["fly"]}]}`, 403, problemOf("invalid_scope", "permission number 1: the resource has no such scope")},
		"An unknown audience":          {http.MethodGet, "/authz/entitlement/none", bearer, "", 403, problemOf("invalid_request", "the audience is not known here")},
		"A foreign rpt":                {http.MethodPost, entitlement, bob, `{"rpt":"` + first + `"}`, 403, problemOf("invalid_rpt", "the rpt is another user's, or of another resource server")},
		"A limit of less than nothing": {http.MethodPost, entitlement, bearer, `{"metadata":{"limit":-1}}`, 400, problemOf("invalid_request", "metadata.limit must be a number from 1 on")},
		"Another method":               {http.MethodGet, "/authz/authorize", bearer, "", 405, problemOf("unsupported_method_type", "the method is not allowed here")},
	}
	for name, tc := range bad {
		t.Run(name, func(t *testing.T) {
			w.json(t, tc.method, tc.path, tc.bearer, tc.body).is(t, "", tc.status, tc.want)
		})
	}
}

// TestUMA1WithTheAccessToken puts the caller's own token into the RPT, which the server itself takes for nothing.
func TestUMA1WithTheAccessToken(t *testing.T) {
	w := startUMA(t, func(options *Options, _ *Parts, _ *snapshot.Input) { options.UMA1AccessToken = true })
	bearer := w.aat(t, "alice", "secret", api, "uma_authorization")
	rpt := w.json(t, http.MethodGet, "/authz/entitlement/"+url.PathEscape(api), bearer, "").text(t, "rpt")
	if got := w.rpt(t, rpt)["accessToken"]; got != bearer {
		t.Errorf("accessToken = %v", got)
	}
	if answer := w.form(t, "/token", "", "", exchanging(rpt, "subject_token_type", typeAccess)); answer.status != 400 {
		t.Errorf("it is exchanged: %s", answer.body)
	}
	account := w.cluster.token(t, time.Hour, nil)
	w.input.Policies = fixture.Policies(t, fixture.Cluster("builder", []v1alpha1.Subject{{Kind: v1alpha1.SubjectServiceAccount, Namespace: "ci", Name: "builder"}}, typed("order", "**", "read"), nil))
	w.snapshots.Store(snapshot.Build(w.input))
	theirs := w.rpt(t, w.json(t, http.MethodGet, "/authz/entitlement/"+url.PathEscape(api), account, "").text(t, "rpt"))
	if theirs["sub"] != "system:serviceaccount:ci:builder" || theirs["accessToken"] != nil {
		t.Errorf("what the cluster issued goes to no resource server: %v", theirs)
	}
}

func TestRPTsAtTheOtherEndpoints(t *testing.T) {
	w := startUMA(t, nil)
	rpt := w.form(t, "/token", "alice", "secret", umaForm("permission", "orders/eu-1#read,write", "permission", "orders/eu-2")).text(t, "access_token")
	got := w.introspect(t, rpt, "requesting_party_token")
	times := func(p map[string]any) map[string]any {
		for _, name := range []string{"exp", "iat", "nbf"} {
			if p[name] != got[name] || p[name] == nil {
				t.Errorf("%s = %v, and that of the token is %v", name, p[name], got[name])
			}
			delete(p, name)
		}
		return p
	}
	list, _ := got["permissions"].([]any)
	if len(list) != 2 || got["active"] != true || got["scope"] != nil || got["sub"] != "alice" || got["aud"] != api {
		t.Fatalf("introspection: %v", got)
	}
	first, _ := list[0].(map[string]any)
	want := map[string]any{
		"resource_id": "orders/eu-1", "resource_scopes": []any{"read", "write"}, "rsid": "orders/eu-1", "rsname": "Order 1", "scopes": []any{"read", "write"},
	}
	if diff := cmp.Diff(want, times(first)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := w.introspect(t, w.ticket(t, nil, reads("orders/eu-1")...), ""); len(got) != 1 || got["active"] != false {
		t.Errorf("a ticket is no token: %v", got)
	}

	w.input.Resources = w.input.Resources.With(api, []*resource.Resource{fixture.Resource(t, api, "orders", "eu-1", "order", nil, "read")})
	w.snapshots.Store(snapshot.Build(w.input))
	left, _ := w.introspect(t, rpt, "")["permissions"].([]any)
	if len(left) != 1 || cmp.Diff([]any{"read"}, left[0].(map[string]any)["scopes"]) != "" {
		t.Errorf("what is not served any more is said: %v", left)
	}

	notAccepted := tokenProblem("INVALID_REQUEST", "invalid_request", "the subject_token was not accepted")
	w.form(t, "/token", "", "", exchanging(rpt, "subject_token_type", typeAccess)).is(t, "it is exchanged for nothing", 400, notAccepted)
	w.form(t, "/introspect", "bearer", rpt, values("token", rpt)).is(t, "it proves nobody", 401, problemOf("invalid_client", "the credentials were not accepted"))
	w.form(t, "/token", "", "", values("grant_type", "refresh_token", "refresh_token", rpt, "audience", api)).
		is(t, "it refreshes nothing", 401, tokenProblem("UNAUTHORIZED", "invalid_grant", "the refresh token was not accepted"))
	w.form(t, "/revoke", "bob", "hunter2", values("token", rpt)).
		is(t, "it is alice's", 400, problemOf("unauthorized_client", "the token is not the caller's, and no policy lets the caller revoke tokens of its audience"))
	if answer := w.form(t, "/revoke", "alice", "secret", values("token", rpt)); answer.status != 200 {
		t.Errorf("revoke: %s", answer.body)
	}
	if got := w.introspect(t, rpt, ""); got["active"] != false {
		t.Errorf("it was revoked: %v", got)
	}
}

// TestAnRPTEndsWithWhatItComesFrom takes the earliest end.
func TestAnRPTEndsWithWhatItComesFrom(t *testing.T) {
	w := startUMA(t, nil)
	end := time.Now().Add(4 * time.Minute).Unix()
	soon := time.Now().Add(2 * time.Minute).Truncate(time.Second)
	policies := append(oauthPolicies(), fixture.Cluster("soon", users("robot"), typed("vault", "**", "open"), func(s *v1alpha1.ClusterAccessPolicySpec) {
		s.When = &v1alpha1.When{NotAfter: v1alpha1.NewDateTime(soon)}
	}))
	w.input.Policies = fixture.Policies(t, policies...)
	w.snapshots.Store(snapshot.Build(w.input))
	short := w.sign(t, token.TypeAccess, api, func(c map[string]any) { c["exp"], c["scope"] = end, "uma_authorization" })
	almost := w.sign(t, token.TypeAccess, api, func(c map[string]any) {
		c["exp"], c["scope"] = time.Now().Add(30*time.Second).Unix(), "uma_authorization"
	})
	cases := map[string]struct {
		user, password, permission string
		want                       int64
	}{
		"an access token":                  {"bearer", short, "orders/eu-1", end},
		"a policy":                         {"robot", "r2d2 + c3po%", "photos/vault", soon.Unix()},
		"a policy that says nothing of it": {"robot", "r2d2 + c3po%", "orders/eu-1", 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text := w.form(t, "/token", tc.user, tc.password, umaForm("permission", tc.permission)).text(t, "access_token")
			verified, err := w.snapshots.Load().Verify(text, issuerName, time.Now(), token.TypeRPT)
			if err != nil {
				t.Fatal(err)
			}
			if tc.want == 0 {
				tc.want = verified.IssuedAt + 60 + int64(fixture.Lifetime/time.Second)
			}
			if verified.Expiry != tc.want {
				t.Errorf("exp = %d, want %d", verified.Expiry, tc.want)
			}
		})
	}
	w.form(t, "/token", "bearer", almost, umaForm()).is(t, "no token lives so short", 401, problemOf("invalid_token", "the token was not accepted"))
	w.form(t, "/token", "bearer", almost, umaForm("permission", "orders/eu-1#read", "response_mode", "decision")).is(t, "an answer needs no life", 200, `{"result":true}`)
}

// TestAnRPTIsHeldToItsSize has a caller who may more than a token can hold.
func TestAnRPTIsHeldToItsSize(t *testing.T) {
	w := startUMA(t, func(_ *Options, _ *Parts, input *snapshot.Input) {
		var many []*resource.Resource
		for n := range 500 {
			many = append(many, fixture.Resource(t, api, "orders", "order-"+strings.Repeat("x", 40)+string(rune('a'+n/26%26))+string(rune('a'+n%26))+string(rune('a'+n/676)), "order", nil, "read"))
		}
		input.Resources = input.Resources.With(api, many)
	})
	w.form(t, "/token", "alice", "secret", umaForm()).is(t, "it says what helps", 400,
		problemOf("invalid_request", "the token would be longer than 7 KiB: use response_permissions_limit, or response_mode=permissions"))
	text := w.form(t, "/token", "alice", "secret", umaForm("response_permissions_limit", "30", "response_include_resource_name", "false")).text(t, "access_token")
	if len(text) > 7<<10 {
		t.Errorf("%d bytes", len(text))
	}
	var all []any
	if err := json.Unmarshal(w.form(t, "/token", "alice", "secret", umaForm("response_mode", "permissions")).body, &all); err != nil || len(all) != 500 {
		t.Errorf("%d permissions: %v", len(all), err)
	}
}

// TestTheWordsOfTheTokenEndpoint asks for tokens with which to go to the grant and to the protection API.
func TestTheWordsOfTheTokenEndpoint(t *testing.T) {
	w := startUMA(t, nil)
	ask := func(user, password string, form url.Values) string {
		t.Helper()
		answer := w.form(t, "/token", user, password, form)
		verified, err := w.snapshots.Load().Verify(answer.text(t, "access_token"), issuerName, time.Now(), token.TypeAccess)
		if err != nil {
			t.Fatal(err)
		}
		if said := fields(t, answer.body)["scope"]; said != verified.Scope {
			t.Errorf("the answer says %q, and the token %q", said, verified.Scope)
		}
		return verified.Scope
	}
	client := func(audience, scope string) url.Values {
		return values("grant_type", "client_credentials", "audience", audience, "scope", scope)
	}
	const protects = "oauth:" + api + ":uma_protection"
	wide, narrow := w.aat(t, "alice", "secret", api, "uma_authorization"), w.aat(t, "alice", "secret", api, "order:eu-1:read")
	cases := map[string]struct {
		reason, user, password string
		form                   url.Values
		want                   string
	}{
		"uma_authorization":                {"whoever asks has it", "bob", "hunter2", client(api, "uma_authorization"), "uma_authorization"},
		"Beside scopes":                    {"", "alice", "secret", client(api, "uma_authorization order:eu-1:read"), "order:eu-1:read uma_authorization"},
		"uma_protection":                   {"it is short for the scope", "rs", "rs-secret", client(api, "uma_protection"), protects},
		"In full":                          {"", "rs", "rs-secret", client(api, protects), protects},
		"uma_protection without a policy":  {"", "bob", "hunter2", client(api, "uma_protection"), ""},
		"uma_protection of another server": {"", "rs", "rs-secret", client(otherAPI, "uma_protection"), ""},
		"By a password":                    {"", "", "", values("grant_type", "password", "username", "alice", "password", "secret", "audience", api, "scope", "uma_authorization"), "uma_authorization"},
		"An exchange keeps it":             {"", "", "", exchanging(wide, "subject_token_type", typeAccess, "scope", "uma_authorization"), "uma_authorization"},
		"An exchange does not widen":       {"what is narrow stays narrow", "", "", exchanging(narrow, "subject_token_type", typeAccess, "scope", "uma_authorization order:eu-1:read"), "order:eu-1:read"},
		"Nor does one for another server":  {"", "", "", exchanging(narrow, "subject_token_type", typeAccess, "audience", otherAPI, "scope", "uma_authorization"), ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ask(tc.user, tc.password, tc.form)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	query := asking("repository:team-a/app:pull uma_authorization")
	if claims := w.claims(t, w.get(t, "alice", "secret", query)); len(claims.Access) != 1 {
		t.Errorf("a registry token has no words: %+v", claims)
	}
}

// TestWithoutUMANothingOfItIsServed is a server that was not told to.
func TestWithoutUMANothingOfItIsServed(t *testing.T) {
	w := startOAuth(t, nil)
	answer := w.form(t, "/token", "", "", umaForm())
	if answer.status != 400 || !strings.Contains(string(answer.body), "unsupported_grant_type") {
		t.Errorf("the grant: %d %s", answer.status, answer.body)
	}
	if scope := fields(t, w.form(t, "/token", "alice", "secret", values("grant_type", "client_credentials", "audience", api, "scope", "uma_authorization")).body)["scope"]; scope != "" {
		t.Errorf("the word: %v", scope)
	}
	for _, path := range []string{"/authz/authorize", "/authz/entitlement/x", "/.well-known/uma2-configuration"} {
		if answer := (ask{path: path}).send(t, w.running); answer.status != 404 {
			t.Errorf("%s: %d", path, answer.status)
		}
	}
}
