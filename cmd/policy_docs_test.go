package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// block is a part of a page: files begin with a comment that has their name, and what is typed with "$ ".
var block = regexp.MustCompile("(?s)\n```(yaml|console)\n(.*?\n)```\n")

// TestPolicyDocs does what docs/policy-command.md shows, from top to bottom, and compares what comes out.
func TestPolicyDocs(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(controlplane.Root(), "docs", "policy-command.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	status, typed := 0, 0
	for _, b := range block.FindAllStringSubmatch(string(page), -1) {
		if b[1] == "yaml" {
			name, _, _ := strings.Cut(strings.TrimPrefix(b[2], "# "), "\n")
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(b[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var got bytes.Buffer
		for line := range strings.Lines(b[2]) {
			if !strings.HasPrefix(line, "$ ") {
				continue
			}
			args := strings.Fields(line)
			typed++
			got.WriteString(line)
			switch {
			case line == "$ echo $?\n":
				got.WriteString(strconv.Itoa(status) + "\n")
			case args[1] == "tokenwright":
				status = execute(t.Context(), args[2:], &got, &got)
			default:
				t.Fatalf("%q is no command of this program", line)
			}
		}
		if diff := cmp.Diff(b[2], got.String()); diff != "" {
			t.Errorf("(-page +got):\n%s", diff)
		}
	}
	if typed < 10 {
		t.Errorf("only %d commands were found", typed)
	}
}
