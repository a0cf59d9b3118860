package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestCases(t *testing.T) {
	cases := map[string]struct {
		reason    string
		got, want Case
	}{
		"a share that is reached": {
			"the target is part of it", share("a", 8500, 10_000, 0.85, 0.85, ""),
			Case{Name: "a", Value: 8500, Unit: "tokens/s", Limit: 10_000, Ratio: 0.85, Target: 0.85, Met: true},
		},
		"a share that is missed": {
			"figures are rounded, the verdict is not", share("a", 8499.96, 10_000, 0.849996, 0.85, ""),
			Case{Name: "a", Value: 8500, Unit: "tokens/s", Limit: 10_000, Ratio: 0.85, Target: 0.85},
		},
		"at most": {
			"as much as allowed is allowed", atMost("a", 20, 20, "s", ""),
			Case{Name: "a", Value: 20, Unit: "s", Limit: 20, Ratio: 1, Target: 1, Met: true},
		},
		"too much": {"", atMost("a", 25, 20, "s", ""), Case{Name: "a", Value: 25, Unit: "s", Limit: 20, Ratio: 1.25, Target: 1}},
		"none, as it must be": {
			"there is no share of nothing", atMost("a", 0, 0, "tokens", ""), Case{Name: "a", Unit: "tokens", Ratio: 1, Target: 1, Met: true},
		},
		"some where there must be none": {"", atMost("a", 2, 0, "tokens", ""), Case{Name: "a", Value: 2, Unit: "tokens", Ratio: 3, Target: 1}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.got, cmpopts.IgnoreUnexported(Case{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestReportIsReadByScripts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "bench.json")
	r := Report{Machine: Machine{CPU: "x", Cores: 2}, Cases: []Case{share("a", 1, 2, 0.5, 0.85, "a note")}}
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := []any{map[string]any{"name": "a", "value": 1.0, "unit": "tokens/s", "limit": 2.0, "ratio": 0.5, "target": 0.85, "met": false}}
	if diff := cmp.Diff(want, got["cases"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var table strings.Builder
	if err := r.print(&table); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "NO") || !strings.Contains(table.String(), "a note") {
		t.Errorf("the table does not say what was missed:\n%s", table.String())
	}
}
