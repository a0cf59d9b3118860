package enforce

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// failing answers one path in a way.
func failing(path string, how http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == path {
			how(w, r)
		}
		return r.URL.Path == path
	}
}

func TestTheServerFails(t *testing.T) {
	ways := map[string]http.HandlerFunc{
		"with 500":             func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"with 429":             func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) },
		"with 403":             func(w http.ResponseWriter, _ *http.Request) { write(w, 403, object{"error": "insufficient_scope"}) },
		"with 401 each time":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
		"with another success": func(w http.ResponseWriter, _ *http.Request) { write(w, 202, object{"ticket": "x", "keys": nil}) },
		"with nothing":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) },
		"with HTML":            func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<p>hunter2-of-the-server</p>") },
		"with another JSON":    func(w http.ResponseWriter, _ *http.Request) { write(w, 200, []any{map[string]string{"x": "the-pat"}}) },
		"with a very large answer": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"x":%q}`, strings.Repeat("x", maxAnswer))
		},
		"by hanging up": func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		},
	}
	for _, path := range []string{"/.well-known/uma2-configuration", "/jwks", "/token", "/permission", "/resource_set"} {
		for name, way := range ways {
			t.Run(path+" "+name, func(t *testing.T) {
				s := newScene(t, nil)
				s.answer, s.found = failing(path, way), map[string][]string{"/found/x": {"album-2"}}
				// The token is good for another resource: all that is asked of the server is needed.
				other := s.rpt(t, nil)
				s.undecided(t, s.get("/found/x", other))
				if len(s.reported) != 1 {
					t.Errorf("reported: %v", s.reported)
				}
				s.tellsNothing(t, other)
			})
		}
	}
	t.Run("not at all", func(t *testing.T) {
		s := newScene(t, nil)
		s.Close()
		s.undecided(t, s.get("/albums/1", s.rpt(t, nil)))
		s.undecided(t, s.get("/albums/1", ""))
	})
}

// TestFailuresAreRemembered holds that a server that is in trouble is not asked by each request.
func TestFailuresAreRemembered(t *testing.T) {
	s := newScene(t, nil)
	s.answer = failing("/token", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	for range 20 {
		s.undecided(t, s.get("/albums/1", ""))
	}
	if n := s.count("/token"); n != 1 {
		t.Errorf("it was asked %d times, want 1", n)
	}
	s.set(func() { s.answer = nil })
	s.pass(retryWithout)
	s.challenged(t, s.get("/albums/1", ""))
}

func TestAServerThatHangs(t *testing.T) {
	s := newScene(t, func(c *Config) { c.Timeout = 50 * time.Millisecond })
	release := make(chan struct{})
	defer close(release)
	s.answer = failing("/permission", func(http.ResponseWriter, *http.Request) { <-release })
	s.undecided(t, s.get("/albums/1", ""))
}

func TestASourceThatFails(t *testing.T) {
	for name, source := range map[string]func(context.Context) (string, time.Time, error){
		"an error":     func(context.Context) (string, time.Time, error) { return "", time.Time{}, errors.New("no") },
		"no token":     func(context.Context) (string, time.Time, error) { return "", time.Unix(1_900_000_000, 0), nil },
		"an old token": func(context.Context) (string, time.Time, error) { return "the-pat", time.Unix(1_800_000_000, 0), nil },
		"two lines":    func(context.Context) (string, time.Time, error) { return "a\nb", time.Unix(1_900_000_000, 0), nil },
		"a panic":      func(context.Context) (string, time.Time, error) { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, func(c *Config) { c.Login, c.PAT = Login{}, source })
			s.undecided(t, s.get("/albums/1", ""))
		})
	}
}

func TestNoPolicyGrantsProtection(t *testing.T) {
	s := newScene(t, nil)
	s.scope = ""
	s.undecided(t, s.get("/albums/1", ""))
	if want := "no policy grants uma_protection for " + photos; !strings.Contains(fmt.Sprint(s.reported), want) {
		t.Errorf("reported %v, want %q", s.reported, want)
	}
}

func TestClaimsAreBounded(t *testing.T) {
	s := newScene(t, func(c *Config) {
		c.Claims = func(*http.Request) map[string][]string {
			return map[string][]string{"x": {strings.Repeat("x", maxClaimBytes)}}
		}
	})
	s.undecided(t, s.get("/albums/1", ""))
	if len(s.bodies) != 0 {
		t.Errorf("asked: %v", s.bodies)
	}
}

// TestKeysOutliveTheServer holds how long: tokens are good for an hour without it, and for no longer.
func TestKeysOutliveTheServer(t *testing.T) {
	s := newScene(t, nil)
	good := s.rpt(t, func(c object) { c["exp"] = s.clock().Unix() + 7200 })
	if w := s.get("/albums/1", good); w.Code != 200 {
		t.Fatal(w.Code)
	}
	s.Close()
	for range 5 {
		s.pass(11 * time.Minute)
		if w := s.get("/albums/1", good); w.Code != 200 {
			t.Errorf("without the server for less than an hour: %d", w.Code)
		}
	}
	s.pass(6 * time.Minute)
	s.served = nil
	s.undecided(t, s.get("/albums/1", good))
}

// TestKeysThatGo holds that a token of a key that the server does not publish any more is refused, be it remembered or not.
func TestKeysThatGo(t *testing.T) {
	s := newScene(t, func(c *Config) { c.Cache.Lifetime = time.Hour })
	good := s.rpt(t, nil)
	if w := s.get("/albums/1", good); w.Code != 200 {
		t.Fatal(w.Code)
	}
	next := newSigner(t, "key-2")
	s.set(func() { s.keys = []jose.JSONWebKey{next.public()} })
	s.pass(keysDue)
	s.served = nil
	s.challenged(t, s.get("/albums/1", good))
	s.signer = next
	if w := s.get("/albums/1", s.rpt(t, nil)); w.Code != 200 {
		t.Errorf("a token of the next key: %d", w.Code)
	}
}

// TestUnknownKeys holds that made-up ids do not make the server work, and that a new key is known in time.
func TestUnknownKeys(t *testing.T) {
	s := newScene(t, nil)
	stranger := newSigner(t, "")
	for n := range 200 {
		s.challenged(t, s.get("/albums/1", sign(t, jose.ES256, stranger.key, object{"typ": typeRPT, "kid": fmt.Sprint("made-up-", n)}, s.claims())))
	}
	if n := s.count("/jwks"); n != 1 {
		t.Errorf("the keys were fetched %d times for 200 ids, want 1", n)
	}
	s.signer = newSigner(t, "key-2")
	s.set(func() { s.keys = append(s.keys, s.signer.public()) })
	s.pass(unknownKeyPause)
	if w := s.get("/albums/1", s.rpt(t, nil)); w.Code != 200 {
		t.Errorf("a token of a new key: %d", w.Code)
	}
	if n := s.count("/jwks"); n != 2 {
		t.Errorf("the keys were fetched %d times, want 2", n)
	}
}

// TestHerds holds that many at once ask for what they share once, and each for a ticket of its own.
func TestHerds(t *testing.T) {
	s := newScene(t, func(c *Config) { c.Introspect = true })
	const many = 100
	good, wrong := s.rpt(t, nil), s.rpt(t, func(c object) { c["jti"] = "t2" })
	tickets := make(chan string, many)
	var herd sync.WaitGroup
	for range many {
		herd.Go(func() {
			if w := s.get("/albums/1", good); w.Code != 200 {
				t.Errorf("a good token: %d", w.Code)
			}
		})
		herd.Go(func() { tickets <- s.get("/albums/2", wrong).Header().Get("WWW-Authenticate") })
	}
	herd.Wait()
	close(tickets)
	seen := map[string]bool{}
	for ticket := range tickets {
		seen[ticket] = true
	}
	if len(seen) != many || seen[""] {
		t.Errorf("%d tickets for %d challenges", len(seen), many)
	}
	for path, want := range map[string]int{"/jwks": 1, "/token": 1, "/.well-known/uma2-configuration": 1, "/introspect": 2, "/permission": many} {
		if n := s.count(path); n != want {
			t.Errorf("%s was asked %d times, want %d", path, n, want)
		}
	}
}

// TestSomeoneElseHangsUp holds that a request that ends does not end what others wait for.
func TestSomeoneElseHangsUp(t *testing.T) {
	s := newScene(t, nil)
	asked, release := make(chan struct{}), make(chan struct{})
	s.answer = failing("/token", func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		write(w, 200, object{"access_token": s.pat, "expires_in": 300, "scope": s.scope})
	})
	ctx, cancel := context.WithCancel(context.Background())
	var both sync.WaitGroup
	both.Go(func() {
		s.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/albums/1", http.NoBody))
	})
	<-asked
	both.Go(func() { s.challenged(t, s.get("/albums/1", "")) })
	cancel()
	close(release)
	both.Wait()
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache[int, int](3)
	now := time.Unix(1_800_000_000, 0)
	for n := range 4 {
		c.put(n, n, now.Add(time.Minute))
		c.get(0, now)
	}
	for n, want := range map[int]bool{0: true, 1: false, 2: true, 3: true} {
		if _, found := c.get(n, now); found != want {
			t.Errorf("%d is there: %t", n, found)
		}
	}
	c.put(0, 7, now.Add(time.Second))
	if v, _ := c.get(0, now); v != 7 {
		t.Errorf("replaced by %d", v)
	}
	if _, found := c.get(0, now.Add(time.Second)); found || len(c.entries) != 2 || c.order.Len() != 2 {
		t.Errorf("after its time: %t, %d entries", found, len(c.entries))
	}
}
