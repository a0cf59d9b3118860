package manifest_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/tokenwright/tokenwright/tokenserver/manifest"
)

// TestBounds shows that no text of a bearable size costs an unbearable amount of memory, or is passed over in silence.
func TestBounds(t *testing.T) {
	laughs := "apiVersion: tokenwright.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: a, namespace: ns}\nspec:\n  a: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := range 12 {
		laughs += fmt.Sprintf("  b%d: &a%d [%s*a%d]\n", i, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), i)
	}
	wide := "apiVersion: v1\nkind: List\nitems: []\na: &a " + strings.Repeat("x", 1<<20) + "\nb: [" + strings.Repeat("*a, ", 300_000) + "]\n"
	cases := map[string]struct{ reason, text, want string }{
		"a billion laughs":                    {"each level is ten times the one before", laughs, "must not grow by more than 8 MiB through aliases (*)"},
		"one long text, very often":           {"the library bounds the number of values, not their size", wide, "must not grow by more than 8 MiB through aliases (*)"},
		"a value that holds itself":           {"", good("a") + "  claims: &c\n    x: *c\n", "must not hold an alias (*) of what it stands in"},
		"a merge that holds itself":           {"", "&a\n<<: *a\nx: y\n---\n&b\napiVersion: v1\nkind: Namespace\n<<: *b\n", "must not hold an alias (*) of what it stands in"},
		"lists within lists of YAML":          {"", strings.Repeat("[", 1_000_000), "is not YAML: exceeded max depth of 10000"},
		"lists within lists, with line marks": {"", strings.Repeat("- ", 100_000), "is not YAML: exceeded max depth of 10000"},
		"objects within objects of JSON":      {"", strings.Repeat(`{"a":`, 1_000_000), "is not YAML: exceeded max depth of 10000"},
		"objects of JSON that are closed": {
			"", `{"apiVersion":"v1","kind":"List","items":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}", "is not YAML: exceeded max depth of 10000",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, problems := readText(t, tc.text)
			runtime.ReadMemStats(&after)
			if len(problems) != 1 || problems[0].Message != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, lines(problems), tc.want)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 1024 {
				t.Errorf("%s: %d MiB were used for %d KiB", tc.reason, used, len(tc.text)>>10)
			}
		})
	}
}

// endless is a file without an end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '#'
	}
	e.read += len(p)
	return len(p), nil
}

func TestFileWithoutEnd(t *testing.T) {
	var from endless
	_, problems, err := manifest.Read(manifest.Options{Stdin: &from}, "-")
	if err != nil || len(problems) != 1 || problems[0].Message != "must be at most 128 MiB" {
		t.Errorf("got %v and %s", err, lines(problems))
	}
	if from.read > 300<<20 {
		t.Errorf("%d bytes were read", from.read)
	}
}

// TestLongTexts shows that time grows with the text and not with its square: each of these takes seconds at most.
func TestLongTexts(t *testing.T) {
	merges := "a0: &a0 {x: y}\n"
	for i := range 12 {
		merges += fmt.Sprintf("a%d: &a%d\n  <<: [%s*a%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 7), i)
	}
	cases := map[string]string{
		"merges of merges":  strings.Repeat("---\n"+merges+"<<: *a12\n", 200),
		"comments":          strings.Repeat("# a\n", 200_000) + "a: 1\n",
		"empty documents":   strings.Repeat("---\n", 200_000),
		"directives":        strings.Repeat("# a\n%Y\n", 200_000) + "x\n" + strings.Repeat("%\n", 200_000),
		"small documents":   strings.Repeat("---\na: 1\n", 50_000),
		"unknown aliases":   strings.Repeat("--- [*a]\n", 50_000),
		"JSON, and nothing": strings.Repeat("{}", 50_000),
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) { _, _ = readText(t, text) })
	}
}

var _ io.Reader = &endless{}
