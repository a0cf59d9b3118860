package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// granter answers every request with the same and keeps what it was asked.
type granter struct {
	asked  *grant.Request
	by     string
	answer grant.Answer
	err    error
}

func (g *granter) Grant(_ context.Context, by grant.Grant, request *grant.Request) (grant.Answer, error) {
	g.asked, g.by = request, by.Name(request)
	return g.answer, g.err
}

type silent struct{}

func (silent) Request(string, string, int, time.Duration) {}
func (silent) Panic(string)                               {}

func ask(g Granter, r *http.Request) *httptest.ResponseRecorder {
	endpoint := Endpoint{Granter: g}
	handler := &httpx.Endpoint{
		Name: Name, Methods: Methods(), Handle: endpoint.Handle, WriteError: WriteError,
		Recorder: silent{}, Log: logr.Discard(), Now: time.Now,
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func get(query string, authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/token?"+query, nil)
	for _, value := range authorization {
		r.Header.Add("Authorization", value)
	}
	return r
}

func post(form string, authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, value := range authorization {
		r.Header.Add("Authorization", value)
	}
	return r
}

func basicOf(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

func TestWhatIsUnderstood(t *testing.T) {
	app := []scope.Scope{{Type: "repository", Name: "team-a/app", Actions: []string{"pull", "push"}}}
	alice := identity.Credentials{Username: "alice", Password: "secret", Present: true}
	type want struct {
		By      string
		Request grant.Request
	}
	cases := map[string]struct {
		reason  string
		request *http.Request
		want    want
	}{
		"Docker's login": {
			reason:  "no scope is an ask, too",
			request: get("account=alice&client_id=docker&offline_token=true&service=r", basicOf("alice:secret")),
			want:    want{"basic", grant.Request{Audience: "r", Credentials: alice, ClientID: "docker", Account: "alice", Offline: true}},
		},
		"crane, anonymous": {
			reason:  "no credentials are nobody",
			request: get("scope=repository%3Ateam-a%2Fapp%3Apush%2Cpull&service=r"),
			want:    want{"anonymous", grant.Request{Audience: "r", Scopes: app}},
		},
		"The conformance suite, anonymous": {
			reason:  "Basic Og== is an empty user with an empty password",
			request: get("service=r&scope=repository:team-a/app:pull,push", "Basic Og=="),
			want:    want{"anonymous", grant.Request{Audience: "r", Scopes: app}},
		},
		"Scopes repeated and with spaces": {
			reason:  "clients send either; both are merged",
			request: get("service=r&scope=repository:team-a/app:pull+&scope=repository:team-a/app:push"),
			want:    want{"anonymous", grant.Request{Audience: "r", Scopes: app}},
		},
		"A scheme in another letter case": {
			reason:  "RFC 9110, section 11.1: schemes are case-insensitive",
			request: get("service=r", "bAsIc "+base64.StdEncoding.EncodeToString([]byte("alice:secret"))),
			want:    want{"basic", grant.Request{Audience: "r", Credentials: alice}},
		},
		"A colon in a password": {
			reason:  "RFC 7617: only the first colon separates",
			request: get("service=r", basicOf("alice:se:cr:et")),
			want:    want{"basic", grant.Request{Audience: "r", Credentials: identity.Credentials{Username: "alice", Password: "se:cr:et", Present: true}}},
		},
		"A token as password, without a user": {
			reason:  "a JWT may come with any user name",
			request: get("service=r", basicOf(":a.b.c")),
			want:    want{"basic", grant.Request{Audience: "r", Credentials: identity.Credentials{Password: "a.b.c", Present: true}}},
		},
		"An identity token": {
			reason:  "Docker puts <token> in the place of the user name",
			request: get("service=r", basicOf("<token>:twr_a.b.c")),
			want:    want{"refresh_token", grant.Request{Audience: "r", Refresh: "twr_a.b.c"}},
		},
		"An identity token without a user": {
			reason:  "others leave the user name out",
			request: get("service=r", basicOf(":twr_a.b.c")),
			want:    want{"refresh_token", grant.Request{Audience: "r", Refresh: "twr_a.b.c"}},
		},
		"A password that looks like a refresh token": {
			reason:  "with a user name it is that user's password",
			request: get("service=r", basicOf("alice:twr_a.b.c")),
			want:    want{"basic", grant.Request{Audience: "r", Credentials: identity.Credentials{Username: "alice", Password: "twr_a.b.c", Present: true}}},
		},
		"A refresh token in the query": {
			reason:  "RFC 6749, section 2.3.1: it must not be there, so it is not looked at",
			request: get("service=r&refresh_token=twr_a.b.c&grant_type=refresh_token"),
			want:    want{"anonymous", grant.Request{Audience: "r"}},
		},
		"A POST with a refresh token": {
			reason:  "oauth.md; a password beside it means nothing",
			request: post("grant_type=refresh_token&service=r&client_id=c&refresh_token=twr_a.b.c&username=alice&password=secret"),
			want:    want{"refresh_token", grant.Request{Audience: "r", Refresh: "twr_a.b.c", ClientID: "c"}},
		},
		"A POST of an identity token as a password": {
			reason:  "containerd posts whatever it has before it tries GET",
			request: post("grant_type=password&service=r&client_id=c&username=%3Ctoken%3E&password=twr_a.b.c"),
			want:    want{"refresh_token", grant.Request{Audience: "r", Refresh: "twr_a.b.c", ClientID: "c"}},
		},
		"A POST of an identity token as a password without a user": {
			reason:  "as with GET",
			request: post("grant_type=password&service=r&password=twr_a.b.c"),
			want:    want{"refresh_token", grant.Request{Audience: "r", Refresh: "twr_a.b.c"}},
		},
		"A POST of a password that looks like a refresh token": {
			reason:  "with a user name it is that user's password",
			request: post("grant_type=password&service=r&username=alice&password=twr_a.b.c"),
			want:    want{"password", grant.Request{Audience: "r", Credentials: identity.Credentials{Username: "alice", Password: "twr_a.b.c", Present: true}}},
		},
		"A POST for offline access": {
			reason:  "oauth.md: access_type",
			request: post("grant_type=password&service=r&access_type=offline&username=alice&password=secret"),
			want:    want{"password", grant.Request{Audience: "r", Credentials: alice, Offline: true}},
		},
		"A POST with offline_token": {
			reason:  "that is the spelling of GET",
			request: post("grant_type=password&service=r&offline_token=true&username=alice&password=secret"),
			want:    want{"password", grant.Request{Audience: "r", Credentials: alice}},
		},
		"containerd's POST": {
			reason:  "one scope field, joined by spaces",
			request: post("client_id=containerd-client&grant_type=password&service=r&username=alice&password=secret&scope=repository:team-a/app:pull,push+odd"),
			want:    want{"password", grant.Request{Audience: "r", Scopes: app, Credentials: alice, ClientID: "containerd-client"}},
		},
		"A POST with repeated scopes": {
			reason:  "containers/image repeats the field",
			request: post("grant_type=password&service=r&username=alice&password=secret&scope=repository:team-a/app:pull&scope=repository:team-a/app:push"),
			want:    want{"password", grant.Request{Audience: "r", Scopes: app, Credentials: alice}},
		},
		"A charset in the content type": {
			reason: "parameters of a media type change nothing",
			request: func() *http.Request {
				r := post("grant_type=password&service=r&username=alice&password=secret&scope=")
				r.Header.Set("Content-Type", "Application/X-WWW-Form-Urlencoded; charset=utf-8")
				return r
			}(),
			want: want{"password", grant.Request{Audience: "r", Credentials: alice}},
		},
		"Credentials in the query of a GET": {
			reason:  "RFC 6749, section 2.3.1: they must not be there, so they are not looked at",
			request: get("service=r&username=alice&password=secret&grant_type=password"),
			want:    want{"anonymous", grant.Request{Audience: "r"}},
		},
		"The query of a POST": {
			reason: "only the form counts: the query is what the realm had",
			request: func() *http.Request {
				r := post("grant_type=password&service=r&username=alice&password=secret")
				r.URL.RawQuery = "service=other&scope=repository:x:pull&account=bob"
				return r
			}(),
			want: want{"password", grant.Request{Audience: "r", Credentials: alice}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := &granter{answer: grant.Answer{Token: issue.Token{Text: "t", ExpiresIn: time.Minute}}}
			w := ask(g, tc.request)
			if w.Code != http.StatusOK || g.asked == nil {
				t.Fatalf("%s: status %d: %s", tc.reason, w.Code, w.Body)
			}
			diff := cmp.Diff(tc.want, want{g.by, *g.asked},
				cmpopts.IgnoreFields(grant.Request{}, "ID", "Time", "Source"), cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}))
			if diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	scopes := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "&scope=repository:a%d:pull", i)
		}
		return b.String()
	}
	type want struct {
		Status int
		Code   string
		// Error is RFC 6749's; only a POST has it.
		Error string
	}
	cases := map[string]struct {
		reason  string
		request *http.Request
		want    want
	}{
		"Two Authorization headers":            {"each reader would take another", get("service=r", basicOf("alice:secret"), basicOf("bob:x")), want{400, "INVALID_REQUEST", ""}},
		"Two equal Authorization headers":      {"still not one", get("service=r", basicOf("a:b"), basicOf("a:b")), want{400, "INVALID_REQUEST", ""}},
		"A bearer":                             {"nothing here takes one", get("service=r", "Bearer abc"), want{401, "UNAUTHORIZED", ""}},
		"An empty Authorization header":        {"whoever sends one does not mean to be nobody", get("service=r", ""), want{401, "UNAUTHORIZED", ""}},
		"Basic without anything":               {"the same", get("service=r", "Basic"), want{401, "UNAUTHORIZED", ""}},
		"Basic that is not base64":             {"bad credentials are 401", get("service=r", "Basic %%%"), want{401, "UNAUTHORIZED", ""}},
		"Basic without a colon":                {"bad credentials are 401", get("service=r", "Basic YWxpY2U="), want{401, "UNAUTHORIZED", ""}},
		"Two credentials in one header":        {"a proxy may have joined them", get("service=r", basicOf("a:b")+", "+basicOf("c:d")), want{401, "UNAUTHORIZED", ""}},
		"65 scopes":                            {"the work for one request is bounded", get("service=r" + scopes(65)), want{400, "INVALID_SCOPE", ""}},
		"65 scopes by POST":                    {"the same", post("grant_type=password&username=a&password=b&service=r" + scopes(65)), want{400, "INVALID_SCOPE", "invalid_scope"}},
		"Two services":                         {"each reader would take another", get("service=r&service=s"), want{400, "INVALID_REQUEST", ""}},
		"Two user names":                       {"each reader would take another", post("grant_type=password&service=r&username=a&username=b&password=x"), want{400, "INVALID_REQUEST", "invalid_request"}},
		"A malformed query":                    {"what is broken is not guessed at", get("service=r&scope=%zz"), want{400, "INVALID_REQUEST", ""}},
		"A malformed form":                     {"what is broken is not guessed at", post("grant_type=password&service=r&username=%zz"), want{400, "INVALID_REQUEST", "invalid_request"}},
		"Credentials in form and header":       {"RFC 6749, section 2.3: not more than one", post("grant_type=password&service=r&username=a&password=b", basicOf("c:d")), want{400, "INVALID_REQUEST", "invalid_request"}},
		"No grant type":                        {"RFC 6749: it is required", post("service=r&username=a&password=b"), want{400, "INVALID_REQUEST", "invalid_request"}},
		"A grant type that is not served":      {"containerd then turns to GET", post("grant_type=authorization_code&service=r&code=x"), want{400, "UNSUPPORTED_GRANT_TYPE", "unsupported_grant_type"}},
		"A grant type that nobody knows":       {"RFC 6749, section 5.2", post("grant_type=%00%ff&service=r"), want{400, "UNSUPPORTED_GRANT_TYPE", "unsupported_grant_type"}},
		"HEAD":                                 {"a token cannot be had without a body", httptest.NewRequest(http.MethodHead, "/token?service=r", nil), want{405, "UNSUPPORTED", ""}},
		"DELETE":                               {"there is nothing to delete", httptest.NewRequest(http.MethodDelete, "/token?service=r", nil), want{405, "UNSUPPORTED", ""}},
		"A body of 65 KiB":                     {"what is read is bounded", post("grant_type=password&service=r&username=a&password=b&scope=" + strings.Repeat("a", 65<<10)), want{413, "INVALID_REQUEST", "invalid_request"}},
		"A body of 65 KiB of unknown length":   {"what is read is bounded", chunked(strings.Repeat("a", 65<<10)), want{413, "INVALID_REQUEST", "invalid_request"}},
		"JSON":                                 {"RFC 6749 knows forms only", typed("application/json", `{"grant_type":"password"}`), want{400, "INVALID_REQUEST", "invalid_request"}},
		"No content type":                      {"what is not said is not guessed at", typed("", "grant_type=password"), want{400, "INVALID_REQUEST", "invalid_request"}},
		"Two content types":                    {"each reader would take another", typed("application/x-www-form-urlencoded, application/json", "grant_type=password"), want{400, "INVALID_REQUEST", "invalid_request"}},
		"A POST of a multipart form":           {"RFC 6749 knows forms only", typed("multipart/form-data; boundary=x", "--x--"), want{400, "INVALID_REQUEST", "invalid_request"}},
		"A POST with a malformed content type": {"what is broken is not guessed at", typed("application/x-www-form-urlencoded; charset", "grant_type=password"), want{400, "INVALID_REQUEST", "invalid_request"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := &granter{}
			w := ask(g, tc.request)
			if g.asked != nil {
				t.Fatalf("%s: it was granted: %+v", tc.reason, g.asked)
			}
			body := checkError(t, w)
			got := want{w.Code, body.Errors[0].Code, body.Error}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", tc.reason, diff, w.Body)
			}
		})
	}
}

func chunked(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/token", io.MultiReader(strings.NewReader(body)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func typed(contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

// checkError holds what every error of this endpoint has in common.
func checkError(t *testing.T, w *httptest.ResponseRecorder) problem {
	t.Helper()
	var body problem
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body.Errors) != 1 || body.Errors[0].Message == "" {
		t.Fatalf("body = %q: %v", w.Body, err)
	}
	got := map[string]string{}
	for _, name := range []string{"Content-Type", "Cache-Control", "Pragma", "WWW-Authenticate", "Allow"} {
		got[name] = strings.Join(w.Header().Values(name), ", ")
	}
	want := map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache", "WWW-Authenticate": "", "Allow": "",
	}
	switch w.Code {
	case http.StatusUnauthorized:
		want["WWW-Authenticate"] = `Basic realm="tokenwright", charset="UTF-8"`
	case http.StatusMethodNotAllowed:
		want["Allow"] = "GET, POST"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	return body
}

func TestErrorsOfGrants(t *testing.T) {
	type want struct {
		Status      int
		Code, Error string
		RetryAfter  string
	}
	cases := map[string]struct {
		reason string
		err    error
		want   want
	}{
		"Bad credentials": {
			reason: "401 also on POST: clients take 400 for a server without POST",
			err:    &grant.Error{Kind: grant.BadCredentials, Message: "no"}, want: want{401, "UNAUTHORIZED", "invalid_grant", ""},
		},
		"An unknown service": {
			reason: "RFC 8707 has a word for it",
			err:    &grant.Error{Kind: grant.UnknownAudience, Message: "no"}, want: want{400, "INVALID_TARGET", "invalid_target", ""},
		},
		"Something unavailable": {
			reason: "clients come back when told to",
			err:    &grant.Error{Kind: grant.Unavailable, Message: "no", RetryAfter: 5 * time.Second},
			want:   want{503, "UNAVAILABLE", "temporarily_unavailable", "5"},
		},
		"Too many failed logins": {
			reason: "clients come back when told to; a 401 would make them forget a password that may be right",
			err:    &grant.Error{Kind: grant.TooManyRequests, Message: "no", RetryAfter: 29*time.Second + 1},
			want:   want{429, "TOOMANYREQUESTS", "temporarily_unavailable", "30"},
		},
		"A token that would be too long": {
			reason: "the client can ask for less",
			err:    &grant.Error{Kind: grant.InvalidScope, Message: "no"}, want: want{400, "INVALID_SCOPE", "invalid_scope", ""},
		},
		"An error that nobody foresaw": {
			reason: "it must say nothing, and be noticed",
			err:    errors.New("no"), want: want{500, "UNKNOWN", "server_error", ""},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := ask(&granter{err: tc.err}, post("grant_type=password&service=r&username=a&password=b"))
			body := checkError(t, w)
			got := want{w.Code, body.Errors[0].Code, body.Error, w.Header().Get("Retry-After")}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			w = ask(&granter{err: tc.err}, get("service=r", basicOf("a:b")))
			body = checkError(t, w)
			tc.want.Error = "" // of RFC 6749, which a GET does not follow
			got = want{w.Code, body.Errors[0].Code, body.Error, w.Header().Get("Retry-After")}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("GET: %s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	issued := issue.Token{
		Text: "a.b.c", IssuedAt: time.Date(2026, 1, 1, 13, 0, 0, 0, time.FixedZone("", 3600)), ExpiresIn: 15 * time.Minute,
		Granted: []scope.Scope{{Type: "repository", Name: "a", Actions: []string{"pull"}}, {Type: "repository", Name: "b", Actions: []string{"pull", "push"}}},
	}
	cases := map[string]struct {
		reason  string
		issued  issue.Token
		refresh string
		request *http.Request
		want    string
	}{
		"GET": {
			"token.md", issued, "", get("service=r"),
			`{"token":"a.b.c","access_token":"a.b.c","expires_in":900,"issued_at":"2026-01-01T12:00:00Z"}`,
		},
		"POST": {
			"oauth.md: scope is required", issued, "", post("grant_type=password&service=r&username=a&password=b"),
			`{"token":"a.b.c","access_token":"a.b.c","token_type":"Bearer","scope":"repository:a:pull repository:b:pull,push","expires_in":900,"issued_at":"2026-01-01T12:00:00Z"}`,
		},
		"POST with nothing granted": {
			"scope is required, also when it is empty",
			issue.Token{Text: "a.b.c", IssuedAt: issued.IssuedAt, ExpiresIn: time.Minute}, "", post("grant_type=password&service=r&username=a&password=b"),
			`{"token":"a.b.c","access_token":"a.b.c","token_type":"Bearer","scope":"","expires_in":60,"issued_at":"2026-01-01T12:00:00Z"}`,
		},
		"GET with a refresh token": {
			"token.md: refresh_token", issued, "twr_a.b.c", get("service=r&offline_token=true"),
			`{"token":"a.b.c","access_token":"a.b.c","refresh_token":"twr_a.b.c","expires_in":900,"issued_at":"2026-01-01T12:00:00Z"}`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := ask(&granter{answer: grant.Answer{Token: tc.issued, Refresh: tc.refresh}}, tc.request)
			if diff := cmp.Diff(tc.want, strings.TrimSpace(w.Body.String())); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if h := w.Header(); h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" || h.Get("Content-Type") != "application/json" {
				t.Errorf("header = %v", h)
			}
		})
	}
}
