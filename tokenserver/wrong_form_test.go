package tokenserver

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// TestAFormIsNoJSONAtIdent sends what OAuth's clients send to an API that takes JSON. What would be good by its text is not
// guessed at, and nothing is looked up for it.
func TestAFormIsNoJSONAtIdent(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	bearer := w.bearer(t, "alice", "secret")
	refresh := field(t, w.login(t, "alice", "secret", "offline_access"), "refresh_token")
	const login = `{"email":"alice","password":"secret"}`
	cases := map[string]struct{ reason, path, bearer, contentType, body string }{
		"A login as a form":             {"it is what OAuth has", "/api/v1/authenticate", "", form, "email=alice&password=secret"},
		"A login's JSON, called a form": {"what is said is meant", "/api/v1/authenticate", "", form, login},
		"A login's JSON, called a text": {"a page of another site may send it without asking", "/api/v1/authenticate", "", "text/plain", login},
		"A login's JSON, not called":    {"what is not said is not guessed at", "/api/v1/authenticate", "", "", login},
		"A login, called two things":    {"what is broken is not guessed at", "/api/v1/authenticate", "", "application/json, " + form, login},
		"A token as a form":             {"it is what OAuth has", "/api/v1/tokens", bearer, form, "scope=offline_access"},
		"A token's JSON, called a form": {"what is said is meant", "/api/v1/tokens", bearer, form, `{"scope":"offline_access"}`},
		"A refresh as a form":           {"it is what OAuth has", "/api/v1/tokens", refresh, form, "grant_type=refresh_token"},
		"A form without a bearer":       {"a bearer is asked for first", "/api/v1/tokens", "", form, "scope=offline_access"},
	}
	calls := w.objects.Calls()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			status, want := 400, "the content type must be application/json"
			a := ask{method: http.MethodPost, path: tc.path, contentType: tc.contentType, body: tc.body}
			if tc.bearer != "" {
				a.authorization = []string{"Bearer " + tc.bearer}
			} else if tc.path == "/api/v1/tokens" {
				status, want = 401, "a bearer token is missing"
			}
			a.send(t, w.running).is(t, tc.reason, status, message(want))
		})
	}
	if got := w.objects.Calls(); got != calls {
		t.Errorf("the API server was asked %d times", got-calls)
	}
}

// TestWhatIsNoFormAtTheTokenEndpoint: each grant, in whatever else clients send.
func TestWhatIsNoFormAtTheTokenEndpoint(t *testing.T) {
	w := startOAuth(t, nil)
	want := tokenProblem("INVALID_REQUEST", "invalid_request", "the content type must be application/x-www-form-urlencoded")
	const password = "grant_type=password&username=alice&password=secret&service=" + service
	cases := map[string]struct{ reason, contentType, body string }{
		"A password in JSON":        {"RFC 6749 knows forms only", "application/json", `{"grant_type":"password","username":"alice","password":"secret","service":"` + service + `"}`},
		"A refresh token in JSON":   {"RFC 6749 knows forms only", "application/json", `{"grant_type":"refresh_token","refresh_token":"` + w.refreshToken(t, api) + `","audience":"` + api + `"}`},
		"A form, called JSON":       {"what is said is meant", "application/json; charset=utf-8", password},
		"A form, not called":        {"what is not said is not guessed at", "", password},
		"A form, called a text":     {"what is said is meant", "text/plain", password},
		"A form in parts":           {"RFC 6749, appendix B", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\npassword\r\n--x--\r\n"},
		"A form, called two things": {"what is broken is not guessed at", "application/json, " + form, password},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			ask{method: http.MethodPost, contentType: tc.contentType, body: tc.body}.send(t, w.running).is(t, tc.reason, 400, want)
		})
	}
}

// TestARefreshTokenIsNoBearer, at any endpoint that reads an Authorization header. Those of the Provide Ident API are in
// TestIdentDefectBearers.
func TestARefreshTokenIsNoBearer(t *testing.T) {
	w := startOAuth(t, nil)
	refresh := w.refreshToken(t, api)
	authorization := []string{"Bearer " + refresh}
	registry := func(message string) string { return `{"errors":[{"code":"UNAUTHORIZED","message":"` + message + `"}]}` }
	cases := map[string]struct {
		reason string
		ask    ask
		body   string
	}{
		"For a registry's token": {
			"Docker's protocol has it in Basic only", ask{query: asking("repository:team-a/app:pull")},
			registry("the Authorization header must be of the scheme Basic"),
		},
		"As a client": {
			"RFC 6749 has it in the form only", ask{method: http.MethodPost, contentType: form, body: values("grant_type", "client_credentials", "audience", api).Encode()},
			tokenProblem("UNAUTHORIZED", "invalid_grant", "the Authorization header must be of the scheme Basic"),
		},
		"To ask about itself": {
			"it proves nobody to this endpoint", ask{method: http.MethodPost, path: "/introspect", contentType: form, body: url.Values{"token": {refresh}}.Encode()},
			problemOf("invalid_client", "the credentials were not accepted"),
		},
		"To revoke itself": {
			"it proves nobody to this endpoint", ask{method: http.MethodPost, path: "/revoke", contentType: form, body: url.Values{"token": {refresh}}.Encode()},
			problemOf("invalid_client", "the credentials were not accepted"),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.ask.authorization = authorization
			tc.ask.send(t, w.running).is(t, tc.reason, 401, tc.body)
		})
	}
	if got := w.introspect(t, refresh, "refresh_token"); got["active"] != true {
		t.Errorf("it is not what it was: %v", got)
	}
}
