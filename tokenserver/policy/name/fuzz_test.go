package name

import (
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"team-a/**", "a/*/b-*", "${subject.username}/x", "${subject.extra.a/b}/**", "https://*.a/b", "a.*.>", "${", "a//b", "***",
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
		}
		if strings.ContainsAny(text, "*$>") {
			return
		}
		segments, ok := Split(grammar, text, nil)
		if ok && !p.Match(text, segments, &Values{}, false) {
			t.Errorf("%q does not match itself", text)
		}
	})
}

// FuzzSubstitution holds that a value means nothing but itself: whatever a placeholder matches is what the pattern with
// the value's characters in its place would match if they had no meaning.
func FuzzSubstitution(f *testing.F) {
	f.Add("alice", "users/alice/x")
	f.Add("*", "users/bob/x")
	f.Add("a/b", "users/a/b/x")
	f.Add("${subject.extra.k}", "users/${subject.extra.k}/x")
	f.Fuzz(func(t *testing.T, value, text string) {
		p, err := Parse(Path, "users/${subject.extra.k}/x*")
		if err != nil {
			t.Fatal(err)
		}
		segments, ok := Split(Path, text, nil)
		if !ok {
			return
		}
		v := &Values{Extra: map[string][]string{"k": {value}}}
		allowed, denied := p.Match(text, segments, v, false), p.Match(text, segments, v, true)
		last := segments[len(segments)-1]
		want := value != "" && strings.HasPrefix(last, "x") && text == "users/"+value+"/"+last
		if allowed != want {
			t.Errorf("value %q, name %q: got %v, want %v", value, text, allowed, want)
		}
		if allowed && !denied {
			t.Errorf("value %q, name %q: allowed but not denied", value, text)
		}
	})
}
