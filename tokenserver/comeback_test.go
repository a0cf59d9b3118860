package tokenserver

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// before are tokens that alice got ten minutes ago.
type before struct{ refresh, access, bearer string }

// revokedWorld is a server at which all that alice got until some time ago is revoked.
func revokedWorld(t *testing.T, ago time.Duration) (*oauthWorld, before) {
	t.Helper()
	var records *record.Store
	w := startIdent(t, v1alpha1.EdDSA, func(_ *Options, parts *Parts, _ *snapshot.Input) { records = parts.Records })
	old := before{refresh: w.refreshToken(t, api)}
	for _, stored := range w.objects.Tokens() {
		stored.CreationTimestamp.Time = stored.CreationTimestamp.Add(-10 * time.Minute)
		records.Index().PutRecord(stored)
	}
	aged := func(c map[string]any) { c["iat"], c["nbf"] = time.Now().Unix()-600, time.Now().Unix()-600 }
	old.access = w.sign(t, token.TypeAccess, api, aged)
	_, claims := says(t, w.bearer(t, "alice", "secret"))
	old.bearer = w.sign(t, token.TypeAccess, provide, func(c map[string]any) {
		aged(c)
		c["tokenwright.dev/credential"] = claims["tokenwright.dev/credential"]
	})
	if answer := w.form(t, "/token", "", "", refreshing(old.refresh)); answer.status != http.StatusOK {
		t.Fatalf("before: status %d: %s", answer.status, answer.body)
	}
	for hint, text := range map[string]string{"refresh_token": old.refresh, "": old.access} {
		if answer := w.introspect(t, text, hint); answer["active"] != true {
			t.Fatalf("before: %v", answer)
		}
	}
	if answer := w.json(t, http.MethodGet, "/api/v1/tokens", old.bearer, ""); answer.status != http.StatusOK {
		t.Fatalf("before: status %d: %s", answer.status, answer.body)
	}
	w.revokeSubject(t, "alice", time.Now().Add(-ago))
	return w, old
}

// refreshing is the form with which a refresh token comes.
func refreshing(text string) url.Values {
	return values("grant_type", "refresh_token", "refresh_token", text, "audience", api)
}

// refused holds that nothing from before is good any more.
func (old before) refused(t *testing.T, w *oauthWorld) {
	t.Helper()
	const notAccepted = "the refresh token was not accepted"
	w.form(t, "/token", "", "", refreshing(old.refresh)).is(t, "the refresh token", 401, tokenProblem("UNAUTHORIZED", "invalid_grant", notAccepted))
	w.get(t, "<token>", old.refresh, url.Values{"service": {api}}).
		is(t, "the refresh token as a password", 401, `{"errors":[{"code":"UNAUTHORIZED","message":"`+notAccepted+`"}]}`)
	for hint, text := range map[string]string{"refresh_token": old.refresh, "": old.access} {
		w.form(t, "/introspect", "rs", "rs-secret", url.Values{"token": {text}, "token_type_hint": {hint}}).is(t, "introspected", 200, inactive)
	}
	w.json(t, http.MethodGet, "/api/v1/tokens", old.bearer, "").is(t, "the bearer", 401, refusedToken)
	w.form(t, "/token", "", "", exchanging(old.access, "audience", otherAPI)).
		is(t, "exchanged", 400, tokenProblem("INVALID_REQUEST", "invalid_request", "the subject_token was not accepted"))
}

// TestASubjectThatIsRevokedWaits has alice come back too early, by every way to a token. Nobody could tell what she would get
// from what was revoked: iat is set back by a minute, and clocks may be a minute apart.
func TestASubjectThatIsRevokedWaits(t *testing.T) {
	const wait = "the tokens of this user were revoked a moment ago"
	for name, tc := range map[string]struct{ ago, wait time.Duration }{
		"at once":                          {0, 121 * time.Second},
		"when the leeway alone has passed": {70 * time.Second, 51 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w, old := revokedWorld(t, tc.ago)
			old.refused(t, w)
			records := len(w.objects.Tokens())
			problem, docker := tokenProblem("UNAVAILABLE", "temporarily_unavailable", wait), `{"errors":[{"code":"UNAVAILABLE","message":"`+wait+`"}]}`
			password := values("grant_type", "password", "username", "alice", "password", "secret", "service", service)
			for how, c := range map[string]struct {
				answer reply
				body   string
			}{
				"GET":                {w.get(t, "alice", "secret", asking("repository:team-a/app:pull")), docker},
				"a login check":      {w.get(t, "alice", "secret", asking()), docker},
				"docker login":       {w.get(t, "alice", "secret", url.Values{"service": {service}, "offline_token": {"true"}}), docker},
				"POST":               {w.form(t, "/token", "", "", password), problem},
				"client credentials": {w.form(t, "/token", "alice", "secret", values("grant_type", "client_credentials", "audience", api)), problem},
				"Provide Ident":      {w.json(t, http.MethodPost, "/api/v1/authenticate", "", `{"username":"alice","password":"secret"}`), message(wait)},
			} {
				c.answer.is(t, how, 503, c.body)
				after, err := strconv.Atoi(c.answer.header.Get("Retry-After"))
				if longest := int(tc.wait / time.Second); err != nil || after > longest || after < longest-15 {
					t.Errorf("%s: Retry-After = %q, want %d or what is left of it", how, c.answer.header.Get("Retry-After"), longest)
				}
			}
			if got := len(w.objects.Tokens()); got != records {
				t.Errorf("%d records, and %d before", got, records)
			}
			w.get(t, "alice", "wrong", asking()).
				is(t, "nobody learns of it without the password", 401, `{"errors":[{"code":"UNAUTHORIZED","message":"the credentials were not accepted"}]}`)
			if answer := w.get(t, "bob", "hunter2", asking()); answer.status != http.StatusOK {
				t.Errorf("another user: status %d: %s", answer.status, answer.body)
			}
		})
	}
}

// TestASubjectThatIsRevokedComesBack waits for what Retry-After says, which is a few seconds here, and not longer. What alice gets
// then is good everywhere, and what was revoked stays so.
func TestASubjectThatIsRevokedComesBack(t *testing.T) {
	w, old := revokedWorld(t, 115*time.Second)
	refused := w.get(t, "alice", "secret", asking())
	after, err := strconv.Atoi(refused.header.Get("Retry-After"))
	if refused.status != http.StatusServiceUnavailable || err != nil || after < 1 || after > 6 {
		t.Fatalf("status %d, Retry-After %q: the test needs a moment in which she must wait", refused.status, refused.header.Get("Retry-After"))
	}
	told := time.Now().Add(time.Duration(after) * time.Second)
	waitFor(t, "she gets a token", func() bool { return w.get(t, "alice", "secret", asking()).status == http.StatusOK })
	if late := time.Since(told); late > 10*time.Second {
		t.Errorf("she had to wait %s longer than she was told", late)
	}
	if got := w.claims(t, w.get(t, "alice", "secret", asking("repository:team-a/app:pull"))); got.Subject != "alice" || len(got.Access) != 1 {
		t.Errorf("claims %+v", got)
	}
	fresh := w.refreshToken(t, api)
	answer := w.form(t, "/token", "", "", refreshing(fresh))
	for hint, text := range map[string]string{"refresh_token": fresh, "": answer.text(t, "access_token")} {
		if got := w.introspect(t, text, hint); got["active"] != true || got["sub"] != "alice" {
			t.Errorf("what she got when she was back: %v", got)
		}
	}
	if got := w.json(t, http.MethodGet, "/api/v1/tokens", w.bearer(t, "alice", "secret"), ""); got.status != http.StatusOK {
		t.Errorf("the bearer that she got when she was back: status %d: %s", got.status, got.body)
	}
	old.refused(t, w)
}
