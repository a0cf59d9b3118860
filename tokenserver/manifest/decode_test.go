package manifest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/manifest"
)

func TestDecode(t *testing.T) {
	type value struct {
		A string           `json:"a"`
		B []int            `json:"b"`
		C map[string]value `json:"c"`
	}
	cases := map[string]struct {
		reason, text string
		want         value
		err          string
	}{
		"YAML":               {"", "# c\n---\na: x\nb: [1, 2]\nc:\n  d: {a: z}\n", value{A: "x", B: []int{1, 2}, C: map[string]value{"d": {A: "z"}}}, ""},
		"JSON":               {"", `{"a": "x"}`, value{A: "x"}, ""},
		"nothing":            {"", "# c\n", value{}, "must hold one document, not 0"},
		"two documents":      {"", "a: x\n---\na: z\n", value{}, "must hold one document, not 2"},
		"two of JSON":        {"", `{"a": "x"}{}`, value{}, "must hold one document, not 2"},
		"an unknown field":   {"", "a: x\nc:\n  d:\n    e: 1\n", value{}, "line 4: c.d.e: there is no such field"},
		"another case":       {"", "a: x\nB: []\n", value{}, "line 2: B: there is no such field"},
		"a key given twice":  {"", "a: x\nc:\n  d: {}\n  d: {}\n", value{}, "line 4: c.d: is given twice: also on line 3"},
		"not YAML":           {"", "---\na: x\nb: [\n", value{}, "line 3: is not YAML: did not find expected node content"},
		"a value that fails": {"", "b: x\n", value{}, "cannot unmarshal string into Go struct field value.b of type []int"},
		"aliases that grow": {
			"", "a: &a " + strings.Repeat("x", 1<<20) + "\nb: [" + strings.Repeat("*a,", 100) + "]\n", value{}, "must not grow by more than 8 MiB through aliases (*)",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got value
			err := manifest.Decode([]byte(tc.text), &got)
			said := ""
			if err != nil {
				said = err.Error()
			}
			if said != tc.err {
				t.Errorf("%s: got %q, want %q", tc.reason, said, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); err == nil && diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
