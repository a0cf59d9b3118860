package cmd

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPrintable(t *testing.T) {
	cases := map[string]struct{ reason, text, want string }{
		"plain":                      {"", "team-a/app: Zoë 😀 \"x\"", "team-a/app: Zoë 😀 \"x\""},
		"an escape sequence":         {"it would clear the screen", "\x1b[2J", `\x1b[2J`},
		"one of 8 bits":              {"some terminals take it for one", "\u009b2J", `\u009b2J`},
		"lines":                      {"it would look like another answer", "no\nyes\r", `no\nyes\r`},
		"text from right to left":    {"it would be read the other way round", "\u202egnp", `\u202egnp`},
		"what cannot be seen":        {"", "a\u200bb\u00a0\x00\x7f", `a\u200bb\u00a0\x00\x7f`},
		"bytes that are no text":     {"", "a\xffb", `a\xffb`},
		"tabs":                       {"they would shift columns", "a\tb", `a\tb`},
		"a sign beyond 16 bits":      {"", "\U000e0041", `\U000e0041`},
		"the replacement character":  {"it is one", "\ufffd", "\ufffd"},
		"what looks like an escape":  {"it is left as it is", `\x1b`, `\x1b`},
		"nothing":                    {"", "", ""},
		"a sequence that breaks off": {"", "é\xc3", "é\\xc3"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, printable(tc.text)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestOutputIsHarmless shows that nothing but printable text and the ends of lines gets out, and that JSON says what it said.
func TestOutputIsHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("\x1b\u009b\n\r\x00\u202ea\u2028\U000e0041")))).Draw(t, "text")
		var out bytes.Buffer
		p := printer{&out}
		p.line("%s", text)
		p.table([][]string{{text, text}, {"a", ""}})
		lines := out.Len()
		if err := p.json(map[string]string{"text": text, text: ""}); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("%q gets out: %q", r, out.String())
			}
		}
		if got := strings.Count(out.String()[:lines], "\n"); got != 3 {
			t.Fatalf("%d lines, want 3", got)
		}
		var back map[string]string
		if err := json.Unmarshal(out.Bytes()[lines:], &back); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); text != "text" && back["text"] != want {
			t.Fatalf("got %q, want %q", back["text"], want)
		}
	})
}
