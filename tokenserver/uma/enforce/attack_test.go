package enforce

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// TestForgedTokens has tokens that must let nobody in. The scene's good token does, see TestFlow.
func TestForgedTokens(t *testing.T) {
	header := func(s *scene) object { return object{"typ": typeRPT, "kid": s.signer.kid} }
	set := func(name string, value any) func(testing.TB, *scene) string {
		return func(t testing.TB, s *scene) string { return s.rpt(t, func(c object) { c[name] = value }) }
	}
	cases := map[string]struct {
		reason string
		forge  func(testing.TB, *scene) string
	}{
		"Nothing": {"an empty bearer is none", func(testing.TB, *scene) string { return "" }},
		"alg none": {"nobody signed it", func(t testing.TB, s *scene) string {
			return part(part(s.rpt(t, nil), 0, `{"alg":"none","typ":"rpt+jwt","kid":"key-1"}`), 2, "")
		}},
		"HS256 with the public key": {"a public key is no secret", func(t testing.TB, s *scene) string {
			der, err := x509.MarshalPKIXPublicKey(&s.signer.key.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			return sign(t, jose.HS256, der, header(s), s.claims())
		}},
		"HS256 with the key set": {"as above", func(t testing.TB, s *scene) string {
			text, err := json.Marshal(s.signer.public())
			if err != nil {
				t.Fatal(err)
			}
			return sign(t, jose.HS256, text, header(s), s.claims())
		}},
		"Another key under the server's kid": {"the kid only chooses", func(t testing.TB, s *scene) string {
			return sign(t, jose.ES256, newSigner(t, "").key, header(s), s.claims())
		}},
		"Another algorithm under the server's kid": {"the algorithm is the key's", func(t testing.TB, s *scene) string {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				t.Fatal(err)
			}
			return sign(t, jose.RS256, key, header(s), s.claims())
		}},
		"A key in the token": {"a token does not say by what it is verified", func(t testing.TB, s *scene) string {
			own := newSigner(t, "own")
			return sign(t, jose.ES256, own.key, object{"typ": typeRPT, "kid": "own", "jwk": own.public()}, s.claims())
		}},
		"A key in the token under the server's kid": {"as above", func(t testing.TB, s *scene) string {
			own := newSigner(t, s.signer.kid)
			return sign(t, jose.ES256, own.key, object{"typ": typeRPT, "kid": s.signer.kid, "jwk": own.public()}, s.claims())
		}},
		"A key set that the token names": {"nothing is fetched from where a token says", func(t testing.TB, s *scene) string {
			return sign(t, jose.ES256, newSigner(t, "").key, object{"typ": typeRPT, "kid": "own", "jku": s.URL + "/evil", "x5u": s.URL + "/evil"}, s.claims())
		}},
		"An unknown extension": {"what must be understood is not", func(t testing.TB, s *scene) string {
			return sign(t, jose.ES256, s.signer.key, object{"typ": typeRPT, "kid": s.signer.kid, "crit": []string{"x"}, "x": 1}, s.claims())
		}},
		"An access token": {"another kind", func(t testing.TB, s *scene) string {
			return sign(t, jose.ES256, s.signer.key, object{"typ": "at+jwt", "kid": s.signer.kid}, s.claims())
		}},
		"A registry's token": {"another kind", func(t testing.TB, s *scene) string {
			return sign(t, jose.ES256, s.signer.key, object{"typ": "JWT", "kid": s.signer.kid}, s.claims())
		}},
		"A ticket": {"another kind", func(t testing.TB, s *scene) string {
			return sign(t, jose.ES256, s.signer.key, object{"typ": "uma-ticket+jwt", "kid": s.signer.kid}, s.claims())
		}},
		"No kind": {"another kind", func(t testing.TB, s *scene) string {
			return sign(t, jose.ES256, s.signer.key, object{"kid": s.signer.kid}, s.claims())
		}},
		"No kid": {"the server always names its key", func(t testing.TB, s *scene) string {
			return sign(t, jose.ES256, s.signer.key, object{"typ": typeRPT}, s.claims())
		}},
		"A kid that is a path": {"it only chooses", func(t testing.TB, s *scene) string {
			return sign(t, jose.ES256, s.signer.key, object{"typ": typeRPT, "kid": "../key-1"}, s.claims())
		}},
		"The payload of another": {"it was not signed", func(t testing.TB, s *scene) string {
			text, err := json.Marshal(s.claims())
			if err != nil {
				t.Fatal(err)
			}
			return part(s.rpt(t, func(c object) { c["sub"] = "bob" }), 1, string(text))
		}},
		"Expired":              {"to the second", func(t testing.TB, s *scene) string { return set("exp", s.clock().Unix())(t, s) }},
		"Without an end":       {"it has to have one", func(t testing.TB, s *scene) string { return s.rpt(t, func(c object) { delete(c, "exp") }) }},
		"Not good yet":         {"", func(t testing.TB, s *scene) string { return set("nbf", s.clock().Unix()+1)(t, s) }},
		"Of another issuer":    {"", set("iss", "https://evil.example.com")},
		"For another audience": {"", set("aud", "https://billing.example.com")},
		"For other audiences":  {"", set("aud", []string{"https://billing.example.com", photos + "/"})},
		"For an audience in other case": {"", func(t testing.TB, s *scene) string {
			return s.rpt(t, func(c object) { c["Aud"] = c["aud"]; delete(c, "aud") })
		}},
		"Permissions in other case": {"", func(t testing.TB, s *scene) string {
			return s.rpt(t, func(c object) { c["Authorization"] = c["authorization"]; delete(c, "authorization") })
		}},
		"Without an id":       {"it could not be revoked", set("jti", "")},
		"Of another resource": {"", set("authorization", object{"permissions": []object{{"rsid": "album-2", "scopes": []string{"view", "edit"}}}})},
		"Two in one":          {"it is none", func(t testing.TB, s *scene) string { return s.rpt(t, nil) + ", Bearer " + s.rpt(t, nil) }},
		"White space":         {"one token has one spelling", func(t testing.TB, s *scene) string { return " " + s.rpt(t, nil) }},
		"A million dots":      {"it is not looked at", func(testing.TB, *scene) string { return strings.Repeat(".", 1_000_000) }},
		"JSON serialization": {"it is another form", func(t testing.TB, s *scene) string {
			p := strings.Split(s.rpt(t, nil), ".")
			return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, p[0], p[1], p[2])
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, nil)
			text := tc.forge(t, s)
			for range 2 { // what was refused once is not remembered as good
				s.challenged(t, s.do(http.MethodGet, "/albums/1", "Authorization", "Bearer "+text))
			}
			if s.count("/evil") != 0 {
				t.Errorf("%s: a place that the token named was asked", tc.reason)
			}
			if len(text) > 0 {
				s.tellsNothing(t, text)
			}
		})
	}
}

// TestKeysThatAreNone has keys of the server's own set that nothing may be verified with.
func TestKeysThatAreNone(t *testing.T) {
	cases := map[string]func(s *scene, key *jose.JSONWebKey){
		"without an algorithm": func(_ *scene, key *jose.JSONWebKey) { key.Algorithm = "" },
		"of another algorithm": func(_ *scene, key *jose.JSONWebKey) { key.Algorithm = "ES384" },
		"for encryption":       func(_ *scene, key *jose.JSONWebKey) { key.Use = "enc" },
		"a private one":        func(s *scene, key *jose.JSONWebKey) { key.Key = s.signer.key },
		"a shared secret": func(_ *scene, key *jose.JSONWebKey) {
			key.Key, key.Algorithm = []byte("0123456789abcdef0123456789abcdef"), "HS256"
		},
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, nil)
			spoil(s, &s.keys[0])
			text := s.rpt(t, nil)
			if secret, ok := s.keys[0].Key.([]byte); ok {
				text = sign(t, jose.HS256, secret, object{"typ": typeRPT, "kid": "key-1"}, s.claims())
			}
			s.undecided(t, s.get("/albums/1", text))
		})
	}
}

// TestAmbiguousRequests has requests that could be read in two ways: no handler sees them, not even behind a public path.
func TestAmbiguousRequests(t *testing.T) {
	s := newScene(t, func(c *Config) { c.Mode = Permissive })
	good := s.rpt(t, nil)
	for _, path := range []string{
		"/public/../albums/2", "/public/./x", "/public/..", "/public/%2e%2e/albums/2", "/public/.%2e/albums/2", "/public/..;a=b/albums/2",
		"/public//albums/2", "//albums/2", "/public/..%2falbums/2", "/albums%2F2", "/albums%2f2", "/public/%5c..%5calbums/2", `/public/\..\albums/2`,
		"/public/%252e%252e/albums/2", "/albums/2%2500", "/albums/2%00", "/albums/2%0d%0aX", "/public/%ff", "/public/%c0%ae%c0%ae/albums/2",
		"/public/" + strings.Repeat("a", 4096),
	} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		u, err := url.ParseRequestURI(path)
		if err != nil {
			t.Fatal(err)
		}
		r.URL = u
		r.Header.Set("Authorization", "Bearer "+good)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != 400 || len(s.served) != 0 {
			t.Errorf("%s: answered with %d, and %d requests were served", path, w.Code, len(s.served))
		}
	}
	for name, u := range map[string]*url.URL{
		"a path that is none": {Path: "*"}, "no path": {Opaque: "x"}, "two paths": {Path: "/public/x", RawPath: "/albums/2"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.URL = u
		w := httptest.NewRecorder()
		if s.handler.ServeHTTP(w, r); w.Code != 400 {
			t.Errorf("%s: answered with %d", name, w.Code)
		}
	}
	if w := s.do(http.MethodGet, "/albums/1", "Authorization", "Bearer "+good, "Authorization", "Bearer x"); w.Code != 400 || len(s.served) != 0 {
		t.Errorf("two Authorization headers: %d", w.Code)
	}
}

// TestOtherSpellings holds that what is spelled otherwise is the path that the handler serves, and not another one.
func TestOtherSpellings(t *testing.T) {
	s := newScene(t, nil)
	good := s.rpt(t, nil) // for album-1
	for path, want := range map[string]int{
		"/%61lbums/1": 200, "/albums/%31": 200, "http://elsewhere.example.com/albums/1": 200, "/albums/1?x=/albums/2": 200,
		"/%61lbums/2": 401, "/albums/%32": 401, "http://photos.example.com/albums/2": 401, "/albums/2?path=/albums/1": 401,
		"/Albums/1": 403, "/albums/1/": 400, "/albums": 403, "/albums/1;x": 403, "/": 403,
	} {
		s.served = nil
		if w := s.get(path, good); w.Code != want || (want == 200) != (len(s.served) == 1) {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

func TestHandlersAreToldOfNoOtherRequest(t *testing.T) {
	s := newScene(t, nil)
	smuggled := []string{
		"Authorization", "Bearer " + s.rpt(t, nil), "X-HTTP-Method-Override", "DELETE", "X-Method-Override", "DELETE", "X-HTTP-Method", "DELETE",
		"X-Original-URL", "/albums/2", "X-Rewrite-URL", "/albums/2", "X-Other", "stays",
	}
	for _, path := range []string{"/albums/1", "/public/x"} {
		s.served = nil
		if w := s.do(http.MethodGet, path, smuggled...); w.Code != 200 {
			t.Fatalf("%s: %d", path, w.Code)
		}
		got := s.served[0].Header
		if len(got) != 2 || got.Get("X-Other") != "stays" {
			t.Errorf("%s: the handler sees %v", path, got)
		}
	}
	if w := s.do(http.MethodGet, "/albums/1?access_token="+s.rpt(t, nil)); w.Code != 401 {
		t.Errorf("a token in the query: %d", w.Code)
	}
}

func TestWhatTheServerSaysIsNoHeader(t *testing.T) {
	for _, ticket := range []string{"", "a\r\nSet-Cookie: x=y", `a", realm="evil`, "a b", "ä", strings.Repeat("a", maxTicket+1)} {
		s := newScene(t, nil)
		s.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/permission" {
				return false
			}
			write(w, 201, object{"ticket": ticket})
			return true
		}
		w := s.get("/albums/1", "")
		s.undecided(t, w)
		if got := w.Header().Get("WWW-Authenticate"); got != "" {
			t.Errorf("%.20q: %q", ticket, got)
		}
	}
	if got, want := quoted(`a"b\c`), `"a\"b\\c"`; got != want {
		t.Errorf("quoted: %s, want %s", got, want)
	}
}

func TestNobodyIsSentTheTokenButTheIssuer(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another server was asked for %s", r.URL.Path)
	}))
	defer elsewhere.Close()
	t.Run("by a redirect", func(t *testing.T) {
		for _, path := range []string{"/token", "/permission", "/jwks", "/.well-known/uma2-configuration"} {
			s := newScene(t, nil)
			s.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == path {
					http.Redirect(w, r, elsewhere.URL+path, http.StatusTemporaryRedirect)
				}
				return r.URL.Path == path
			}
			s.undecided(t, s.get("/albums/1", s.rpt(t, func(c object) { c["authorization"] = nil })))
			s.tellsNothing(t)
		}
	})
	t.Run("by its metadata", func(t *testing.T) {
		for name, metadata := range map[string]func(s *scene) object{
			"another host": func(s *scene) object {
				return object{"issuer": s.URL, "token_endpoint": elsewhere.URL + "/token", "permission_endpoint": s.URL + "/permission"}
			},
			"another issuer": func(*scene) object { return object{"issuer": elsewhere.URL} },
		} {
			s := newScene(t, nil)
			s.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasPrefix(r.URL.Path, "/.well-known") {
					write(w, 200, metadata(s))
				}
				return strings.HasPrefix(r.URL.Path, "/.well-known")
			}
			s.undecided(t, s.get("/albums/1", ""))
			if len(s.reported) != 1 {
				t.Errorf("%s: reported %v", name, s.reported)
			}
		}
	})
}

// TestRemembered holds that a token that is remembered is the very text.
func TestRemembered(t *testing.T) {
	s := newScene(t, nil)
	good := s.rpt(t, nil)
	s.get("/albums/1", good)
	s.served = nil
	for _, other := range []string{good + ".", good[:len(good)-1], good + "=", strings.ToUpper(good)} {
		s.challenged(t, s.get("/albums/1", other))
	}
	if _, found := s.enforcer.tokens.get(sha256.Sum256([]byte(good)), s.clock()); !found {
		t.Error("the good token is not remembered")
	}
}
