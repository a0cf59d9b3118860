package name

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawPattern draws a pattern with placeholders, and values for them.
func drawPattern(t *rapid.T) (Grammar, Pattern, *Values, bool) {
	g := rapid.SampledFrom([]Grammar{Path, Repository, Audience, NATS}).Draw(t, "grammar")
	separator := "/"
	if g == NATS {
		separator = "."
	}
	piece := rapid.SampledFrom([]string{
		"a", "b", "*", "**", "a*", "${subject.username}", "${subject.extra.k}", "a${subject.extra.k}", "${subject.username}*", "${subject.namespace}",
		"b-${subject.serviceAccount}", "${subject.extra.k}${subject.username}", "a${subject.username}${subject.username}",
	})
	text := strings.Join(rapid.SliceOfN(piece, 1, 5).Draw(t, "pattern"), separator)
	value := rapid.SampledFrom([]string{"a", "b", "ab", "", "a/b", "b/a/b", "*"})
	v := &Values{
		Username: value.Draw(t, "username"), Namespace: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "namespace"), ServiceAccount: "a",
		Extra: map[string][]string{"k": rapid.SliceOfN(value, 0, 2).Draw(t, "k")},
	}
	p, err := Parse(g, text)
	return g, p, v, err == nil
}

// TestWidenMatchesMore shows that who is asked about without all values known is never taken to reach less.
func TestWidenMatchesMore(t *testing.T) {
	matched := 0
	rapid.Check(t, func(t *rapid.T) {
		g, p, v, ok := drawPattern(t)
		if !ok {
			return
		}
		u := Unknown{Subject: rapid.Bool().Draw(t, "subject unknown"), Extra: rapid.Bool().Draw(t, "extra unknown")}
		known := *v
		if u.Subject {
			known.Username, known.Namespace, known.ServiceAccount = "", "", ""
		}
		if u.Extra {
			known.Extra = nil
		}
		text, given := p.Sample(v)
		if !given || rapid.Bool().Draw(t, "another name") {
			text = strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "b-a", "aab"}), 1, 6).Draw(t, "name"), map[bool]string{true: ".", false: "/"}[g == NATS])
		}
		segments, ok := Split(g, text, nil)
		if !ok {
			return
		}
		wide := p.Widen(u)
		was, is := p.Match(text, segments, v, false), wide.Match(text, segments, &known, false)
		if was && !is {
			t.Fatalf("%q matches %q and, widened by %+v, does not", p.String(), text, u)
		}
		if was {
			matched++
		}
		if !p.Placeholders(u) && was != is {
			t.Fatalf("%q has no placeholder for what is unknown (%+v), and matches %q only when widened", p.String(), u, text)
		}
	})
	if matched == 0 {
		t.Error("no pattern matched: this shows nothing")
	}
}

// TestSampleMatches shows that a pattern matches the sample of it.
func TestSampleMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, p, v, ok := drawPattern(t)
		if !ok {
			return
		}
		text, ok := p.Sample(v)
		if !ok {
			return
		}
		segments, ok := Split(g, text, nil)
		if ok && !p.Match(text, segments, v, false) {
			t.Fatalf("%q does not match its sample %q", p.String(), text)
		}
	})
}

func TestWiden(t *testing.T) {
	all, extraOnly := Unknown{Subject: true, Extra: true}, Unknown{Extra: true}
	cases := map[string]struct {
		reason  string
		grammar Grammar
		pattern string
		unknown Unknown
		// matches and others are names that the widened pattern matches, and does not.
		matches, others []string
	}{
		"the name of the caller":    {"it stays within its segment and its text", Repository, "team/dev-${subject.username}/x", all, []string{"team/dev-a/x"}, []string{"team/a/x", "team/dev-a/b/x", "team/x"}},
		"a value with segments":     {"", Repository, "team/${subject.extra.path}/x", all, []string{"team/a/x", "team/a/b/x"}, []string{"team/a", "b/a/x"}},
		"one known, one not":        {"", Repository, "${subject.username}/${subject.extra.path}", extraOnly, []string{"alice/a", "alice/a/b"}, []string{"bob/a"}},
		"both in one segment":       {"", Path, "${subject.extra.k}-${subject.username}", Unknown{Subject: true}, []string{"x-bob", "y-bob"}, []string{"z-bob", "x"}},
		"a token of a subject":      {"", NATS, "a.${subject.extra.k}.>", all, []string{"a.b.c"}, []string{"a.b", "b.b.c"}},
		"a part of a token":         {"", NATS, "a.u-${subject.username}", all, []string{"a.u-x"}, []string{"a.x"}},
		"a part of an audience":     {"", Audience, "https://${subject.extra.k}.example.com/", all, []string{"https://a.b.example.com/"}, []string{"https://example.com/"}},
		"nothing that is not known": {"", Repository, "${subject.username}/*", Unknown{Extra: true}, []string{"alice/x"}, []string{"bob/x"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := Parse(tc.grammar, tc.pattern)
			if err != nil {
				t.Fatal(err)
			}
			wide := p.Widen(tc.unknown)
			v := &Values{Username: "alice", Extra: map[string][]string{"k": {"x", "y"}}}
			for want, names := range map[bool][]string{true: tc.matches, false: tc.others} {
				for _, text := range names {
					segments, ok := Split(tc.grammar, text, nil)
					if got := ok && wide.Match(text, segments, v, false); got != want {
						t.Errorf("%s: %q matches: %v, want %v", tc.reason, text, got, want)
					}
				}
			}
		})
	}
}

func TestSample(t *testing.T) {
	cases := map[string]struct {
		grammar       Grammar
		pattern, want string
	}{
		"open at the end":        {Repository, "team-a/**", "team-a/x"},
		"open in the midst":      {Repository, "team-a/*/app-*", "team-a/x/app-x"},
		"the caller's values":    {Repository, "${subject.username}/${subject.extra.path}", "alice/org/repo"},
		"no such value":          {Repository, "${subject.extra.nothing}/a", ""},
		"a value that is no use": {Repository, "a/${subject.extra.empty}", ""},
		"a subject":              {NATS, "a.*.>", "a.x.x"},
		"an audience":            {Audience, "https://*/", "https://x/"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := Parse(tc.grammar, tc.pattern)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := p.Sample(values()); got != tc.want || ok != (tc.want != "") {
				t.Errorf("got %q, %v, want %q", got, ok, tc.want)
			}
		})
	}
}
