package name

import (
	"strings"
	"unicode"
)

// MaxAskedSegments is the number of segments past which a name that is asked for matches nothing.
const MaxAskedSegments = 32

// Split cuts a name that is asked for into segments, which it appends to buf. It says false for what can name nothing:
// empty, longer than MaxLength bytes, more than MaxAskedSegments segments, an empty segment, control characters. A
// repository also has no "*", "." or ".." as registries and their clients would read them as something else. A NATS
// subject has no wildcards: what is granted by a pattern must not be a wider pattern.
func Split(g Grammar, text string, buf []string) ([]string, bool) {
	if text == "" || len(text) > MaxLength {
		return nil, false
	}
	sep, start := separator(g), 0
	for i := range len(text) {
		c := text[i]
		switch {
		case c < ' ' || c == 0x7f || c == '*' && g == Repository:
			return nil, false
		case c == sep:
			if len(buf) >= MaxAskedSegments-1 || !askable(g, text[start:i]) {
				return nil, false
			}
			buf = append(buf, text[start:i])
			start = i + 1
		}
	}
	if !askable(g, text[start:]) {
		return nil, false
	}
	return append(buf, text[start:]), true
}

func askable(g Grammar, segment string) bool {
	switch g {
	case Repository:
		return segment != "" && segment != "." && segment != ".."
	case NATS:
		return segment != "" && !strings.ContainsAny(segment, "*>") && strings.IndexFunc(segment, unicode.IsSpace) < 0
	default:
		return segment != ""
	}
}
