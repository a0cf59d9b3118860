package enforce_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/tokenwright/tokenwright/tokenserver/uma/enforce"
)

// album serves an album to whoever the enforcer let in.
func album(w http.ResponseWriter, r *http.Request) {
	if token, ok := enforce.FromContext(r.Context()); ok {
		fmt.Fprintf(w, "album %s for %s\n", r.PathValue("id"), token.Subject)
	}
}

// photos is the resource server of docs/uma-enforce.md.
func photos() (http.Handler, error) {
	enforcer, err := enforce.New(enforce.Config{
		Issuer:   "https://auth.example.com",
		Audience: "https://photos.example.com",
		Login:    enforce.Login{TokenFile: "/var/run/secrets/tokens/tokenwright"},
		Paths: []enforce.Path{
			{Pattern: "/healthz", Public: true},
			{Pattern: "/albums/{id}", ByURI: true, Methods: map[string][]string{
				http.MethodGet: {"view"},
				http.MethodPut: {"view", "edit"},
			}},
			{Pattern: "/admin/*", Resource: "photos/admin", Scopes: []string{"manage"}},
		},
		Report: func(_ context.Context, err error) { slog.Warn("Access was not decided", "error", err) },
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/albums/{id}", album)
	return enforcer.Handler(mux), nil
}

func Example() {
	handler, err := photos()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, path := range []string{"/healthz", "/elsewhere", "/albums/1%2F2"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 ok
	// 403 the path is not served
	// 400 the path has an encoded slash
}

// TestDocumentation holds that what docs/uma-enforce.md shows in Go is what compiles here.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../../docs/uma-enforce.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```go\n")[1:]
	if len(blocks) != 1 {
		t.Errorf("%d blocks of Go, want 1", len(blocks))
	}
	for _, block := range blocks {
		if block, _, _ := strings.Cut(block, "```"); !strings.Contains(string(code), block) {
			t.Errorf("the page shows what does not compile here:\n%s", block)
		}
	}
}
