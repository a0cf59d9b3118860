package tokenserver

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ask is one request as bytes on the wire would carry it.
type ask struct {
	method, path, contentType, body string
	query                           url.Values
	authorization                   []string
	user, password                  string
	// unknownLength sends the body in chunks.
	unknownLength bool
}

func (a ask) send(t *testing.T, r *running) reply {
	t.Helper()
	method, path := a.method, a.path
	if method == "" {
		method = http.MethodGet
	}
	if path == "" {
		path = "/token"
	}
	var body io.Reader = strings.NewReader(a.body)
	if a.unknownLength {
		body = io.MultiReader(body)
	}
	request, err := http.NewRequest(method, r.url+path+"?"+a.query.Encode(), body)
	if err != nil {
		t.Fatal(err)
	}
	if a.contentType != "" {
		request.Header.Set("Content-Type", a.contentType)
	}
	if a.user != "" {
		request.SetBasicAuth(a.user, a.password)
	}
	for _, value := range a.authorization {
		request.Header.Add("Authorization", value)
	}
	return r.do(t, request)
}

const form = "application/x-www-form-urlencoded"

func asking(scopes ...string) url.Values {
	return url.Values{"service": {service}, "scope": scopes}
}

func TestBadInput(t *testing.T) {
	r := start(t, nil)
	many := func(n int) []string {
		var scopes []string
		for i := range n {
			scopes = append(scopes, fmt.Sprintf("repository:public/a%02d:pull", i))
		}
		return scopes
	}
	long := strings.TrimSuffix(strings.Repeat("a/", 10_000), "/")
	type want struct {
		Status int
		// Granted is what the token is good for, and nil if there must be none.
		Granted []string
	}
	nothing := []string{}
	cases := map[string]struct {
		reason string
		ask    ask
		want   want
	}{
		"A scope without colons":          {"an odd scope never fails a request", ask{query: asking("nonsense")}, want{200, nothing}},
		"A scope with one colon":          {"an odd scope never fails a request", ask{query: asking("repository:public/app")}, want{200, nothing}},
		"An empty scope":                  {"containerd sends it", ask{query: asking("")}, want{200, nothing}},
		"An empty name":                   {"zot asks for it", ask{query: asking("repository::pull")}, want{200, nothing}},
		"An empty action":                 {"an odd scope never fails a request", ask{query: asking("repository:public/app:")}, want{200, nothing}},
		"An odd scope beside a good one":  {"what can be had is given", ask{query: asking("::: repository:public/app:pull")}, want{200, []string{"repository:public/app:pull"}}},
		"A class":                         {"deprecated, and without a meaning", ask{query: asking("repository(plugin):public/app:pull")}, want{200, []string{"repository:public/app:pull"}}},
		"An unknown type":                 {"nothing is granted of it", ask{query: asking("artifact:public/app:pull")}, want{200, nothing}},
		"An unknown action":               {"nothing is granted of it", ask{query: asking("repository:public/app:pull,fly")}, want{200, []string{"repository:public/app:pull"}}},
		"A star as action":                {"it is answered in concrete actions", ask{query: asking("repository:public/app:*")}, want{200, []string{"repository:public/app:pull"}}},
		"A star as name":                  {"nothing is called so, and stars of requests mean nothing", ask{query: asking("repository:**:pull repository:*:pull repository:public/**:pull")}, want{200, nothing}},
		"64 scopes":                       {"the bound itself is allowed", ask{query: asking(many(64)...)}, want{200, many(64)}},
		"65 scopes":                       {"the work for one request is bounded", ask{query: asking(many(65)...)}, want{400, nil}},
		"65 scopes in one parameter":      {"the same", ask{query: asking(strings.Join(many(65), " "))}, want{400, nil}},
		"A name of 10,000 segments":       {"the work for one name is bounded", ask{query: asking("repository:public/" + long + ":pull")}, want{200, nothing}},
		"A name of 10,000 segments, POST": {"the same", ask{method: "POST", contentType: form, body: "grant_type=password&username=alice&password=secret&service=" + service + "&scope=repository:team-a/" + long + ":pull"}, want{200, nothing}},
		"65 KiB of body":                  {"what is read is bounded", ask{method: "POST", contentType: form, body: "scope=" + strings.Repeat("a", 65<<10)}, want{413, nil}},
		"65 KiB of body in chunks":        {"what is read is bounded", ask{method: "POST", contentType: form, body: "scope=" + strings.Repeat("a", 65<<10), unknownLength: true}, want{413, nil}},
		"65 KiB of body with GET":         {"what is read is bounded", ask{query: asking(), body: strings.Repeat("a", 65<<10)}, want{413, nil}},
		"65 KiB of target":                {"what is read is bounded", ask{query: asking(strings.Repeat("a", 65<<10))}, want{414, nil}},
		"No service":                      {"a token must be for somebody", ask{query: url.Values{"scope": {"repository:public/app:pull"}}}, want{400, nil}},
		"An empty service":                {"the same", ask{query: url.Values{"service": {""}}}, want{400, nil}},
		"An unknown service":              {"nobody signs for it", ask{query: url.Values{"service": {"other.example.com"}}}, want{400, nil}},
		"A service with a NUL behind":     {"nobody signs for it", ask{query: url.Values{"service": {service + "\x00"}}}, want{400, nil}},
		"A service without a usable key":  {"it may come", ask{query: url.Values{"service": {brokenService}}}, want{503, nil}},
		"Two Authorization headers":       {"each reader would take another", ask{query: asking(), authorization: []string{"Basic YTpi", "Basic Yzpk"}}, want{400, nil}},
		"A password of 73 bytes":          {"bcrypt would look at 72 of them", ask{query: asking(), user: "alice", password: strings.Repeat("a", 73)}, want{401, nil}},
		"A password of 73 bytes, POST":    {"the same", ask{method: "POST", contentType: form, body: "grant_type=password&username=alice&password=" + strings.Repeat("a", 73) + "&service=" + service}, want{401, nil}},
		"The right password and 72 NULs":  {"bcrypt's C implementations end at a NUL", ask{query: asking(), user: "alice", password: "secret" + strings.Repeat("\x00", 10)}, want{401, nil}},
		"A password of 60 KiB":            {"it is refused, and not hashed", ask{method: "POST", contentType: form, body: "grant_type=password&username=alice&password=" + strings.Repeat("a", 60<<10) + "&service=" + service}, want{401, nil}},
		"A wrong password and no scope":   {"this is docker login", ask{query: url.Values{"service": {service}, "account": {"alice"}}, user: "alice", password: "wrong"}, want{401, nil}},
		"A right password and no scope":   {"this is docker login", ask{query: url.Values{"service": {service}}, user: "alice", password: "secret"}, want{200, nothing}},
		"No credentials and no scope":     {"an empty token is the intersection", ask{query: url.Values{"service": {service}}}, want{200, nothing}},
		"An unknown user":                 {"like a wrong password", ask{query: asking(), user: "mallory", password: "secret"}, want{401, nil}},
		"A bearer":                        {"nothing here takes one", ask{query: asking(), authorization: []string{"Bearer a.b.c"}}, want{401, nil}},
		"A million dots as password":      {"it is not parsed as a token", ask{query: asking(), user: "alice", password: strings.Repeat(".", 10_000)}, want{401, nil}},
		"JSON":                            {"RFC 6749 knows forms only", ask{method: "POST", contentType: "application/json", body: `{"grant_type":"password"}`}, want{400, nil}},
		"No content type":                 {"what is not said is not guessed at", ask{method: "POST", body: "grant_type=password"}, want{400, nil}},
		"An unknown grant type":           {"RFC 6749, section 5.2", ask{method: "POST", contentType: form, body: "grant_type=magic&service=" + service}, want{400, nil}},
		"A refresh token":                 {"none of ours", ask{method: "POST", contentType: form, body: "grant_type=refresh_token&refresh_token=x&service=" + service}, want{401, nil}},
		"HEAD":                            {"there is no token without a body", ask{method: "HEAD", query: asking()}, want{405, nil}},
		"PUT":                             {"there is nothing to put", ask{method: "PUT", query: asking()}, want{405, nil}},
		"An unknown path":                 {"also there no HTML", ask{path: "/v2/", query: asking()}, want{404, nil}},
		"A path with dots":                {"also there no HTML", ask{path: "/token/%2e%2e/token", query: asking()}, want{404, nil}},
		"A mount whose source is refused": {"the destination must be had all the same", ask{query: asking("repository:team-a/app:pull,push", "repository:team-b/app:pull"), user: "alice", password: "secret"}, want{200, []string{"repository:team-a/app:pull,push"}}},
		"A query with a raw semicolon":    {"what is broken is not guessed at", ask{path: "/token?service=" + service + ";scope=x&a=", query: nil}, want{400, nil}},
		"With a trailing slash":           {"realms are configured either way", ask{path: "/token/", query: asking("repository:public/app:pull")}, want{200, []string{"repository:public/app:pull"}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			answer := tc.ask.send(t, r)
			got := want{Status: answer.status}
			switch {
			case answer.status == http.StatusOK:
				got.Granted = granted(r.claims(t, answer).Access)
			case tc.ask.method == http.MethodHead:
			default:
				checkProblem(t, tc.ask, answer)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%.300s", tc.reason, diff, answer.body)
			}
		})
	}
}

// checkProblem holds every refusal to the form that clients can read.
func checkProblem(t *testing.T, a ask, answer reply) {
	t.Helper()
	var body struct {
		Errors []struct{ Code, Message string } `json:"errors"`
		Error  string                           `json:"error"`
	}
	if err := json.Unmarshal(answer.body, &body); err != nil {
		t.Fatalf("not JSON: %v: %.300s", err, answer.body)
	}
	if answer.status != http.StatusNotFound && (len(body.Errors) != 1 || body.Errors[0].Code == "" || body.Errors[0].Message == "") {
		t.Errorf("not what registries' clients read: %s", answer.body)
	}
	if a.method == http.MethodPost && body.Error == "" {
		t.Errorf("not what RFC 6749 asks for: %s", answer.body)
	}
	if answer.header.Get("Cache-Control") != "no-store" {
		t.Errorf("header = %v", answer.header)
	}
	if (answer.status == http.StatusUnauthorized) != (answer.header.Get("WWW-Authenticate") != "") {
		t.Errorf("WWW-Authenticate = %q with %d", answer.header.Get("WWW-Authenticate"), answer.status)
	}
	if answer.status == http.StatusServiceUnavailable && answer.header.Get("Retry-After") == "" {
		t.Error("Retry-After is missing")
	}
}
