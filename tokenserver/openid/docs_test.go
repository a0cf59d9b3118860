package openid_test

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/openid"
)

// TestExamplesOfTheDocumentation checks every provider of type jwt that docs/identityprovider.md shows.
func TestExamplesOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/identityprovider.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, block := range strings.Split(string(page), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for text := range strings.SplitSeq(block, "---\n") {
			var shown struct {
				v1alpha1.IdentityProviderSpec
				Spec v1alpha1.IdentityProviderSpec `json:"spec"`
			}
			if !strings.Contains(text, "jwt:") {
				continue
			}
			if err := yaml.Unmarshal([]byte(text), &shown); err != nil {
				t.Errorf("%v in:\n%s", err, text)
				continue
			}
			for _, spec := range []*v1alpha1.JWTProvider{shown.JWT, shown.Spec.JWT} {
				if spec == nil {
					continue
				}
				found++
				if err := openid.Check(spec); err != nil {
					t.Errorf("%v in:\n%s", err, text)
				}
			}
		}
	}
	if found != 2 {
		t.Errorf("%d examples were found, want 2", found)
	}
}
