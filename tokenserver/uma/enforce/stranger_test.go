package enforce

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// TestSpellingsOfOneRequest are attacks: a request that the enforcer and a handler would read in two ways.
func TestSpellingsOfOneRequest(t *testing.T) {
	paths := func(more ...Path) []Path {
		return append(more,
			Path{Pattern: "/albums/1", Resource: "album-1", Methods: map[string][]string{"DELETE": {"delete"}}, Scopes: []string{"view"}},
			Path{Pattern: "/shelf/", Resource: "album-1", Scopes: []string{"delete"}},
			Path{Pattern: "/lists", Public: true},
			Path{Pattern: "/lists/*", Resource: "album-1", Scopes: []string{"delete"}},
		)
	}
	open := paths(Path{Pattern: "/*", Public: true})
	cases := map[string]struct {
		reason       string
		mode         Mode
		paths        []Path
		method, path string
		want         int
	}{
		"DELETE":                                  {"view is not enough", Enforcing, open, "DELETE", "/albums/1", 401},
		"delete":                                  {"some handlers take it for DELETE", Enforcing, open, "delete", "/albums/1", 400},
		"Delete":                                  {"", Enforcing, open, "Delete", "/albums/1", 400},
		"delete of what is public":                {"it may be a proxy that spells it anew", Enforcing, open, "delete", "/else", 400},
		"delete of what is not configured":        {"", Permissive, paths(), "delete", "/else", 400},
		"A slash more":                            {"a wider public path", Enforcing, open, "DELETE", "/albums/1/", 400},
		"A slash more, permissive":                {"no path at all", Permissive, paths(), "DELETE", "/albums/1/", 400},
		"A slash less":                            {"", Enforcing, open, "GET", "/shelf", 400},
		"A slash less, permissive":                {"", Permissive, paths(), "GET", "/shelf", 400},
		"A list is public, what it lists is not":  {"the list's own pattern was meant", Enforcing, open, "GET", "/lists", 200},
		"With a slash it is of the protected one": {"", Enforcing, open, "GET", "/lists/", 401},
		"Another path":                            {"", Enforcing, open, "GET", "/else/", 200},
		"The root":                                {"", Enforcing, open, "GET", "/", 200},
		"Disabled":                                {"nothing is looked at", Disabled, open, "delete", "/albums/1/", 200},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, func(c *Config) { c.Mode, c.Paths = tc.mode, tc.paths })
			if w := s.do(tc.method, tc.path, "Authorization", "Bearer "+s.rpt(t, nil)); w.Code != tc.want {
				t.Errorf("%s: answered with %d %s, want %d", tc.reason, w.Code, w.Body, tc.want)
			}
		})
	}
}

// TestTheHandlerSeesNoOtherSpelling: a proxy sends on what is in RawPath.
func TestTheHandlerSeesNoOtherSpelling(t *testing.T) {
	s := newScene(t, nil)
	r := httptest.NewRequest(http.MethodGet, "/public/%61%3Bb", http.NoBody)
	s.handler.ServeHTTP(httptest.NewRecorder(), r)
	if len(s.served) != 1 || s.served[0].URL.RawPath != "" || s.served[0].URL.Path != "/public/a;b" {
		t.Fatalf("the handler sees %+v", s.served)
	}
	if r.URL.RawPath == "" {
		t.Error("the request of the server was changed")
	}
}

// TestANeighboursName: who else registers resources at the audience takes a path by neither name nor uri.
func TestANeighboursName(t *testing.T) {
	cases := map[string]struct {
		reason    string
		namespace string
		found     []string
		want      int
	}{
		"The own":                    {"", "photos", []string{"photos/album-1"}, 200},
		"A neighbour's":              {"it is not the one that was meant", "photos", []string{"mallory/album-1"}, 403},
		"A namespace that begins so": {"", "photos", []string{"photos-b/album-1"}, 403},
		"An id without a namespace":  {"nobody knows whose it is", "photos", []string{"album-1"}, 403},
		"No namespace":               {"any is taken", "", []string{"mallory/album-1"}, 200},
		"Two":                        {"by no server of ours", "photos", []string{"mallory/album-1", "photos/album-1"}, 403},
	}
	for name, tc := range cases {
		for path, key := range map[string]string{"/named": "Album 1", "/found/1": "/found/1"} {
			t.Run(name+" "+path, func(t *testing.T) {
				s := newScene(t, func(c *Config) { c.Namespace = tc.namespace })
				s.found[key] = tc.found
				rpt := s.rpt(t, func(claims object) {
					claims["authorization"] = object{"permissions": []object{{"rsid": tc.found[0], "scopes": []string{"view"}}}}
				})
				for range 2 { // the second from the cache
					if w := s.get(path, rpt); w.Code != tc.want {
						t.Errorf("%s: answered with %d, want %d", tc.reason, w.Code, tc.want)
					}
				}
				if tc.want == 403 && !strings.Contains(fmt.Sprint(s.reported), "configure Path.Resource") {
					t.Errorf("reported: %v", s.reported)
				}
			})
		}
	}
}

// TestPathsThatNobodyHasPushNothingOut: anybody can think of paths, and only so many of them are remembered.
func TestPathsThatNobodyHasPushNothingOut(t *testing.T) {
	s := newScene(t, func(c *Config) { c.Cache.MaxEntries = 4 })
	s.found["/found/1"] = []string{"album-1"}
	rpt := s.rpt(t, nil)
	s.get("/found/1", rpt)
	for n := range 10 {
		s.get(fmt.Sprint("/found/none-", n), "")
	}
	before := s.count("/resource_set")
	if w := s.get("/found/1", rpt); w.Code != 200 || s.count("/resource_set") != before {
		t.Errorf("answered with %d after %d look-ups", w.Code, s.count("/resource_set")-before)
	}
	s.get("/found/none-9", "")
	if s.count("/resource_set") != before {
		t.Error("that there is none was not remembered")
	}
}

// TestStrangersLeaveRoomForTokens is an attack: requests without a token take all that goes to the authorization server.
func TestStrangersLeaveRoomForTokens(t *testing.T) {
	s := newScene(t, func(c *Config) { c.Introspect = true })
	s.get("/albums/1", "") // the PAT and the endpoints are known
	block, arrived := make(chan struct{}), make(chan struct{}, 2*maxOutgoing)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-block
		write(w, 201, map[string]string{"ticket": "t"})
	}))
	defer slow.Close()
	s.enforcer.endpoints.value.Permission = (&url.URL{Scheme: "http", Host: slow.Listener.Addr().String()}).String()
	var all sync.WaitGroup
	for range 2 * maxOutgoing {
		all.Go(func() { s.get("/albums/1", "") })
	}
	for range maxForStrangers {
		<-arrived
	}
	if w := s.get("/albums/1", s.rpt(t, nil)); w.Code != 200 {
		t.Errorf("a good token was answered with %d: %v", w.Code, s.reported)
	}
	close(block)
	all.Wait()
}
