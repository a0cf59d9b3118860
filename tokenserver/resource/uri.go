package resource

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// isPlaceholder says whether a segment of a uri stands for any segment.
func isPlaceholder(segment string) bool {
	return len(segment) > 2 && segment[0] == '{' && segment[len(segment)-1] == '}'
}

// URIProblem says what is wrong with a uri; nothing if all is well.
func URIProblem(uri string) string {
	rest := uri
	for _, scheme := range []string{"https://", "http://"} {
		if after, found := strings.CutPrefix(uri, scheme); found {
			host, path, found := strings.Cut(after, "/")
			switch {
			case host == "" || !found:
				return "must have a host and a path after the scheme"
			case strings.ContainsAny(host, "{}*"):
				return "must have no placeholder in the host"
			}
			rest = "/" + path
			break
		}
	}
	switch {
	case uri == "" || utf8.RuneCountInString(uri) > maxURI || !utf8.ValidString(uri):
		return "must be 1 to 512 characters"
	case !strings.HasPrefix(rest, "/"):
		return "must begin with /, or be an absolute URI"
	case strings.ContainsAny(uri, "?# ") || strings.ContainsFunc(uri, control):
		return "must have no query, fragment, blank or control character"
	case strings.Contains(uri, "*") && (strings.Index(uri, "*") != len(uri)-1 || !strings.HasSuffix(uri, "/*")):
		return "may have * only as its last segment"
	}
	if n := strings.Count(uri, "{"); n > maxPlaceholders || n > 0 && strings.Count(uri, "/") > maxSlashes {
		return fmt.Sprintf("may have at most %d placeholders, and then %d slashes", maxPlaceholders, maxSlashes)
	}
	for segment := range strings.SplitSeq(rest, "/") {
		switch {
		case segment == "." || segment == "..":
			return "must not have . or .. as a segment: no path that was cleaned has one"
		case strings.ContainsAny(segment, "{}") && !placeholderName(segment):
			return "may have { and } only around a name of letters, digits, dots, dashes and underscores that is a whole segment"
		}
	}
	return ""
}

// placeholderName says whether the segment is {name}.
func placeholderName(segment string) bool {
	return isPlaceholder(segment) && !strings.ContainsFunc(segment[1:len(segment)-1], func(r rune) bool {
		return !alphanumeric(r) && !strings.ContainsRune("._-", r)
	})
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
