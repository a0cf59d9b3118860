package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

var yamlBlock = regexp.MustCompile("(?s)\n```yaml\n(.*?\n)```\n")

// TestMigrationPageShowsTheFiles holds docs/migrating-from-docker_auth.md to the manifests and cases that are tested: it
// shows all of them, in their order, and nothing else.
func TestMigrationPageShowsTheFiles(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(controlplane.Root(), "docs", "migrating-from-docker_auth.md"))
	if err != nil {
		t.Fatal(err)
	}
	var manifests, cases []string
	for _, b := range yamlBlock.FindAllStringSubmatch(string(page), -1) {
		if strings.HasPrefix(b[1], "- {name: ") {
			cases = append(cases, strings.Split(strings.TrimSpace(b[1]), "\n")...)
		} else {
			manifests = append(manifests, b[1])
		}
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(controlplane.Root(), "test", "migration", "docker_auth", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	wantManifests := []string{read("signingkey.yaml")}
	var wantCases []string
	for _, name := range []string{"acl", "labels"} {
		for _, d := range strings.Split(read(name+".yaml"), "---\n") {
			_, body, _ := strings.Cut(d, "\n") // without the comment that has the number of the rule
			wantManifests = append(wantManifests, body)
		}
		for line := range strings.Lines(read(name + "_tests.yaml")) {
			if strings.HasPrefix(line, "- ") {
				wantCases = append(wantCases, strings.TrimSpace(line))
			}
		}
	}
	if diff := cmp.Diff(wantManifests, manifests); diff != "" {
		t.Errorf("manifests (-files +page):\n%s", diff)
	}
	if diff := cmp.Diff(wantCases, cases); diff != "" {
		t.Errorf("cases (-files +page):\n%s", diff)
	}
}
