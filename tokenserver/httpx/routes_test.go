package httpx

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestRoutes(t *testing.T) {
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(text)) }) //nolint:errcheck // a recorder
	}
	cases := map[string]struct {
		reason, prefix, path, want string
	}{
		"The path itself":                {"the plain case", "", "/token", "token"},
		"With a trailing slash":          {"clients are configured either way", "", "/token/", "token"},
		"Under the prefix":               {"an ingress may pass the prefix on", "/auth", "/auth/token", "token"},
		"Under the prefix, with a slash": {"both at once", "/auth", "/auth/token/", "token"},
		"Beside the prefix":              {"an ingress may strip the prefix", "/auth", "/token", "token"},
		"Below the path":                 {"the slash must not open a subtree", "", "/token/x", "nothing"},
		"Not clean, by dots":             {"the mux would redirect with a page of HTML", "", "/a/../token", "nothing"},
		"Not clean, by slashes":          {"the mux would redirect with a page of HTML", "", "//token", "nothing"},
		"Two trailing slashes":           {"the mux would redirect with a page of HTML", "", "/token//", "nothing"},
		"The root":                       {"there is nothing", "", "/", "nothing"},
		"Another letter case":            {"paths are case-sensitive", "", "/Token", "nothing"},
		"No path":                        {"OPTIONS * has none", "", "*", "nothing"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			handler := Routes(tc.prefix, map[string]http.Handler{"/token": say("token")}, say("nothing"))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: tc.path}, Header: http.Header{}})
			if got := w.Body.String(); w.Code != http.StatusOK || got != tc.want {
				t.Errorf("%s: got %d %q, want %q", tc.reason, w.Code, got, tc.want)
			}
		})
	}
}

func TestCleanPrefix(t *testing.T) {
	for in, want := range map[string]string{"": "", "/": "", "auth": "/auth", "/auth/": "/auth", "/a/b": "/a/b", "/a/../b": "/b"} {
		if got := CleanPrefix(in); got != want {
			t.Errorf("CleanPrefix(%q) = %q, want %q", in, got, want)
		}
	}
}
