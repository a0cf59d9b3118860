package tokenserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const inactive = `{"active":false}`

func objectName(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: fixture.Namespace}
}

func TestIntrospectionSaysWhatATokenHolds(t *testing.T) {
	w := startOAuth(t, nil)
	without := func(answer map[string]any, names ...string) map[string]any {
		for _, name := range names {
			if _, ok := answer[name]; !ok {
				t.Errorf("%s is missing in %v", name, answer)
			}
			delete(answer, name)
		}
		return answer
	}
	cases := map[string]struct {
		reason, token, hint string
		varies              []string
		want                map[string]any
	}{
		"A registry token": {
			"its access is spelled as scopes", w.registryToken(t, "alice", "secret"), "",
			[]string{"exp", "iat", "nbf", "jti"},
			map[string]any{
				"active": true, "token_type": "Bearer", "scope": "repository:public/app:pull repository:team-a/app:push",
				"username": "alice", "sub": "alice", "aud": service, "iss": issuerName,
			},
		},
		"A registry token of nobody": {
			"there is no name to tell", w.registryToken(t, "", ""), "access_token",
			[]string{"exp", "iat", "nbf", "jti"},
			map[string]any{"active": true, "token_type": "Bearer", "scope": "repository:public/app:pull", "aud": service, "iss": issuerName},
		},
		"An access token, with a wrong hint": {
			"RFC 7662, section 2.1: a hint is no more than that", w.sign(t, token.TypeAccess, api, nil), "refresh_token",
			[]string{"exp", "iat", "nbf"},
			map[string]any{
				"active": true, "token_type": "Bearer", "scope": "order:1:read", "client_id": "alice",
				"username": "alice", "sub": "alice", "aud": api, "iss": issuerName, "jti": "abcdefghijklmnopqrstuvwxyz",
			},
		},
		"A refresh token": {
			"it is told from what may be accepted as a bearer", w.refreshToken(t, api), "refresh_token",
			[]string{"exp", "iat", "jti"},
			map[string]any{
				"active": true, "token_type": "refresh_token", "client_id": "cli",
				"username": "alice", "sub": "alice", "aud": api, "iss": issuerName,
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := without(w.introspect(t, tc.token, tc.hint), tc.varies...)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestTimesOfAnIntrospectedTokenAreItsOwn(t *testing.T) {
	w := startOAuth(t, nil)
	var exp, iat, nbf int64
	text := w.sign(t, token.TypeAccess, api, func(claims map[string]any) {
		exp, iat, nbf = claims["exp"].(int64), claims["iat"].(int64)-7, claims["nbf"].(int64)-9
		claims["iat"], claims["nbf"] = iat, nbf
	})
	answer := w.form(t, "/introspect", "rs", "rs-secret", url.Values{"token": {text}})
	var got struct{ Exp, Iat, Nbf int64 }
	if err := json.Unmarshal(answer.body, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(struct{ Exp, Iat, Nbf int64 }{exp, iat, nbf}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsNotActiveSaysNothingElse(t *testing.T) {
	w := startOAuth(t, nil)
	access := func(change func(map[string]any)) string { return w.sign(t, token.TypeAccess, api, change) }
	revokedByID := access(func(c map[string]any) { c["jti"] = "revokedrevokedrevokedrevok" })
	create := func(r *v1alpha1.TokenRevocation) {
		if err := w.objects.Create(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	create(&v1alpha1.TokenRevocation{
		ObjectMeta: objectName("token-revokedrevokedrevokedrevok"),
		Spec:       v1alpha1.TokenRevocationSpec{Token: &v1alpha1.RevokedToken{ID: "revokedrevokedrevokedrevok"}},
	})
	w.revokeSubject(t, "robot", time.Now())
	refresh := w.refreshToken(t, api)
	good := access(nil)
	cases := map[string]struct{ reason, token, hint string }{
		"Junk":                            {"it is not ours", "junk", ""},
		"A million dots":                  {"it is not parsed", strings.Repeat(".", 60_000), ""},
		"Random refresh strings":          {"it is not sealed by us", "twr_0-1-abcdefghijklmnopqrstuvwxyz.x.y", "refresh_token"},
		"Expired":                         {"it was good", access(func(c map[string]any) { c["exp"] = time.Now().Unix() }), ""},
		"Not good yet":                    {"it will be good", access(func(c map[string]any) { c["nbf"] = time.Now().Unix() + 60 }), ""},
		"Without exp and without record":  {"nothing would end it", access(func(c map[string]any) { delete(c, "exp") }), ""},
		"Without exp, record not there":   {"nothing would end it", access(func(c map[string]any) { delete(c, "exp"); c["jti"] = "0-5-abcdefghijklmnopqrstuvwxyz" }), ""},
		"Of another issuer":               {"it is not ours", access(func(c map[string]any) { c["iss"] = issuerName + "/" }), ""},
		"Of another kind":                 {"each kind has its own typ", w.sign(t, "other+jwt", api, nil), ""},
		"Of an audience of another":       {"the caller has no business with it", w.sign(t, token.TypeAccess, otherAPI, nil), ""},
		"Of an audience its key has not":  {"the key of one service signs for no other", access(func(c map[string]any) { c["aud"] = service }), ""},
		"Revoked by its id":               {"somebody took it back", revokedByID, ""},
		"Revoked by its subject":          {"all of the user were taken back", access(func(c map[string]any) { c["sub"] = "robot" }), ""},
		"A refresh token as bearer":       {"a resource that looks at active alone would accept it", refresh, ""},
		"A refresh token as access token": {"the same", refresh, "access_token"},
		"A refresh token that is longer":  {"not sealed by us", refresh + "A", "refresh_token"},
		"A refresh token in other case":   {"not sealed by us", strings.ToUpper(refresh), "refresh_token"},
		"A space before":                  {"a token has one spelling", " " + good, ""},
		"A line break behind":             {"a token has one spelling", good + "\n", ""},
		"The signature cut off":           {"nobody signed it", good[:strings.LastIndexByte(good, '.')+1], ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"token": {tc.token}, "token_type_hint": {tc.hint}}
			w.form(t, "/introspect", "rs", "rs-secret", form).is(t, tc.reason, http.StatusOK, inactive)
		})
	}
}

func TestARefreshTokenIsActiveOnlyAsLongAsItsNextUseWouldSucceed(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*testing.T, *snapshot.Input)
		want   string
	}{
		"Nothing changed":    {"its next use would succeed", func(*testing.T, *snapshot.Input) {}, `{"active":true,`},
		"A changed password": {"the user is not who she was", func(t *testing.T, in *snapshot.Input) { in.Providers = nil }, inactive},
		"No policy any more": {"nobody lets her have one", func(t *testing.T, in *snapshot.Input) {
			in.Policies = fixture.Policies(t, oauthPolicies()[:3]...)
		}, inactive},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := startOAuth(t, nil)
			refresh := w.refreshToken(t, api)
			input := w.input
			tc.change(t, &input)
			if input.Providers == nil {
				passwords := map[string]string{"alice": "another", "rs": "rs-secret"}
				provider := fixture.Htpasswd(t, passwords)
				input.Providers = append(input.Providers, provider)
			}
			w.snapshots.Store(snapshot.Build(input))
			answer := w.form(t, "/introspect", "rs", "rs-secret", url.Values{"token": {refresh}, "token_type_hint": {"refresh_token"}})
			if answer.status != http.StatusOK || !strings.HasPrefix(string(answer.body), tc.want) {
				t.Errorf("%s: %d %s", tc.reason, answer.status, answer.body)
			}
		})
	}
}

// TestWhoMayIntrospect has callers who are not who they say, or may not ask.
func TestWhoMayIntrospect(t *testing.T) {
	w := startOAuth(t, nil)
	good, refresh := w.sign(t, token.TypeAccess, api, nil), w.refreshToken(t, api)
	question := url.Values{"token": {good}}
	refused := problemOf("invalid_client", "the credentials were not accepted")
	cases := map[string]struct {
		reason, user, password string
		form                   url.Values
		status                 int
		body                   string
	}{
		"Nobody":                      {"RFC 7662, section 2.1: the caller must be authenticated", "", "", question, 401, problemOf("invalid_client", "the caller must prove who it is")},
		"A wrong password":            {"it proves nothing", "rs", "wrong", question, 401, refused},
		"A user without the right":    {"it is told nothing", "alice", "secret", question, 200, inactive},
		"A user about her own token":  {"that she has it gives her no right to ask", "alice", "secret", url.Values{"token": {good}}, 200, inactive},
		"A user and a refresh token":  {"it is told nothing", "bob", "hunter2", url.Values{"token": {refresh}, "token_type_hint": {"refresh_token"}}, 200, inactive},
		"An access token as bearer":   {"it is for a service and not for us", "bearer", good, question, 401, refused},
		"A registry token as bearer":  {"it is for a registry and not for us", "bearer", w.registryToken(t, "alice", "secret"), question, 401, refused},
		"A refresh token as bearer":   {"it is good for POST /token only", "bearer", refresh, question, 401, refused},
		"A password as bearer":        {"it has no name", "bearer", "secret", question, 401, problemOf("invalid_client", "the bearer is not a token that proves who asks")},
		"A refresh token as password": {"it is good for POST /token only", "<token>", refresh, question, 401, refused},
		"No token":                    {"there is nothing to ask about", "rs", "rs-secret", url.Values{}, 400, problemOf("invalid_request", "token is missing")},
		"Two tokens":                  {"each reader would take another", "rs", "rs-secret", url.Values{"token": {good, "junk"}}, 400, problemOf("invalid_request", "token must not be given more than once")},
		"A name with a percent":       {"RFC 6749, section 2.3.1: names are encoded", "per%25+cent", "x:y", question, 200, inactive},
		"A password with plus and so": {"RFC 6749, section 2.3.1: passwords are encoded", "robot", "r2d2 + c3po%", question, 200, inactive},
		"Credentials in the form":     {"Basic is the only way that is served", "", "", url.Values{"token": {good}, "client_id": {"rs"}, "client_secret": {"rs-secret"}}, 401, problemOf("invalid_client", "the caller must prove who it is")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w.form(t, "/introspect", tc.user, tc.password, tc.form).is(t, tc.reason, tc.status, tc.body)
		})
	}
}

// A workload needs no password to ask: its own token proves who it is, as a bearer and as a password.
func TestAServiceAccountMayIntrospect(t *testing.T) {
	w := startOAuth(t, nil)
	account, good := w.cluster.token(t, time.Hour, nil), w.sign(t, token.TypeAccess, api, nil)
	for _, user := range []string{"bearer", "anything"} {
		answer := w.form(t, "/introspect", user, account, url.Values{"token": {good}})
		if got := fields(t, answer.body); got["active"] != true || got["jti"] != "abcdefghijklmnopqrstuvwxyz" {
			t.Errorf("%s: %d %s", user, answer.status, answer.body)
		}
		w.form(t, "/introspect", user, account, url.Values{"token": {w.registryToken(t, "alice", "secret")}}).
			is(t, "it may ask about one audience only", http.StatusOK, inactive)
	}
	refused := w.form(t, "/introspect", "bearer", w.cluster.token(t, -time.Hour, nil), url.Values{"token": {good}})
	refused.is(t, "it has expired", 401, problemOf("invalid_client", "the credentials were not accepted"))
	if got := refused.header.Get("WWW-Authenticate"); got != `Bearer realm="tokenwright", error="invalid_token"` {
		t.Errorf("WWW-Authenticate = %q", got)
	}
}

func TestAStaleServerDoesNotSayThatATokenIsActive(t *testing.T) {
	fence := snapshot.NewFence(time.Hour)
	fence.Confirm(time.Now())
	w := startOAuth(t, func(_ *Options, parts *Parts, _ *snapshot.Input) { parts.Fence = fence })
	good := w.sign(t, token.TypeAccess, api, nil)
	if answer := w.introspect(t, good, ""); answer["active"] != true {
		t.Fatalf("answer = %v", answer)
	}
	stale := startOAuth(t, func(_ *Options, parts *Parts, _ *snapshot.Input) { parts.Fence = snapshot.NewFence(time.Hour) })
	stale.form(t, "/introspect", "rs", "rs-secret", url.Values{"token": {stale.sign(t, token.TypeAccess, api, nil)}}).
		is(t, "a revocation may have passed it by", 503, problemOf("temporarily_unavailable", "whether the token is active is not known at present"))
	stale.form(t, "/introspect", "rs", "wrong", url.Values{"token": {"junk"}}).
		is(t, "a wrong password is 401 all the same", 401, problemOf("invalid_client", "the credentials were not accepted"))
}

func TestWhatIsNoFormIsRefused(t *testing.T) {
	w := startOAuth(t, nil)
	for _, path := range []string{"/introspect", "/revoke"} {
		notForm := problemOf("invalid_request", "the content type must be application/x-www-form-urlencoded")
		ask{method: "POST", path: path, user: "rs", password: "rs-secret", contentType: "application/json", body: `{"token":"x"}`}.
			send(t, w.running).is(t, "JSON where a form is due", 400, notForm)
		ask{method: "POST", path: path, user: "rs", password: "rs-secret", body: "token=x"}.
			send(t, w.running).is(t, "no content type", 400, notForm)
		ask{method: "POST", path: path, user: "rs", password: "rs-secret", contentType: form, body: "token=%zz"}.
			send(t, w.running).is(t, "a broken form", 400, problemOf("invalid_request", "the form is malformed"))
		ask{method: "POST", path: path, user: "rs", password: "rs-secret", contentType: form, query: url.Values{"token": {"x"}}}.
			send(t, w.running).is(t, "a token in the query", 400, problemOf("invalid_request", "token is missing"))
		ask{method: "GET", path: path, user: "rs", password: "rs-secret", query: url.Values{"token": {"x"}}}.
			send(t, w.running).is(t, "a token would be in logs", 405, problemOf("unsupported", "the method is not allowed here"))
		ask{method: "POST", path: path, contentType: form, body: "token=x", authorization: []string{"Basic YTpi", "Basic Yzpk"}}.
			send(t, w.running).is(t, "two headers", 400, problemOf("invalid_request", "there must not be more than one Authorization header"))
		ask{method: "POST", path: path, contentType: form, body: "token=x", authorization: []string{"Negotiate abc"}}.
			send(t, w.running).is(t, "another scheme", 401, problemOf("invalid_client", "the Authorization header must be of the scheme Basic or Bearer"))
		ask{method: "POST", path: path, contentType: form, body: "token=x", authorization: []string{"Basic %%%"}}.
			send(t, w.running).is(t, "not base64", 401, problemOf("invalid_client", "the Authorization header is malformed"))
	}
}

// A server that has not seen a record yet reads it. If it cannot, it does not know, and says neither yes nor no.
func TestARecordThatWasNotSeenIsRead(t *testing.T) {
	w := startOAuth(t, nil)
	refresh := w.refreshToken(t, api)
	second := w.another(t)
	question := url.Values{"token": {refresh}, "token_type_hint": {"refresh_token"}}
	w.objects.Away(true)
	second.form(t, "/introspect", "rs", "rs-secret", question).
		is(t, "it may be good", 503, problemOf("temporarily_unavailable", "whether the token is active is not known at present"))
	second.form(t, "/revoke", "alice", "secret", url.Values{"token": {refresh}}).
		is(t, "it may be good", 503, problemOf("temporarily_unavailable", "the token could not be revoked at present"))
	w.objects.Away(false)
	if answer := second.introspect(t, refresh, "refresh_token"); answer["active"] != true {
		t.Errorf("answer = %v", answer)
	}
}

// Passwords are guessed at these endpoints as well as at the token endpoint, and the same bound holds.
func TestPasswordsCannotBeGuessedByIntrospection(t *testing.T) {
	for _, path := range []string{"/introspect", "/revoke"} {
		w := startOAuth(t, nil)
		var answer reply
		for n := range 200 {
			if answer = w.form(t, path, "rs", fmt.Sprint("guess-", n), url.Values{"token": {"x"}}); answer.status != http.StatusUnauthorized {
				break
			}
		}
		answer.is(t, "who guesses is made to wait", 429, problemOf("temporarily_unavailable", "too many logins from this address failed: try again later"))
		if answer.header.Get("Retry-After") == "" {
			t.Errorf("%s: Retry-After is missing", path)
		}
	}
}
