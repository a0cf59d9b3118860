package tokenserver

import (
	"net/http"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// TestWhoIsNoResourceServer goes to endpoints for resource servers with all that is not the token of one, in both spellings.
func TestWhoIsNoResourceServer(t *testing.T) {
	const bare, failed = `Bearer realm="tokenwright"`, `Bearer realm="tokenwright", error="invalid_token"`
	const short = `Bearer realm="tokenwright", error="insufficient_scope"`
	refused := problemOf("invalid_token", "the token was not accepted")
	keycloaks := problemOf("invalid_grant", "Invalid bearer token")
	const lacks, stopped = "the token has not the scope uma_protection", "no policy lets the caller protect resources of this audience"
	w := startUMA(t, nil)
	compatible := startUMA(t, func(options *Options, _ *Parts, _ *snapshot.Input) { options.UMAKeycloak = true })
	cases := map[string]struct {
		reason         string
		bearer         func(*umaWorld) string
		status         int
		challenge      string
		want, keycloak string
	}{
		"Nobody":                  {"", func(*umaWorld) string { return "" }, 401, bare, problemOf("invalid_token", "a bearer token is missing"), keycloaks},
		"Nonsense":                {"", func(*umaWorld) string { return "x" }, 401, failed, refused, keycloaks},
		"A token that ended":      {"", func(w *umaWorld) string { return w.protects(t, "rs", -time.Second) }, 401, failed, refused, keycloaks},
		"An RPT":                  {"it is for resource servers", func(w *umaWorld) string { return w.sign(t, token.TypeRPT, api, nil) }, 401, failed, refused, keycloaks},
		"A user":                  {"the scope is another", func(w *umaWorld) string { return w.aat(t, "alice", "secret", api, "uma_authorization") }, 403, short, problemOf("insufficient_scope", lacks), problemOf("invalid_scope", lacks)},
		"Of another server":       {"its scope is of its own audience only", func(w *umaWorld) string { return w.aat(t, "alice", "secret", otherAPI, "uma_authorization") }, 403, short, problemOf("insufficient_scope", lacks), problemOf("invalid_scope", lacks)},
		"What a policy took back": {"the token is older than the policy", func(w *umaWorld) string { return w.protects(t, "alice", time.Minute) }, 403, short, problemOf("insufficient_scope", stopped), problemOf("invalid_scope", stopped)},
	}
	paths := map[string]string{
		"/access/v1/evaluation": evaluation("alice", "order", "orders/eu-1", "read"), "/access/v1/evaluations": `{"evaluations":[]}`,
		"/authz/protection/permission": `{"resource_id":"orders/eu-1"}`, "/authz/protection/resource_set": `{"name":"x","resource_scopes":["y"]}`,
	}
	for name, tc := range cases {
		for path, body := range paths {
			t.Run(name+" "+path, func(t *testing.T) {
				answer := w.json(t, http.MethodPost, path, tc.bearer(w), body)
				answer.is(t, tc.reason, tc.status, tc.want)
				if got := answer.header.Get("WWW-Authenticate"); got != tc.challenge {
					t.Errorf("challenge %q, want %q", got, tc.challenge)
				}
				compatible.json(t, http.MethodPost, path, tc.bearer(compatible), body).is(t, tc.reason, tc.status, tc.keycloak)
			})
		}
	}
}

// protects is a token with the scope of a resource server, whether policies give it or not.
func (w *umaWorld) protects(t *testing.T, user string, lives time.Duration) string {
	t.Helper()
	return w.sign(t, token.TypeAccess, api, func(c map[string]any) {
		c["sub"], c["client_id"], c["scope"] = user, user, "oauth:"+api+":uma_protection"
		c["exp"] = time.Now().Add(lives).Unix()
	})
}
