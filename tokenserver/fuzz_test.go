package tokenserver

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// inProcess returns the API's handler without a listener, and its snapshot.
func inProcess(t testing.TB, sink io.Writer, change func(*snapshot.Snapshot)) (http.Handler, *snapshot.Snapshot) {
	t.Helper()
	from := small(t)
	if change != nil {
		change(from)
	}
	holder := &snapshot.Holder{}
	holder.Store(from)
	fence := snapshot.NewFence(time.Hour)
	fence.Confirm(time.Now())
	s := &server{
		options: Options{Issuer: issuerName, JWKSMaxAge: 5 * time.Minute, Log: logr.Discard()},
		parts:   Parts{Snapshots: holder, Authenticator: identity.New(identity.Options{Log: logr.Discard()}), Observer: observer{}, Fence: fence},
		audit:   audit.New(sink),
	}
	s.metrics = metrics.New("test", s.state, time.Now)
	return s.routes(), from
}

// FuzzToken sends whatever the fuzzer thinks of. Whatever it is: the answer is JSON, no 500 and no 403, and a token says
// no more than the policies do.
func FuzzToken(f *testing.F) {
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	f.Add("GET", "service="+service+"&scope=repository:public/app:pull", "", "", "")
	f.Add("GET", "service="+service+"&scope=repository:team-a/app:pull,push", "", "", basic("alice:secret"))
	f.Add("GET", "service="+service+"&scope=repository:team-a/app:pull,push&account=alice", "", "", basic("bob:hunter2"))
	f.Add("GET", "service="+service+"&scope=a:b:c+repository(plugin):x:*", "", "", "Basic Og==")
	f.Add("GET", "service="+service, "", "", "Bearer a.b.c")
	f.Add("GET", "service="+brokenService, "", "", basic("alice:"+strings.Repeat("a", 73)))
	f.Add("POST", "", "grant_type=password&username=alice&password=secret&service="+service+"&scope=repository:team-a/app:*", form, "")
	f.Add("POST", "", "grant_type=refresh_token&refresh_token=x", form+"; charset=utf-8", "")
	f.Add("POST", "service="+service, "{}", "application/json", basic("a:b"))
	f.Add("HEAD", "service="+service, "", "", "")
	handler, from := inProcess(f, io.Discard, nil)
	allowed := map[string][]string{"": {"public/"}, "alice": {"public/", "team-a/"}, "bob": {"public/"}}

	f.Fuzz(func(t *testing.T, method, query, body, contentType, authorization string) {
		r := &http.Request{
			Method: method, URL: &url.URL{Path: "/token", RawQuery: query}, RequestURI: "/token?" + query, RemoteAddr: "192.0.2.1:9",
			Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)

		if w.Code == http.StatusInternalServerError || w.Code == http.StatusForbidden || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("header = %v", w.Header())
		}
		if w.Code != http.StatusOK {
			return
		}
		claims, err := verified(from.JWKS, w.Body.Bytes())
		if err != nil {
			t.Fatalf("%v: %s", err, w.Body)
		}
		prefixes, known := allowed[claims.Subject]
		if !known || claims.Audience != service {
			t.Fatalf("a token of %q for %q", claims.Subject, claims.Audience)
		}
		for _, access := range claims.Access {
			may := func(prefix string) bool {
				return access.Name == prefix[:len(prefix)-1] || strings.HasPrefix(access.Name, prefix)
			}
			push := slices.Contains(access.Actions, "push") && !strings.HasPrefix(access.Name, "team-a")
			if access.Type != "repository" || !slices.ContainsFunc(prefixes, may) || push || slices.Contains(access.Actions, "*") {
				t.Errorf("%q was granted %+v", claims.Subject, access)
			}
		}
	})
}
