package enforce

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFlow(t *testing.T) {
	s := newScene(t, func(c *Config) {
		c.Claims = func(r *http.Request) map[string][]string { return map[string][]string{"ward": {r.Header.Get("Ward")}} }
	})
	s.challenged(t, s.do(http.MethodPut, "/albums/1", "Ward", "7"))
	want := []string{`{"resource_id":"album-1","resource_scopes":["view","edit"],"claims":{"ward":["7"]}}`}
	if diff := cmp.Diff(want, s.bodies); diff != "" {
		t.Errorf("the ticket that was asked for (-want +got):\n%s", diff)
	}
	w := s.do(http.MethodPut, "/albums/1", "Authorization", "bearer "+s.rpt(t, nil))
	if w.Code != 200 || w.Body.String() != "alice" {
		t.Errorf("with the token: %d %q", w.Code, w.Body)
	}
	token, ok := FromContext(s.served[0].Context())
	if !ok || token.ID != "t1" || token.ClientID != "app" || token.String() != "requesting party token t1 of alice" {
		t.Errorf("the handler found %v", token)
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err := token.Claims(&claims); err != nil || claims.Issuer != s.URL {
		t.Errorf("claims: %+v, %v", claims, err)
	}
	if w := s.do(http.MethodGet, "/albums/1"); w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("a ticket may be stored: %v", w.Header())
	}
}

// TestScopes has what lets in and what does not: the status is 200 or 401.
func TestScopes(t *testing.T) {
	with := func(scopes ...string) func(object) {
		return func(c object) {
			c["authorization"] = object{"permissions": []object{{"rsid": "album-1", "scopes": scopes}}}
		}
	}
	cases := map[string]struct {
		reason       string
		method, path string
		claims       func(object)
		want         int
	}{
		"All scopes":                      {"", "PUT", "/albums/1", with("edit", "view"), 200},
		"One scope of two":                {"all are needed", "PUT", "/albums/1", with("edit"), 401},
		"Any of two":                      {"", "GET", "/any", with("own"), 200},
		"None of two":                     {"", "GET", "/any", with("edit"), 401},
		"HEAD":                            {"it is a GET", "HEAD", "/albums/1", with("view"), 200},
		"A method that is not configured": {"it has no scope that could be granted", "DELETE", "/albums/1", with("view", "edit", "DELETE"), 403},
		"A method as scope":               {"", "PATCH", "/verbs/x", with("PATCH"), 200},
		"Another method as scope":         {"", "POST", "/verbs/x", with("PATCH"), 401},
		"A method in other letters":       {"some handlers take it for another", "patch", "/verbs/x", with("PATCH"), 400},
		"A very long method":              {"it is no scope", strings.Repeat("X", 33), "/verbs/x", with(strings.Repeat("X", 33)), 403},
		"No scopes":                       {"what is empty allows nothing", "GET", "/albums/1", with(), 401},
		"No scopes, any wanted":           {"as above", "GET", "/any", with(), 401},
		"Two permissions": {"together they are enough", "PUT", "/albums/1", func(c object) {
			c["authorization"] = object{"permissions": []object{{"rsid": "album-1", "scopes": []string{"view"}}, {"rsid": "album-1", "scopes": []string{"edit"}}}}
		}, 200},
		"Two resources": {"scopes of another resource do not count", "PUT", "/albums/1", func(c object) {
			c["authorization"] = object{"permissions": []object{{"rsid": "album-1", "scopes": []string{"view"}}, {"rsid": "album-2", "scopes": []string{"edit"}}}}
		}, 401},
		"The name of the resource as its id": {"names are chosen by people", "GET", "/albums/1", func(c object) {
			c["authorization"] = object{"permissions": []object{{"rsid": "x", "rsname": "album-1", "scopes": []string{"view"}}}}
		}, 401},
		"The older form": {"UMA 1", "PUT", "/albums/1", func(c object) {
			delete(c, "authorization")
			c["permissions"] = []object{{"resource_set_id": "album-1", "resource_set_name": "Album 1", "scopes": []string{"view", "edit"}}}
		}, 200},
		"The older form without scopes": {"", "GET", "/albums/1", func(c object) {
			delete(c, "authorization")
			c["permissions"] = []object{{"resource_set_id": "album-1"}}
		}, 401},
		"No permissions": {"", "GET", "/albums/1", func(c object) { delete(c, "authorization") }, 401},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, nil)
			if w := s.do(tc.method, tc.path, "Authorization", "Bearer "+s.rpt(t, tc.claims)); w.Code != tc.want || (w.Code == 200) != (len(s.served) == 1) {
				t.Errorf("%s: answered with %d, want %d", tc.reason, w.Code, tc.want)
			}
		})
	}
}

func TestResourcesThatAreLookedUp(t *testing.T) {
	s := newScene(t, nil)
	s.set(func() {
		s.found = map[string][]string{"Album 1": {"album-1"}, "/found/a b": {"album-1"}, "/found/two": {"album-1", "album-2"}, "/found/other": {"album-2"}}
	})
	good := s.rpt(t, nil)
	for range 3 {
		for _, path := range []string{"/named", "/found/a%20b"} {
			if w := s.get(path, good); w.Code != 200 {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
	}
	if diff := cmp.Diff([]string{"exactName=true&name=Album+1", "matchingUri=true&uri=%2Ffound%2Fa+b"}, s.queries); diff != "" {
		t.Errorf("each is asked for once (-want +got):\n%s", diff)
	}
	s.served = nil
	s.challenged(t, s.get("/found/other", good))
	s.undecided(t, s.get("/found/two", good))
	for range 3 {
		if w := s.get("/found/none", good); w.Code != 403 || w.Header().Get("Warning") != "" {
			t.Errorf("a path that nobody has: %d", w.Code)
		}
	}
	before := len(s.queries)
	s.pass(DefaultLifetime)
	if s.get("/found/none", good); len(s.queries) != before+1 {
		t.Errorf("%d look-ups after the time of the cache, want 1", len(s.queries)-before)
	}
}

func TestModes(t *testing.T) {
	cases := map[string]struct {
		mode                  Mode
		unknown, known, below int
	}{
		"Enforcing":  {Enforcing, 403, 401, 200},
		"Permissive": {Permissive, 200, 401, 200},
		"Disabled":   {Disabled, 200, 200, 200},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, func(c *Config) { c.Mode = tc.mode })
			for path, want := range map[string]int{"/elsewhere": tc.unknown, "/albums/1": tc.known, "/public/x": tc.below} {
				if w := s.get(path, ""); w.Code != want {
					t.Errorf("%s: %d, want %d", path, w.Code, want)
				}
			}
		})
	}
}

func TestProtectionAPIToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("sa-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	calls := 0
	sources := map[string]func(*Config){
		"client credentials":     nil,
		"a ServiceAccount token": func(c *Config) { c.Login = Login{TokenFile: file} },
		"another source": func(c *Config) {
			c.Login, c.PAT = Login{}, func(context.Context) (string, time.Time, error) {
				calls++
				return "the-pat", time.Unix(1_800_000_300, 0).Add(time.Duration(calls-1) * 300 * time.Second), nil
			}
		},
	}
	for name, change := range sources {
		t.Run(name, func(t *testing.T) {
			calls = 0
			s := newScene(t, change)
			for range 3 {
				s.challenged(t, s.get("/albums/1", ""))
			}
			if n := s.count("/token") + calls; n != 1 {
				t.Errorf("it was got %d times for three challenges", n)
			}
			s.pass(296 * time.Second)
			s.challenged(t, s.get("/albums/1", ""))
			if n := s.count("/token") + calls; n != 2 {
				t.Errorf("it was got %d times, want 2 after its end", n)
			}
			if name == "another source" {
				return
			}
			s.set(func() { s.pat = "the-next-pat" })
			s.challenged(t, s.get("/albums/1", ""))
			if pat, err := s.enforcer.PAT(context.Background()); err != nil || pat != "the-next-pat" {
				t.Errorf("one that the server does not take any more is replaced: %q, %v", pat, err)
			}
		})
	}
}

func TestIntrospection(t *testing.T) {
	s := newScene(t, func(c *Config) { c.Introspect = true })
	good := s.rpt(t, func(c object) {
		c["authorization"] = object{"permissions": []object{{"rsid": "album-1", "scopes": []string{"view"}}, {"rsid": "album-2", "scopes": []string{"view"}}}}
	})
	for range 3 {
		if w := s.get("/albums/1", good); w.Code != 200 {
			t.Fatalf("an active token: %d", w.Code)
		}
	}
	if n := s.count("/introspect"); n != 1 {
		t.Errorf("the server was asked %d times, want 1", n)
	}
	s.served = nil
	s.challenged(t, s.get("/albums/2", good))                                           // the server does not stand by it
	s.challenged(t, s.do(http.MethodPut, "/albums/1", "Authorization", "Bearer "+good)) // the token does not say edit
	s.set(func() { s.inactive[good] = true })
	s.pass(DefaultLifetime)
	for range 3 {
		s.challenged(t, s.get("/albums/1", good))
	}
	if n := s.count("/introspect"); n != 2 {
		t.Errorf("the server was asked %d times, want 2", n)
	}
	s.pass(DefaultLifetime)
	s.Close()
	s.undecided(t, s.get("/albums/1", good))
	s.tellsNothing(t, good)
}

func TestNew(t *testing.T) {
	good := func() Config {
		return Config{
			Issuer: "https://auth.example.com", Audience: photos, Login: Login{Username: "rs", Password: password},
			Paths: []Path{{Pattern: "/a", Resource: "a", Scopes: []string{"view"}}},
		}
	}
	path := func(p Path) func(*Config) { return func(c *Config) { c.Paths = []Path{p} } }
	pattern := func(text string) func(*Config) { return path(Path{Pattern: text, Public: true}) }
	cases := map[string]struct {
		change func(*Config)
		want   string
	}{
		"all is well":            {func(*Config) {}, ""},
		"no audience":            {func(c *Config) { c.Audience = "" }, "Audience is missing"},
		"an audience with lines": {func(c *Config) { c.Audience = "a\r\nX: y" }, "Realm must be of printable ASCII"},
		"no issuer":              {func(c *Config) { c.Issuer = "" }, "Issuer must be an https URL"},
		"plain HTTP":             {func(c *Config) { c.Issuer = "http://auth.example.com" }, "Issuer must be https, unless PlainHTTP"},
		"plain HTTP, wanted":     {func(c *Config) { c.Issuer, c.PlainHTTP = "http://auth.example.com", true }, ""},
		"plain keys":             {func(c *Config) { c.Endpoints.JWKS = "http://auth.example.com/jwks" }, "Endpoints.JWKS must be https"},
		"a user in the issuer":   {func(c *Config) { c.Issuer = "https://a@b" }, "without user"},
		"no login":               {func(c *Config) { c.Login = Login{} }, "one of config.Login and config.PAT"},
		"half a login":           {func(c *Config) { c.Login.Password = "" }, "both of Username and Password"},
		"two logins":             {func(c *Config) { c.Login.TokenFile = "x" }, "or TokenFile"},
		"introspection by a PAT": {func(c *Config) {
			c.Login, c.Introspect, c.PAT = Login{}, true, func(context.Context) (string, time.Time, error) { return "", time.Time{}, nil }
		}, "Introspect needs Login"},
		"a mode that is none": {func(c *Config) { c.Mode = 7 }, "Mode must be"},
		"no paths":            {func(c *Config) { c.Paths = nil }, "Paths must be 1 to 1000"},
		"too many paths":      {func(c *Config) { c.Paths = make([]Path, 1001) }, "Paths must be 1 to 1000"},
		"one pattern twice":   {func(c *Config) { c.Paths = append(c.Paths, c.Paths[0]) }, "another path has the pattern"},
		"one pattern, other names": {func(c *Config) {
			c.Paths = []Path{{Pattern: "/a/{b}", Public: true}, {Pattern: "/a/{c}", Public: true}}
		}, "another path has the pattern"},
		"two resources":      {path(Path{Pattern: "/a", Resource: "a", ByURI: true, Scopes: []string{"x"}}), "exactly one of"},
		"no resource":        {path(Path{Pattern: "/a", Scopes: []string{"x"}}), "exactly one of"},
		"no scopes":          {path(Path{Pattern: "/a", Resource: "a"}), "one of Methods, Scopes and HTTPMethodAsScope"},
		"a method for free":  {path(Path{Pattern: "/a", Resource: "a", Methods: map[string][]string{"GET": {}}}), `methods["GET"] must name scopes`},
		"an empty scope":     {path(Path{Pattern: "/a", Resource: "a", Scopes: []string{""}}), "must not have an empty one"},
		"a scope for public": {path(Path{Pattern: "/a", Public: true, Scopes: []string{"x"}}), "must have no scopes"},
		"methods twice":      {path(Path{Pattern: "/a", Resource: "a", Scopes: []string{"x"}, HTTPMethodAsScope: true}), "goes with neither"},
		"a scopes mode":      {path(Path{Pattern: "/a", Resource: "a", Scopes: []string{"x"}, ScopesMode: 2}), "the scopes mode must be"},
		"no slash":           {pattern("a"), "must begin with /"},
		"dots":               {pattern("/a/../b"), "dot segment"},
		"two slashes":        {pattern("//*"), "empty segment"},
		"a query":            {pattern("/a?b"), "no query"},
		"encoded":            {pattern("/a%2"), "no query, fragment or encoded character"},
		"a star inside":      {pattern("/a/*/b"), "only as its last segment"},
		"a star in a word":   {pattern("/a*"), "only as its last segment"},
		"half a brace":       {pattern("/a/{b"), "only around a name"},
		"a brace in a brace": {pattern("/a/{{b}}"), "only around a name"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			config := good()
			tc.change(&config)
			_, err := New(config)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Errorf("the password is told: %v", err)
			}
		})
	}
}

func BenchmarkHandler(b *testing.B) {
	s := newScene(b, nil)
	next := s.enforcer.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/albums/1", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+s.rpt(b, nil))
	w := httptest.NewRecorder()
	if next.ServeHTTP(w, r); w.Code != 200 {
		b.Fatal(w.Code)
	}
	b.Run("a token that is known", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			next.ServeHTTP(w, r)
		}
	})
	b.Run("a token that is new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.enforcer.tokens = newCache[[32]byte, verified](1)
			next.ServeHTTP(w, r)
		}
	})
}
