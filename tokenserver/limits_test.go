package tokenserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
)

// behindProxy makes the test's own connections those of a proxy.
func behindProxy(o *Options, _ *Parts) { o.TrustedProxies = []string{"127.0.0.0/8"} }

// login asks for a token as the proxy does for a client at the address.
func (r *running) login(t testing.TB, method, source, user, password string) reply {
	t.Helper()
	target, form := r.url+"/token?service="+service, url.Values{
		"grant_type": {"password"}, "service": {service}, "username": {user}, "password": {password},
	}
	request, err := http.NewRequest(method, target, strings.NewReader(form.Encode()))
	if method == http.MethodGet {
		request, err = http.NewRequest(method, target, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodGet {
		request.SetBasicAuth(user, password)
	} else {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	request.Header.Set("X-Forwarded-For", source)
	return r.do(t, request)
}

// TestTooManyWrongPasswords is a guesser at one address, and what others get meanwhile.
func TestTooManyWrongPasswords(t *testing.T) {
	r := start(t, behindProxy)
	const guesser, other = "192.0.2.1", "198.51.100.1"
	for i := range 5 { // containerd: POST, then GET with the same, which counts once
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			if got := r.login(t, method, guesser, "alice", fmt.Sprint("wrong", i)); got.status != http.StatusUnauthorized {
				t.Fatalf("try %d by %s: %d %s", i, method, got.status, got.body)
			}
		}
	}
	for i := range 5 {
		if got := r.login(t, http.MethodGet, guesser, "alice", fmt.Sprint("wrong again", i)); got.status != http.StatusUnauthorized {
			t.Fatalf("try %d: %d: the two tries of a containerd login counted twice", i, got.status)
		}
	}
	const message = "too many logins from this address failed: try again later"
	bodies := map[string]string{
		http.MethodGet:  `{"errors":[{"code":"TOOMANYREQUESTS","message":"` + message + `"}]}`,
		http.MethodPost: `{"errors":[{"code":"TOOMANYREQUESTS","message":"` + message + `"}],"error":"temporarily_unavailable","error_description":"` + message + `"}`,
	}
	for method, body := range bodies {
		got := r.login(t, method, guesser, "alice", "secret")
		retry, err := time.ParseDuration(got.header.Get("Retry-After") + "s")
		if got.status != http.StatusTooManyRequests || err != nil || retry < time.Second || retry > 30*time.Second {
			t.Errorf("%s: %d, Retry-After %q", method, got.status, got.header.Get("Retry-After"))
		}
		if diff := cmp.Diff(body, strings.TrimSpace(string(got.body))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", method, diff)
		}
		if got.header.Get("WWW-Authenticate") != "" || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: header %v", method, got.header)
		}
	}
	for name, got := range map[string]reply{
		"alice from another address":                 r.login(t, http.MethodGet, other, "alice", "secret"),
		"bob from the same address":                  r.login(t, http.MethodPost, guesser, "bob", "hunter2"),
		"a guesser who says that somebody else asks": r.login(t, http.MethodGet, "203.0.113.9, "+other, "alice", "secret"),
	} {
		if got.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := r.login(t, http.MethodGet, "203.0.113.9, "+guesser, "alice", "secret"); got.status != http.StatusTooManyRequests {
		t.Errorf("the guesser, with an address in front that it invented: %d", got.status)
	}
	const counted = `tokenwright_server_authentications_total{method="unknown",result="limited"} 3`
	if metrics := string(r.probe(t, "/metrics").body); !strings.Contains(metrics, counted+"\n") {
		t.Errorf("missing: %s", counted)
	}
}

// TestTheSourceBehindAProxy holds that policies and audit records have the client's address, and not what it invents.
func TestTheSourceBehindAProxy(t *testing.T) {
	inOffice := func(s *v1alpha1.ClusterAccessPolicySpec) {
		s.When = &v1alpha1.When{SourceRanges: []v1alpha1.CIDR{"192.0.2.0/24", "127.0.0.0/8"}}
	}
	change := func(trusted ...string) func(*Options, *Parts) {
		return func(o *Options, p *Parts) {
			o.TrustedProxies = trusted
			from := small(t)
			from.Policies = fixture.Policies(t, fixture.Cluster("office", []v1alpha1.Subject{fixture.Anonymous}, fixture.Repositories("public/**", "pull"), inOffice))
			p.Snapshots.Store(from)
		}
	}
	behind, open := start(t, change("127.0.0.0/8")), start(t, change())
	type want struct {
		Source  string
		Granted []string
	}
	pull := []string{"repository:public/app:pull"}
	cases := map[string]struct {
		reason string
		server *running
		sent   []string
		want   want
	}{
		"a client in the range":           {"the proxy says so", behind, []string{"192.0.2.7"}, want{"192.0.2.7", pull}},
		"a client outside of it":          {"the proxy says so", behind, []string{"198.51.100.7"}, want{"198.51.100.7", []string{}}},
		"one that invents an address":     {"it stands left of its own", behind, []string{"192.0.2.7, 198.51.100.7"}, want{"198.51.100.7", []string{}}},
		"one that invents a line":         {"it stands left of its own", behind, []string{"192.0.2.7", "198.51.100.7"}, want{"198.51.100.7", []string{}}},
		"one that the proxy cannot name":  {"it gets nothing that is the proxy's own", behind, []string{"192.0.2.7, unknown"}, want{"", []string{}}},
		"a client, without a proxy":       {"whoever is no proxy is not believed", open, []string{"192.0.2.7, 198.51.100.7"}, want{"127.0.0.1", pull}},
		"the proxy itself":                {"nobody else is named", behind, nil, want{"127.0.0.1", pull}},
		"a header that is past all bound": {"it is refused before it counts", behind, []string{strings.Repeat("192.0.2.7,", 2000)}, want{"431", nil}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequest(http.MethodGet, tc.server.url+"/token?"+asking("repository:public/app:pull").Encode(), nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header["X-Forwarded-For"] = tc.sent
			answer := tc.server.do(t, request)
			if answer.status == http.StatusRequestHeaderFieldsTooLarge {
				if diff := cmp.Diff(tc.want, want{"431", nil}); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
				}
				return
			}
			got := want{Granted: granted(tc.server.claims(t, answer).Access)}
			var record audit.Record
			for line := range strings.Lines(readFile(t, tc.server.auditFile)) {
				if strings.Contains(line, answer.header.Get("X-Request-Id")) {
					if err := json.Unmarshal([]byte(line), &record); err != nil {
						t.Fatal(err)
					}
				}
			}
			got.Source = record.SourceIP
			if diff := cmp.Diff(tc.want, got); diff != "" || record.RequestID == "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestTrustedProxiesThatAreNone(t *testing.T) {
	o := Options{Namespace: "a", Issuer: issuerName, PodName: "a", TrustedProxies: []string{"0.0.0.0/0"}}
	if err := o.Validate(); err == nil || !strings.Contains(err.Error(), `trusted proxies: "0.0.0.0/0" must not be everybody`) {
		t.Errorf("got %v", err)
	}
}
