package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

var section = regexp.MustCompile(`(?m)^## (.*)$`)

// TestEveryKindHasItsPage holds that each kind has a page with the sections of the others, in their order, that its page speaks
// of every field of the spec, and that the README's table knows it.
func TestEveryKindHasItsPage(t *testing.T) {
	bases, err := filepath.Glob(filepath.Join(controlplane.Root(), "config", "crd", "bases", "*.yaml"))
	if err != nil || len(bases) < 8 {
		t.Fatalf("found %d kinds, error %v", len(bases), err)
	}
	readme := text(t, "README.md")
	for _, base := range bases {
		relative, err := filepath.Rel(controlplane.Root(), base)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict([]byte(text(t, relative)), &crd); err != nil {
			t.Fatalf("read %s: %v", relative, err)
		}
		names := crd.Spec.Names
		t.Run(names.Kind, func(t *testing.T) {
			page := "docs/" + names.Singular + ".md"
			if row := "| [" + names.Kind + "](" + page + ") | "; !strings.Contains(readme, row) {
				t.Errorf("the README's table has no row that begins with %q", row)
			}
			content := text(t, page)
			var got []string
			for _, found := range section.FindAllStringSubmatch(content, -1) {
				got = append(got, found[1])
			}
			if diff := cmp.Diff([]string{"Example", "Fields", "Working with it", "Debugging", "Status"}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", page, diff)
			}
			if !strings.Contains(content, "`"+names.ShortNames[0]+"`") {
				t.Errorf("%s does not say that the short name is %s", page, names.ShortNames[0])
			}
			for field := range crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties {
				if !regexp.MustCompile(`spec\.` + field + `\b`).MatchString(content) {
					t.Errorf("%s does not speak of spec.%s", page, field)
				}
			}
		})
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(controlplane.Root(), filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
