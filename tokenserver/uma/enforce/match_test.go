package enforce

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// TestMatchingAgreesWithTheServer holds that a path leads to the resource that the server would name for it.
func TestMatchingAgreesWithTheServer(t *testing.T) { rapid.Check(t, matchesAsTheServer) }

// FuzzMatching lets the fuzzer choose patterns and paths.
func FuzzMatching(f *testing.F) { f.Fuzz(rapid.MakeFuzz(matchesAsTheServer)) }

func matchesAsTheServer(t *rapid.T) {
	segment := rapid.SampledFrom([]string{"a", "b", "{x}", "{y}", "a.b", "c"})
	patterns := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string {
		text := "/" + strings.Join(rapid.SliceOfN(segment, 0, 4).Draw(t, "segments"), "/")
		if rapid.Bool().Draw(t, "star") {
			text = strings.TrimSuffix(text, "/") + "/*"
		}
		return text
	}), 1, 10, meaningOf).Draw(t, "patterns")
	var list []Path
	var resources []*resource.Resource
	for n, p := range patterns {
		list = append(list, Path{Pattern: p, Public: true})
		resources = append(resources, &resource.Resource{
			ID: p, Name: p, Namespace: "team", Object: p, Audience: photos, URIs: []string{p}, Created: time.Unix(int64(n), 0),
			Claims: []resource.Claim{{URI: p, Since: time.Unix(int64(n), 0)}},
		})
	}
	all, err := compilePaths(list)
	if err != nil {
		t.Fatal(err)
	}
	var catalog *resource.Catalog
	catalog = catalog.With(photos, resources)
	for range 20 {
		path := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "a.b", "{x}", "*", "z"}), 0, 5).Draw(t, "path"), "/")
		path += rapid.SampledFrom([]string{"", "", "/"}).Draw(t, "slash")
		if targetProblem(path) != "" {
			continue
		}
		want, got := "", ""
		if r := catalog.Matching(photos, path); r != nil {
			want = r.ID
		}
		if p := all.match(path); p != nil {
			got = p.Pattern
		}
		if got != want {
			t.Fatalf("%q is %q, and %q for the server", path, got, want)
		}
	}
}

// FuzzTarget lets the fuzzer write requests. Behind the enforcer is the standard library's router with the same paths: whatever gets
// there must be served by the handler of the path that was decided, or by none.
func FuzzTarget(f *testing.F) {
	for _, path := range []string{
		"/public/../secret/1", "/public/%2e%2e/secret/1", "/public//secret/1", "/secret%2f1", "/public/..%5csecret", "/public/a;b", "/public/%252e", "/albums/7/x",
		"/albums/%37", "//", "*", "http://h/secret/1", "/albums/7/", "/public", "/secret", "/albums/..", "/public/a/../../secret/1",
	} {
		f.Add(path)
	}
	all, err := compilePaths([]Path{
		{Pattern: "/public/*", Public: true}, {Pattern: "/secret/*", Public: true}, {Pattern: "/albums/{id}", Public: true}, {Pattern: "/albums/7", Public: true},
	})
	if err != nil {
		f.Fatal(err)
	}
	handlers := map[string]string{"GET /public/{rest...}": "/public/*", "GET /secret/{rest...}": "/secret/*", "GET /albums/{id}": "/albums/{id}", "GET /albums/7": "/albums/7"}
	mux := http.NewServeMux()
	for pattern := range handlers {
		mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.ParseRequestURI(text)
		if err != nil {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.URL = u
		path, problem := target(r)
		if problem != "" {
			return
		}
		p := all.match(path)
		_, pattern := mux.Handler(r)
		served, found := handlers[pattern]
		if found && (p == nil || p.Pattern != served) {
			t.Errorf("%q is %+v, and is served as %s", text, p, served)
		}
		if cleaned := (&url.URL{Path: path}).JoinPath().Path; cleaned != path {
			t.Errorf("%q is %q when cleaned", path, cleaned)
		}
	})
}
