package cmd

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// named is an entry of a list whose owner may call it anything.
type named struct {
	Name string `json:"name"`
	Of   string `json:"of,omitempty"`
}

var namedListing = listing[named]{
	head: []string{"NAME", "OF"},
	row:  func(n named) []string { return []string{n.Name, n.Of} },
	name: func(n named) string { return n.Name },
}

func TestListings(t *testing.T) {
	both := []named{{"one", "alice"}, {"two", ""}}
	cases := map[string]struct {
		reason  string
		output  string
		entries []named
		want    string
	}{
		"a table":            {"a cell without a value is a dash", outputTable, both, "NAME   OF\none    alice\ntwo    -\n"},
		"names":              {"they are for the arguments of another command", outputName, both, "one\ntwo\n"},
		"JSON":               {"", outputJSON, both[1:], "[\n  {\n    \"name\": \"two\"\n  }\n]\n"},
		"YAML":               {"", outputYAML, both, "- name: one\n  of: alice\n- name: two\n"},
		"a table of nothing": {"there is nothing to have columns for", outputTable, nil, ""},
		"no names":           {"a script gets no argument", outputName, nil, ""},
		"JSON of nothing":    {"a list, and not null", outputJSON, nil, "[]\n"},
		"YAML of nothing":    {"a list, and not null", outputYAML, nil, "[]\n"},
		"a name that would clear the screen": {
			"a terminal does not obey it", outputTable, []named{{"\x1b[2J", "\u202e"}}, "NAME      OF\n\\x1b[2J   \\u202e\n",
		},
		"a name of two lines":                   {"it would pass for two objects", outputName, []named{{"a\nb", ""}}, "a\\nb\n"},
		"a name that would clear it, from JSON": {"a program reads the same", outputJSON, []named{{"\u009b2J", ""}}, "[\n  {\n    \"name\": \"\\u009b2J\"\n  }\n]\n"},
		"a name that turns the line, from YAML": {"JSON is YAML", outputYAML, []named{{"\u202egnp", ""}}, "[\n  {\n    \"name\": \"\\u202egnp\"\n  }\n]\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := namedListing.write(&out, tc.output, tc.entries); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, out.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// full is a disk without room.
type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

// TestAListThatCannotBeWrittenIsAnError: a script must not take what is there of it for the whole.
func TestAListThatCannotBeWrittenIsAnError(t *testing.T) {
	for _, output := range []string{outputTable, outputWide, outputName, outputJSON, outputYAML} {
		if err := namedListing.write(full{}, output, []named{{"one", ""}}); !errors.Is(err, errFull) {
			t.Errorf("%s: got %v", output, err)
		}
	}
}
