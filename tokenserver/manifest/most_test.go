package manifest

import (
	"fmt"
	"testing"
)

// TestNumberOfObjects shows that the number of objects is bounded, over all files and lists, and that this is a problem.
func TestNumberOfObjects(t *testing.T) {
	kinds, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{kinds: kinds, set: newSet(), seen: map[Ref]Source{}, most: 3}
	text := ""
	for i := range 4 {
		text += fmt.Sprintf("---\napiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Namespace, metadata: {name: ns-%d}}]\n", i)
	}
	r.file("a", []byte(text))
	r.file("b", []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n"))
	if len(r.set.Namespaces) != 3 || len(r.problems) != 1 || r.problems[0].Line != 16 || r.problems[0].Name != "ns-3" {
		t.Errorf("%d objects, and %+v", len(r.set.Namespaces), r.problems)
	}
}
