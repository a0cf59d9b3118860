package tokenserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// documented is what Keycloak's documentation and server say of an answer. These rows are written by hand: nothing updates them.
type documented struct {
	reason string
	answer func() reply
	status int
	// code and description are those of an error; an empty description is any.
	code, description string
	// has are names that the answer, or the first of its list, must have, with those of objects within after a dot.
	has []string
}

// keycloakWorld is one of Keycloak's spelling, with the tokens of those who come.
type keycloakWorld struct {
	*guarded
	t                    *testing.T
	pat, alice, bob, rpt string
	photos               string
}

func startKeycloak(t *testing.T) *keycloakWorld {
	t.Helper()
	w := &keycloakWorld{guarded: startGuarded(t, true), t: t}
	w.pat = w.umaWorld.form(t, "/token", "x", w.cluster.token(t, time.Hour, nil),
		values("grant_type", "client_credentials", "audience", api, "scope", "uma_protection")).text(t, "access_token")
	w.alice, w.bob = w.aat(t, "alice", "secret", api, "uma_authorization"), w.aat(t, "bob", "hunter2", api, "uma_authorization")
	w.rpt = w.grant(w.alice, "permission", "orders/eu-1#read").text(t, "access_token")
	w.photos, _ = fields(t, w.send(w.pat, http.MethodPost, pathResources,
		`{"name":"Photos","resource_scopes":["view"],"uris":["/photos/*"],"owner":"alice","ownerManagedAccess":true}`).body)["_id"].(string)
	return w
}

func (w *keycloakWorld) grant(bearer string, pairs ...string) reply {
	return w.umaWorld.form(w.t, "/token", "bearer", bearer, umaForm(pairs...))
}

func (w *keycloakWorld) send(bearer, method, path, body string) reply {
	return w.json(w.t, method, path, bearer, body)
}

// TestWhatKeycloakDocuments compares statuses, errors and names with what Keycloak documents.
func TestWhatKeycloakDocuments(t *testing.T) {
	w := startKeycloak(t)
	for name, row := range map[string]map[string]documented{"token endpoint": w.tokenEndpoint(), "refusals": w.tokenRefusals(), "protection API": w.protectionAPI()} {
		for title, tc := range row {
			t.Run(name+"/"+title, func(t *testing.T) { tc.holds(t) })
		}
	}
}

func (d documented) holds(t *testing.T) {
	t.Helper()
	got := d.answer()
	if got.status != d.status {
		t.Fatalf("%s: status %d, want %d: %s", d.reason, got.status, d.status, got.body)
	}
	var body any
	if len(got.body) > 0 {
		if err := json.Unmarshal(got.body, &body); err != nil {
			t.Fatalf("%s: %v", got.body, err)
		}
	}
	if list, ok := body.([]any); ok && len(d.has) > 0 {
		if len(list) == 0 {
			t.Fatalf("%s: an empty list", d.reason)
		}
		body = list[0]
	}
	object, _ := body.(map[string]any)
	if code, _ := object["error"].(string); code != d.code {
		t.Errorf("%s: error %q, want %q", d.reason, code, d.code)
	}
	if text, _ := object["error_description"].(string); d.description != "" && text != d.description {
		t.Errorf("%s: error_description %q, want %q", d.reason, text, d.description)
	}
	for _, path := range d.has {
		if !hasName(body, strings.Split(path, ".")) {
			t.Errorf("%s: no %s in %s", d.reason, path, got.body)
		}
	}
}

// hasName looks for a name in an object, or in the first one of a list.
func hasName(body any, path []string) bool {
	if list, ok := body.([]any); ok && len(list) > 0 {
		body = list[0]
	}
	object, _ := body.(map[string]any)
	value, found := object[path[0]]
	return found && (len(path) == 1 || hasName(value, path[1:]))
}

func (w *keycloakWorld) tokenEndpoint() map[string]documented {
	w.t.Helper()
	t := w.t
	return map[string]documented{
		"An RPT": {
			"", func() reply { return w.grant(w.alice, "permission", "orders/eu-1#read") }, 200, "", "",
			[]string{"upgraded", "access_token", "expires_in", "token_type", "not-before-policy"},
		},
		"What an RPT says": {
			"", func() reply {
				claims, err := json.Marshal(w.claims(w.rpt))
				if err != nil {
					t.Fatal(err)
				}
				return reply{status: 200, body: claims}
			}, 200, "", "",
			[]string{"typ", "azp", "sub", "aud", "exp", "iat", "jti", "authorization.permissions.rsid", "authorization.permissions.rsname", "authorization.permissions.scopes"},
		},
		"A decision":  {"", func() reply { return w.grant(w.alice, "permission", "Order 1#read", "response_mode", "decision") }, 200, "", "", []string{"result"}},
		"Permissions": {"", func() reply { return w.grant(w.alice, "permission", "#read", "response_mode", "permissions") }, 200, "", "", []string{"rsid", "rsname", "scopes"}},
		"By a path": {"", func() reply {
			return w.grant(w.alice, "permission", "/orders/1", "permission_resource_format", "uri", "permission_resource_matching_uri", "true", "response_mode", "decision")
		}, 200, "", "", []string{"result"}},
		"Introspection": {
			"", func() reply {
				return w.umaWorld.form(t, "/introspect", "rs", "rs-secret", values("token", w.rpt, "token_type_hint", "requesting_party_token"))
			}, 200, "", "", []string{
				"active", "exp", "iat", "nbf", "aud", "jti", "permissions.rsid", "permissions.rsname", "permissions.scopes", "permissions.resource_id", "permissions.resource_scopes",
			},
		},
		"Metadata": {
			"what is not served is not named", func() reply { return w.send("", http.MethodGet, "/.well-known/uma2-configuration", "") }, 200, "", "",
			[]string{
				"issuer", "token_endpoint", "introspection_endpoint", "jwks_uri", "grant_types_supported", "response_types_supported",
				"token_endpoint_auth_methods_supported", "scopes_supported", "resource_registration_endpoint", "permission_endpoint",
			},
		},
	}
}

// claims are those of a token, which the resource server would verify.
func (w *keycloakWorld) claims(text string) map[string]any {
	w.t.Helper()
	verified, err := w.snapshots.Load().Verify(text, w.url, time.Now(), token.TypeRPT)
	if err != nil {
		w.t.Fatal(err)
	}
	return fields(w.t, verified.Claims)
}

func (w *keycloakWorld) tokenRefusals() map[string]documented {
	used := w.asked(w.t, reads("orders/eu-1")...)
	w.grant(w.alice, "ticket", used)
	denied, submitted := w.asked(w.t, reads("orders/eu-1")...), w.asked(w.t, token.Permission{ID: w.photos})
	of := func(bearer string, pairs ...string) func() reply {
		return func() reply { return w.grant(bearer, pairs...) }
	}
	return map[string]documented{
		"Denied":                       {"", of(w.bob, "permission", "orders/eu-1"), 403, "access_denied", "not_authorized", nil},
		"Denied, as a decision":        {"", of(w.bob, "permission", "orders/eu-1", "response_mode", "decision"), 403, "access_denied", "not_authorized", nil},
		"Denied, with a ticket":        {"", of(w.bob, "ticket", denied), 403, "access_denied", "not_authorized", nil},
		"Submitted":                    {"an absent submit_request is true", of(w.bob, "ticket", submitted), 403, "access_denied", "request_submitted", nil},
		"A bad ticket":                 {"", of(w.alice, "ticket", "x"), 403, "invalid_ticket", "", nil},
		"A ticket that was used":       {"Keycloak takes it again", of(w.alice, "ticket", used), 403, "invalid_ticket", "", nil},
		"A bad RPT":                    {"", of(w.alice, "rpt", "x"), 403, "invalid_rpt", "", nil},
		"Another's RPT":                {"", of(w.bob, "rpt", w.rpt), 403, "invalid_rpt", "", nil},
		"One denied with an RPT":       {"it denies all", of(w.alice, "rpt", w.rpt, "permission", "photos/vault", "permission", "orders/eu-2"), 403, "access_denied", "not_authorized", nil},
		"An unknown resource":          {"", of(w.alice, "permission", "none"), 400, "invalid_resource", "", nil},
		"An unknown scope":             {"", of(w.alice, "permission", "orders/eu-1#fly"), 400, "invalid_scope", "", nil},
		"An unknown mode":              {"", of(w.alice, "response_mode", "x"), 400, "invalid_request", "Invalid response_mode", nil},
		"Claims that nobody can read":  {"", of(w.alice, "claim_token", "x", "claim_token_format", "x"), 400, "invalid_request", "Invalid claims", nil},
		"An unknown resource server":   {"", of(w.alice, "audience", "none", "permission", "x"), 400, "invalid_request", "Unknown resource server id", nil},
		"A bearer that is none":        {"", of("x", "permission", "orders/eu-1"), 401, "invalid_grant", "Invalid bearer token", nil},
		"A bearer that does not reach": {"", of(w.aat(w.t, "bob", "hunter2", api, ""), "permission", "orders/eu-1"), 403, "invalid_scope", "", nil},
		"UMA 1: denied": {"", func() reply {
			return w.send(w.bob, "POST", "/authz/entitlement/"+url.PathEscape(api), `{"permissions":[{"resource_set_id":"orders/eu-1"}]}`)
		}, 403, "not_authorized", "", nil},
		"UMA 1: an unknown resource": {"", func() reply {
			return w.send(w.bob, "POST", "/authz/entitlement/"+url.PathEscape(api), `{"permissions":[{"resource_set_id":"x"}]}`)
		}, 403, "invalid_resource", "", nil},
		"UMA 1: an RPT that is not one": {"", func() reply { return w.send(w.alice, "POST", "/authz/entitlement/"+url.PathEscape(api), `{"rpt":"x"}`) }, 403, "invalid_rpt", "", nil},
	}
}

func (w *keycloakWorld) protectionAPI() map[string]documented {
	of := func(bearer, method, path, body string) func() reply {
		return func() reply { return w.send(bearer, method, path, body) }
	}
	const one = `{"name":"Rack","type":"rack","icon_uri":"https://x.example.com/i.png","resource_scopes":["view"],"uris":["/racks/*"],"displayName":"Rack","attributes":{"k":["v"]}}`
	shown := []string{"_id", "name", "owner.id", "ownerManagedAccess", "resource_scopes.name", "uris"}
	return map[string]documented{
		"Register":                {"", of(w.pat, "POST", pathResources, one), 201, "", "", append(slices.Clone(shown), "type", "icon_uri", "attributes")},
		"A name that is taken":    {"", of(w.pat, "POST", pathResources, `{"name":"Photos","resource_scopes":["other"],"owner":"alice"}`), 409, "conflict", "", nil},
		"Read":                    {"", of(w.pat, "GET", pathResources+"/"+w.photos, ""), 200, "", "", shown},
		"Read what is not there":  {"", of(w.pat, "GET", pathResources+"/none", ""), 404, "not_found", "", nil},
		"Change":                  {"", of(w.pat, "PUT", pathResources+"/"+w.photos, `{"name":"Photos","resource_scopes":["view"],"uris":["/photos/*"]}`), 204, "", "", nil},
		"List":                    {"ids", of(w.pat, "GET", pathResources+"?_id="+url.QueryEscape(w.photos)+"&name=Photos&exactName=true&owner=alice&first=0&max=5", ""), 200, "", "", nil},
		"List deeply":             {"", of(w.pat, "GET", pathResources+"?deep=true&matchingUri=true&uri=/photos/1", ""), 200, "", "", shown},
		"A ticket":                {"", of(w.pat, "POST", pathPermission, `[{"resource_id":"orders/eu-1","resource_scopes":["read"],"claims":{"k":["v"]}}]`), 201, "", "", []string{"ticket"}},
		"An unknown resource":     {"", of(w.pat, "POST", pathPermission, `[{"resource_id":"none"}]`), 400, "invalid_resource_id", "", nil},
		"An unknown scope":        {"", of(w.pat, "POST", pathPermission, `[{"resource_id":"orders/eu-1","resource_scopes":["fly"]}]`), 400, "invalid_scope", "", nil},
		"No permission":           {"", of(w.pat, "POST", pathPermission, `[]`), 400, "invalid_permission_request", "", nil},
		"No PAT":                  {"", of(w.alice, "GET", pathResources, ""), 403, "invalid_scope", "", nil},
		"No bearer":               {"", of("", "GET", pathResources, ""), 401, "invalid_grant", "Invalid bearer token", nil},
		"Ask an owner":            {"", of(w.bob, "POST", pathRequests, `{"resource":"`+w.photos+`","requester":"bob","scopeName":"view"}`), 200, "", "", []string{"id", "owner", "resource", "scope", "granted", "requester"}},
		"Ask in another's name":   {"", of(w.bob, "POST", pathRequests, `{"resource":"`+w.photos+`","requester":"robot","scopeName":"view"}`), 403, "access_denied", "", nil},
		"Decide what is not":      {"", of(w.alice, "PUT", pathRequests, `{"id":"ci/none","granted":true}`), 404, "not_found", "", nil},
		"Withdraw what is not":    {"", of(w.bob, "DELETE", pathRequests+"/ci/none", ""), 404, "not_found", "", nil},
		"The list of an outsider": {"it is empty", of(w.aat(w.t, "robot", "r2d2 + c3po%", api, "uma_authorization"), "GET", pathRequests+"?scopeId=view&returnNames=true&granted=false&first=0&max=9", ""), 200, "", "", nil},
	}
}
