package resource

import (
	"cmp"
	"slices"
	"strings"
)

// uris finds resources by where they are.
type uris struct {
	// exact are all uris as they are written, also patterns.
	exact map[string]*Resource
	// patterns are those with {name} or /*, the most specific first.
	patterns []pattern
}

// pattern is a uri with {name} or /*.
type pattern struct {
	text     string
	segments []string
	// rest says that anything may follow.
	rest bool
	// literal is how long the beginning without a placeholder is.
	literal  int
	resource *Resource
}

// add gives the uri to the resource, unless somebody holds it.
func (u *uris) add(text string, r *Resource) {
	if u.exact[text] != nil {
		return
	}
	u.exact[text] = r
	trimmed, rest := strings.CutSuffix(text, "/*")
	if !rest && !strings.Contains(text, "{") {
		return
	}
	literal := len(trimmed)
	if at := strings.IndexByte(trimmed, '{'); at >= 0 {
		literal = at
	}
	u.patterns = append(u.patterns, pattern{text, strings.Split(trimmed, "/"), rest, literal, r})
}

func (u *uris) finish() {
	slices.SortFunc(u.patterns, func(a, b pattern) int {
		return cmp.Or(
			cmp.Compare(b.literal, a.literal), cmp.Compare(len(b.segments), len(a.segments)), compareBool(a.rest, b.rest),
			strings.Compare(a.text, b.text),
		)
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (u *uris) match(path string) *Resource {
	if r := u.exact[path]; r != nil {
		return r
	}
	segments := strings.Split(path, "/")
	for i := range u.patterns {
		if u.patterns[i].fits(segments) {
			return u.patterns[i].resource
		}
	}
	return nil
}

// fits compares segment by segment. A placeholder stands for one segment that is not empty.
func (p *pattern) fits(segments []string) bool {
	if len(segments) < len(p.segments) || !p.rest && len(segments) > len(p.segments) {
		return false
	}
	for i, s := range p.segments {
		if s != segments[i] && (!isPlaceholder(s) || segments[i] == "") {
			return false
		}
	}
	return true
}

func isPlaceholder(segment string) bool {
	return len(segment) > 2 && segment[0] == '{' && segment[len(segment)-1] == '}'
}

// URIProblem says what is wrong with a uri; nothing if all is well.
func URIProblem(uri string) string {
	rest := uri
	for _, scheme := range []string{"https://", "http://"} {
		if after, found := strings.CutPrefix(uri, scheme); found {
			host, path, _ := strings.Cut(after, "/")
			if host == "" {
				return "must have a host after the scheme"
			}
			rest = "/" + path
			break
		}
	}
	switch {
	case uri == "" || len(uri) > 512:
		return "must be 1 to 512 characters"
	case !strings.HasPrefix(rest, "/"):
		return "must begin with /, or be an absolute URI"
	case strings.ContainsAny(uri, "?# ") || strings.ContainsFunc(uri, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "must have no query, fragment, blank or control character"
	case strings.Contains(uri, "*") && (strings.Index(uri, "*") != len(uri)-1 || !strings.HasSuffix(uri, "/*")):
		return "may have * only as its last segment"
	}
	return ""
}
