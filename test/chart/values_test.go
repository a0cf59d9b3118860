package chart

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

func TestHelmLint(t *testing.T) {
	helm := filepath.Join(controlplane.Root(), "bin", "tools", "helm")
	for _, file := range scenarios(t) {
		out, err := exec.Command(helm, "lint", "--strict", "--kube-version="+oldestKubernetes, "--values="+file, Folder()).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", filepath.Base(file), err, out)
		}
	}
}

// The schema knows the values of values.yaml and no others: one that it lacks could not be set, one that it has beside
// them would be set in vain.
func TestSchemaKnowsTheValuesAndNoOthers(t *testing.T) {
	known := schemaPaths(t)
	if diff := cmp.Diff(valuePaths("", values(t), known), known); diff != "" {
		t.Errorf("(-values.yaml +values.schema.json):\n%s", diff)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Folder(), name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func values(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := yaml.Unmarshal(read(t, "values.yaml"), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// schemaPaths are the leaves of the schema, in order.
func schemaPaths(t *testing.T) []string {
	t.Helper()
	var schema map[string]any
	if err := json.Unmarshal(read(t, "values.schema.json"), &schema); err != nil {
		t.Fatal(err)
	}
	// Helm itself puts `global` into the values of a chart that is part of another.
	return slices.DeleteFunc(leavesOf("", schema), func(path string) bool { return path == ".global" })
}

// leavesOf are the paths of what has no properties of its own.
func leavesOf(prefix string, schema map[string]any) []string {
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return []string{prefix}
	}
	var paths []string
	for name, property := range properties {
		paths = append(paths, leavesOf(prefix+"."+name, property.(map[string]any))...)
	}
	slices.Sort(paths)
	return paths
}

// valuePaths are the paths of the values down to scalars and lists, or to what is one of the leaves.
func valuePaths(prefix string, value any, leaves []string) []string {
	children, ok := value.(map[string]any)
	if !ok || len(children) == 0 || slices.Contains(leaves, prefix) {
		return []string{prefix}
	}
	var paths []string
	for name, child := range children {
		paths = append(paths, valuePaths(prefix+"."+name, child, leaves)...)
	}
	slices.Sort(paths)
	return paths
}
