package tokenserver

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/token"
)

func TestRevocationIsStoredAndHonouredByAnotherServer(t *testing.T) {
	w := startOAuth(t, nil)
	second := w.another(t)
	cases := map[string]struct {
		reason, user, password string
		token                  func() string
		hint                   string
	}{
		"Her own access token":      {"it is hers", "alice", "secret", func() string { return w.sign(t, token.TypeAccess, api, nil) }, ""},
		"Her own registry token":    {"it is hers", "alice", "secret", func() string { return w.registryToken(t, "alice", "secret") }, "access_token"},
		"Her own refresh token":     {"it is hers", "alice", "secret", func() string { return w.refreshToken(t, api) }, "refresh_token"},
		"One of an audience of his": {"policy lets rs", "rs", "rs-secret", func() string { return w.refreshToken(t, api) }, "refresh_token"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text := tc.token()
			before := w.introspect(t, text, tc.hint)
			if before["active"] != true {
				t.Fatalf("before: %v", before)
			}
			w.form(t, "/revoke", tc.user, tc.password, url.Values{"token": {text}}).is(t, tc.reason, http.StatusOK, "")
			for _, server := range []*oauthWorld{w, second} {
				server.form(t, "/introspect", "rs", "rs-secret", url.Values{"token": {text}, "token_type_hint": {tc.hint}}).
					is(t, "it was taken back", http.StatusOK, inactive)
			}
			stored := w.objects.Revocations()
			var found bool
			for _, r := range stored {
				if r.Spec.Token.ID == before["jti"] && r.Name == "token-"+r.Spec.Token.ID {
					found = true
					if got := fmt.Sprint(mustTime(t, string(r.Spec.Expires)).Unix()); got != fmt.Sprint(before["exp"]) {
						t.Errorf("expires = %s, and exp was %v", got, before["exp"])
					}
				}
			}
			if !found {
				t.Errorf("no object for %v among %d", before["jti"], len(stored))
			}
			n := len(stored)
			w.form(t, "/revoke", tc.user, tc.password, url.Values{"token": {text}}).is(t, "twice is as good", http.StatusOK, "")
			if got := len(w.objects.Revocations()); got != n {
				t.Errorf("%d objects, and before %d", got, n)
			}
		})
	}
}

func TestRevocationIsRefused(t *testing.T) {
	w := startOAuth(t, nil)
	good := w.sign(t, token.TypeAccess, api, nil)
	unauthorized := problemOf("unauthorized_client", "the token is not the caller's, and no policy lets the caller revoke tokens of its audience")
	cases := map[string]struct {
		reason, user, password, token string
		status                        int
		body                          string
	}{
		"Nobody":                         {"the caller must be authenticated", "", "", good, 401, problemOf("invalid_client", "the caller must prove who it is")},
		"A wrong password":               {"it proves nothing", "alice", "wrong", good, 401, problemOf("invalid_client", "the credentials were not accepted")},
		"Somebody else's":                {"success would be a lie", "bob", "hunter2", good, 400, unauthorized},
		"Somebody else's refresh token":  {"success would be a lie", "bob", "hunter2", w.refreshToken(t, api), 400, unauthorized},
		"Of an audience to look at only": {"introspect is not revoke", "rs", "rs-secret", w.registryToken(t, "alice", "secret"), 400, unauthorized},
		"A token of nobody": {
			"anybody could store any number", "rs", "rs-secret", w.registryToken(t, "", ""), 400,
			problemOf("unsupported_token_type", "tokens of nobody in particular cannot be revoked"),
		},
		"Junk":                       {"RFC 7009, section 2.2", "bob", "hunter2", "junk", 200, ""},
		"One that never was":         {"RFC 7009, section 2.2", "bob", "hunter2", w.sign(t, token.TypeAccess, api, nil) + "x", 200, ""},
		"An expired one":             {"there is nothing to be revoked", "alice", "secret", w.sign(t, token.TypeAccess, api, func(c map[string]any) { c["exp"] = 1 }), 200, ""},
		"A refresh string, not ours": {"there is nothing to be revoked", "alice", "secret", "twr_0-1-abcdefghijklmnopqrstuvwxyz.x.y", 200, ""},
	}
	before := len(w.objects.Revocations())
	calls := w.objects.Calls()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w.form(t, "/revoke", tc.user, tc.password, url.Values{"token": {tc.token}}).is(t, tc.reason, tc.status, tc.body)
		})
	}
	if got := len(w.objects.Revocations()); got != before || w.objects.Calls() != calls {
		t.Errorf("%d objects were stored with %d calls", got-before, w.objects.Calls()-calls)
	}
}

func TestARevocationThatCannotBeStoredIsNoSuccess(t *testing.T) {
	w := startOAuth(t, nil)
	good := w.sign(t, token.TypeAccess, api, nil)
	w.objects.Away(true)
	w.form(t, "/revoke", "alice", "secret", url.Values{"token": {good}}).
		is(t, "nothing is stored", 503, problemOf("temporarily_unavailable", "the token could not be revoked at present"))
	if answer := w.introspect(t, good, ""); answer["active"] != true {
		t.Errorf("answer = %v", answer)
	}
	w.objects.Away(false)
	w.form(t, "/revoke", "alice", "secret", url.Values{"token": {good}}).is(t, "the API server is back", 200, "")
	if got := len(w.objects.Revocations()); got != 1 {
		t.Errorf("%d objects", got)
	}
}

// Each token is another object: without a bound one user fills the API server.
func TestOneCallerCannotStoreAnyNumberOfRevocations(t *testing.T) {
	w := startOAuth(t, nil)
	var limited reply
	for n := range 60 {
		text := w.sign(t, token.TypeAccess, api, func(c map[string]any) { c["jti"] = fmt.Sprintf("token%021d", n) })
		if limited = w.form(t, "/revoke", "alice", "secret", url.Values{"token": {text}}); limited.status != http.StatusOK {
			break
		}
	}
	limited.is(t, "no caller stores any number of objects", 429, problemOf("temporarily_unavailable", "the caller revokes too many tokens"))
	if limited.header.Get("Retry-After") == "" {
		t.Error("Retry-After is missing")
	}
	if got := len(w.objects.Revocations()); got < 30 || got > 45 {
		t.Errorf("%d objects were stored", got)
	}
	w.form(t, "/revoke", "rs", "rs-secret", url.Values{"token": {w.sign(t, token.TypeAccess, api, nil)}}).
		is(t, "another caller is not held up", 200, "")
}

func TestWhoRevokedWhatIsRecorded(t *testing.T) {
	w := startOAuth(t, nil)
	text := w.sign(t, token.TypeAccess, api, nil)
	w.form(t, "/revoke", "rs", "rs-secret", url.Values{"token": {text}}).is(t, "policy lets rs", 200, "")
	want := map[string]any{
		"outcome": "revoked", "grant": "revoke", "jti": "abcdefghijklmnopqrstuvwxyz", "subject": "rs", "provider": "users",
		"method": "password", "audience": api, "requested": []any{}, "granted": []any{}, "sourceIP": "127.0.0.1",
	}
	if diff := cmp.Diff(want, w.revoked(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Contains(readFile(t, w.auditFile), text) {
		t.Error("the audit log holds a token")
	}
}

// revoked is the audit record of the last revocation, without what differs each time.
func (r *running) revoked(t testing.TB) map[string]any {
	t.Helper()
	var got map[string]any
	for line := range strings.Lines(readFile(t, r.auditFile)) {
		if strings.Contains(line, `"outcome":"revoked"`) {
			got = fields(t, []byte(line))
		}
	}
	for _, varies := range []string{"time", "requestID"} {
		if got[varies] == nil {
			t.Errorf("%s is missing in %v", varies, got)
		}
		delete(got, varies)
	}
	return got
}
