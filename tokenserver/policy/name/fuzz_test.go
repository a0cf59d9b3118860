package name

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var placeholder = regexp.MustCompile(`\$\{[^}]*\}`)

// FuzzParse counts in another way what Parse bounds: placeholders are taken out, and what is left is cut at the separator.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"team-a/**", "a/*/b-*", "${subject.username}/x", "${subject.extra.a/b}/**", "https://*.a/b", "a.*.>", "${", "a//b", "***", "$${subject.username}",
		"${subject.extra.a/../b}/x", "*.*.*.*.>", "a/*b*/c*/**/d", "a.>.b",
	} {
		for g := range uint8(4) {
			f.Add(g, seed)
		}
	}
	f.Fuzz(func(t *testing.T, g uint8, text string) {
		grammar := Grammar(g % 4)
		p, err := Parse(grammar, text)
		if err != nil {
			return
		}
		if p.String() != text || len(p.Segments()) == 0 || len(p.Segments()) > MaxSegments {
			t.Fatalf("%q has %d segments", text, len(p.Segments()))
		}
		for i := range p.Segments() {
			s := &p.Segments()[i]
			if s.Kind() == Literal && (s.Text() == "" || strings.Contains(s.Text(), "*") || strings.Contains(s.Text(), "${")) {
				t.Errorf("%q has the literal segment %q", text, s.Text())
			}
			if s.Kind() == Rest && i < len(p.Segments())-1 {
				t.Errorf("%q goes on behind the rest", text)
			}
		}
		count(t, grammar, text, len(p.Segments()))
		if strings.ContainsAny(text, "*$>") {
			return
		}
		segments, ok := Split(grammar, text, nil)
		if ok && !p.Match(text, segments, &Values{}, false) {
			t.Errorf("%q does not match itself", text)
		}
	})
}

// count holds the bounds, and that stars stand where they may.
func count(t *testing.T, g Grammar, text string, segments int) {
	t.Helper()
	bare, cut := placeholder.ReplaceAllString(text, "x"), []string{""}
	if strings.Contains(bare, "${") {
		t.Errorf("%q holds a placeholder that is not closed", text)
	}
	switch g {
	case Audience:
		cut[0] = bare
	case NATS:
		cut = strings.Split(bare, ".")
	default:
		cut = strings.Split(bare, "/")
	}
	if len(cut) != segments {
		t.Errorf("%q has %d segments, and was read as %d", text, len(cut), segments)
	}
	stars := 0
	for _, segment := range cut {
		wild := strings.Count(segment, "*")
		switch {
		case segment == "", g == Repository && (segment == "." || segment == ".."):
			t.Errorf("%q has the segment %q", text, segment)
		case g == NATS && (wild > 0 || strings.Contains(segment, ">")):
			if segment != "*" && segment != ">" {
				t.Errorf("%q has a wildcard in the token %q", text, segment)
			}
			wild = 1
		case segment == "**" && g != Audience:
			wild = 1
		case strings.Contains(segment, "**"):
			t.Errorf("%q has two stars in the segment %q", text, segment)
		}
		stars += wild
	}
	if stars > MaxStars {
		t.Errorf("%q has %d stars", text, stars)
	}
}

// FuzzSubstitution compares what patterns match with the reference, which puts the values in and makes a regular expression
// of the result: whatever the pattern, the values and the name are, a value means nothing but itself.
func FuzzSubstitution(f *testing.F) {
	seeds := []struct{ pattern, one, other, text string }{
		{"users/${subject.extra.k}/x*", "alice", "bob", "users/alice/x"},
		{"users/${subject.extra.k}/x*", "*", "**", "users/bob/x"},
		{"users/${subject.extra.k}/x*", "a/b", "", "users/a/b/x"},
		{"users/${subject.extra.k}/x*", "${subject.extra.k}", "x", "users/${subject.extra.k}/x"},
		{"${subject.username}/${subject.extra.k}/${subject.username}", "a", "b", "a/b/a"},
		{"a-${subject.extra.k}${subject.extra.l}-*/**", "b/c", "d", "a-b/cd-/x/y"},
		{"**/${subject.extra.none}/**", "a", "b", "a/b"},
		{"u.${subject.extra.k}.>", "a", "b.c", "u.a.x"},
		{"https://${subject.namespace}.*/${subject.extra.k}", "a", "b/c", "https://a.x/b/c"},
		{"${subject.extra.k}", "..", "/", ".."},
	}
	for _, s := range seeds {
		for g := range uint8(4) {
			f.Add(g, s.pattern, s.one, s.other, s.text, g%2 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, g uint8, pattern, one, other, text string, deny bool) {
		grammar := Grammar(g % 4)
		p, err := Parse(grammar, pattern)
		if err != nil {
			return
		}
		segments, ok := Split(grammar, text, nil)
		if !ok {
			return
		}
		v := &Values{Username: one, Namespace: other, Extra: map[string][]string{"k": {one, other}, "l": {other}, "e": {""}}}
		allowed, denied := p.Match(text, segments, v, false), p.Match(text, segments, v, true)
		if allowed && !denied {
			t.Errorf("%q against %q with %+v: allowed but not denied", pattern, text, v)
		}
		for _, s := range []string{one, other, text} {
			if !utf8.ValidString(s) {
				return // a regular expression reads it as something else
			}
		}
		got, want := allowed, reference(grammar, pattern, referenceText(grammar, text), v, false)
		if deny {
			got, want = denied, reference(grammar, pattern, referenceText(grammar, text), v, true)
		}
		if got != want {
			t.Errorf("%q against %q with %+v, deny %v: got %v, want %v", pattern, text, v, deny, got, want)
		}
	})
}
