// Package docs holds the documentation to what there is.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

var (
	row      = regexp.MustCompile(`(?m)^\| (\d+) \|.*\| (.*) \|$`)
	named    = regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")
	declared = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(t \*testing\.T\)`)
)

// TestEveryInvariantNamesItsTests reads docs/signing-keys.md: each of the eleven invariants has a test, and every test that
// the page names exists.
func TestEveryInvariantNamesItsTests(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(controlplane.Root(), "docs", "signing-keys.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := row.FindAllStringSubmatch(string(page), -1)
	if len(rows) != 11 {
		t.Fatalf("the table has %d invariants, the design 11", len(rows))
	}
	for _, r := range rows {
		if len(named.FindAllString(r[2], -1)) == 0 {
			t.Errorf("invariant %s names no test", r[1])
		}
	}
	there := tests(t)
	for _, name := range named.FindAllStringSubmatch(string(page), -1) {
		if !there[name[1]] {
			t.Errorf("the page names %s, which does not exist", name[1])
		}
	}
}

// tests are the names of all tests of the project.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	there := map[string]bool{}
	err := filepath.WalkDir(controlplane.Root(), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "bin" || strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, found := range declared.FindAllStringSubmatch(string(text), -1) {
			there[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}
