package manifest_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/manifest"
)

// FuzzRead shows that no text stops the reader or takes a document before or behind it away, that the places it tells of
// are in the file, and that it finds the same each time.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"", good("a"), "kind: [", "%YAML 1.2\n", "...", "--- |\n---\n", `{"kind": "List", "apiVersion": "v1", "items": [{}, 1]}{`, "&a [*a]", "<<: *a", "? a\n: b\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\nstringData: {a: b}\ndata: {c: ZA==}\n",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: ns, labels: {1: a, yes: b}}\n",
		"apiVersion: tokenwright.dev/v1alpha1\nkind: SigningKeyList\nitems: [{spec: {audiences: [a]}}, &x {metadata: {name: a}}, *x]\n",
		"apiVersion: tokenwright.dev/v1alpha1\nkind: ClusterAccessPolicy\nmetadata: {name: a}\nspec: {claims: [{name: x, value: {a: 1.10}}], subjects: []}\n",
		"apiVersion: tokenwright.dev/v1alpha1\nkind: IdentityProvider\nmetadata: {name: a, namespace: ns}\nspec: {htpasswd: {secretRef: {name: a}}, kubernetes: {}}\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "around") {
			return
		}
		all := good("around-a") + "---\n" + text + "\n---\n" + good("around-b")
		set, problems := readText(t, all)
		end := bytes.Count([]byte(all), []byte("\n")) + 1
		var around []string
		for _, p := range set.AccessPolicies {
			if strings.HasPrefix(p.Name, "around") {
				around = append(around, p.Name)
			}
			at := set.Source(p)
			for _, path := range []string{"", "spec.rules[0].names[0]", "spec.nothing", text} {
				if line := at.LineOf(path); line < at.Line && path != text || line < 1 || line > end {
					t.Errorf("%q stands on line %d", path, line)
				}
			}
		}
		if diff := cmp.Diff([]string{"around-a", "around-b"}, around); diff != "" {
			t.Errorf("a document took another with it (-want +got):\n%s", diff)
		}
		for _, p := range problems {
			if p.File != manifest.StdinName || p.Line < 1 || p.Line > end || p.Message == "" {
				t.Errorf("a problem that helps nobody: %+v", p)
			}
		}
		again, problemsAgain := readText(t, all)
		if diff := cmp.Diff(lines(problems)+names(set), lines(problemsAgain)+names(again)); diff != "" {
			t.Errorf("read again (-want +got):\n%s", diff)
		}
	})
}
