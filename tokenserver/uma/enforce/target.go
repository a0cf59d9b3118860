package enforce

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxTarget is the longest path in bytes that is looked at.
const maxTarget = 4096

// target returns the path that is looked up, or says why there is none. It is what handlers see, because all that one handler reads
// in one way and another one otherwise is refused: dot segments and empty segments, which some clean away; encoded slashes, which
// some decode before they split and some after; what would decode once more; and what is not a path at all.
func target(r *http.Request) (path, problem string) {
	path = r.URL.Path
	if problem := targetProblem(path); problem != "" {
		return "", problem
	}
	raw := r.URL.RawPath
	if raw == "" {
		return path, ""
	}
	// RawPath is there where the path as it came is not the usual spelling.
	if decoded, err := url.PathUnescape(raw); err != nil || decoded != path {
		return "", "the path is not what was sent"
	}
	// A backslash that was encoded is decoded in Path, and refused there; a slash is not seen any more.
	if lower := strings.ToLower(raw); strings.Contains(lower, "%2f") {
		return "", "the path has an encoded slash"
	}
	return path, ""
}

// targetProblem says why a decoded path is refused; nothing if all is well.
func targetProblem(path string) string {
	switch {
	case !strings.HasPrefix(path, "/"):
		return "the path does not begin with /"
	case len(path) > maxTarget:
		return "the path is too long"
	case !utf8.ValidString(path):
		return "the path is not UTF-8"
	case strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return "the path has a backslash or a control character"
	case decodesAgain(path):
		return "the path is encoded twice"
	case strings.Contains(path, "//"):
		return "the path has an empty segment"
	}
	for segment := range strings.SplitSeq(path, "/") {
		// Some servers cut parameters off a segment before they clean.
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return "the path has a dot segment"
		}
	}
	return ""
}

// decodesAgain says whether a path that was decoded still has an encoded character.
func decodesAgain(path string) bool {
	for {
		_, after, found := strings.Cut(path, "%")
		if !found {
			return false
		}
		if len(after) >= 2 && isHex(after[0]) && isHex(after[1]) {
			return true
		}
		path = after
	}
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// otherTargets are headers by which some handlers let a request be another than its first line says.
func otherTargets() []string {
	return []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url"}
}

// hasLower says whether a method has a small letter. Methods are case-sensitive, but some handlers take delete for DELETE, which would
// be decided by other scopes.
func hasLower(method string) bool {
	return strings.ContainsFunc(method, func(r rune) bool { return r >= 'a' && r <= 'z' })
}

// asDecided is the request as it was decided: the handler must serve that, by the path that was looked up, and not by its spelling.
func asDecided(r *http.Request) *http.Request {
	r = withoutOtherTargets(r)
	if r.URL.RawPath == "" {
		return r
	}
	r = r.WithContext(r.Context())
	u := *r.URL
	u.RawPath, r.URL = "", &u
	return r
}

// withoutOtherTargets is the request without such headers.
func withoutOtherTargets(r *http.Request) *http.Request {
	copied := false
	for _, name := range otherTargets() {
		if _, found := r.Header[name]; !found {
			continue
		}
		if !copied {
			header := r.Header.Clone()
			r = r.WithContext(r.Context())
			r.Header, copied = header, true
		}
		delete(r.Header, name)
	}
	return r
}
