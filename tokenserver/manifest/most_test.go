package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestNumberOfObjects shows that the number of objects is bounded, over all files and lists, and that this is a problem.
func TestNumberOfObjects(t *testing.T) {
	r := NewReader(Options{})
	r.most = 3
	text := ""
	for i := range 4 {
		text += fmt.Sprintf("---\napiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Namespace, metadata: {name: ns-%d}}]\n", i)
	}
	folder := t.TempDir()
	for name, text := range map[string]string{"a.yaml": text, "b.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, problems, err := r.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Namespaces) != 3 || len(problems) != 1 || problems[0].Line != 16 || problems[0].Name != "ns-3" {
		t.Errorf("%d objects, and %+v", len(set.Namespaces), problems)
	}
}
