package httpx

import (
	"net/http"
	"path"
	"strings"
)

// Routes answers each path with and without a trailing slash, at the root and under the prefix. Everything else, also a
// path that net/http's mux would redirect (with a page of HTML), is the fallback's. A path that ends with all that follows, as in
// /things/{id...}, has the trailing slash in it.
func Routes(prefix string, endpoints map[string]http.Handler, fallback http.Handler) http.Handler {
	mux := http.NewServeMux()
	for at, endpoint := range endpoints {
		for _, full := range both(prefix, at) {
			mux.Handle(full, endpoint)
			if !strings.HasSuffix(full, "...}") {
				mux.Handle(full+"/{$}", endpoint)
			}
		}
	}
	mux.Handle("/", fallback)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !clean(r) {
			fallback.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func both(prefix, at string) []string {
	if prefix == "" {
		return []string{at}
	}
	return []string{at, prefix + at}
}

// clean says whether the mux would take the path as it is. The mux looks at it before it is decoded: a segment may hold an escaped
// slash, as the name of an audience does.
func clean(r *http.Request) bool {
	p := r.URL.EscapedPath()
	return r.Method != http.MethodConnect && strings.HasPrefix(p, "/") && (p == "/" || path.Clean(p) == strings.TrimSuffix(p, "/"))
}

// CleanPrefix brings a path prefix into the form that Routes expects: empty, or with a leading and no trailing slash.
func CleanPrefix(prefix string) string {
	prefix = path.Clean("/" + prefix)
	if prefix == "/" {
		return ""
	}
	return prefix
}
