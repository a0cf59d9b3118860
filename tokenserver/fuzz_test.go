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
	"github.com/tokenwright/tokenwright/tokenserver/token"
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
	f.Add("POST", "", "grant_type=client_credentials&audience="+service+"&scope=repository:team-a/app:*+order:1:read", form, basic("alice:secret"))
	f.Add("POST", "", "grant_type=password&username=bob&password=hunter2&resource="+service, form, "")
	f.Add("POST", "", "grant_type="+url.QueryEscape(exchangeGrant)+"&subject_token=a.b.c&subject_token_type="+typeJWT+"&audience="+service, form, basic("a%3Ab:c"))
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
		if claims, ok := accessOf(from, w.Body.Bytes()); ok {
			checkAccess(t, claims, allowed)
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

// accessOf returns what an access token says, if the answer holds one.
func accessOf(from *snapshot.Snapshot, answer []byte) (token.Verified, bool) {
	var fields struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(answer, &fields); err != nil {
		return token.Verified{}, false
	}
	claims, err := from.Verify(fields.AccessToken, issuerName, time.Now(), token.TypeAccess)
	return claims, err == nil
}

// checkAccess holds an access token to what the policies of the small world give.
func checkAccess(t *testing.T, claims token.Verified, allowed map[string][]string) {
	t.Helper()
	prefixes, known := allowed[claims.Subject]
	if !known || claims.Subject == "" || claims.ClientID != claims.Subject || claims.Audience != service {
		t.Fatalf("a token of %q through %q for %q", claims.Subject, claims.ClientID, claims.Audience)
	}
	for one := range strings.FieldsSeq(claims.Scope) {
		if !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(one, "repository:"+strings.TrimSuffix(prefix, "/")) }) {
			t.Errorf("%q was granted %q", claims.Subject, one)
		}
	}
}

// FuzzIntrospect asks whatever the fuzzer thinks of about tokens; a revocation is read in the same way. Nobody has a right to
// ask here: no token is ever active.
func FuzzIntrospect(f *testing.F) {
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	handler, from := inProcess(f, io.Discard, nil)
	good, err := from.Audiences[service].Signer.Sign(token.TypeRegistry, token.RegistryClaims{
		Issuer: issuerName, Subject: "alice", Audience: service, ID: "a", Expiry: time.Now().Add(24 * time.Hour).Unix(),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("token="+good, form, basic("alice:secret"))
	f.Add("token="+good+"&token_type_hint=refresh_token", form, basic("bob:hunter2"))
	f.Add("token="+good, form, "Bearer "+good)
	f.Add("token=twr_a.b.c&token=x", form, basic("a%zz:b"))
	f.Add(`{"token":"x"}`, "application/json", "")
	f.Fuzz(func(t *testing.T, body, contentType, authorization string) {
		r := &http.Request{
			Method: http.MethodPost, URL: &url.URL{Path: "/introspect"}, RequestURI: "/introspect", RemoteAddr: "192.0.2.1:9",
			Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == http.StatusOK && strings.TrimSpace(w.Body.String()) != inactive {
			t.Errorf("it said %s", w.Body)
		}
		if w.Code >= http.StatusInternalServerError || !json.Valid(w.Body.Bytes()) || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	})
}
