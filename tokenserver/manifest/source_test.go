package manifest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/tokenwright/tokenwright/tokenserver/manifest"
)

// TestLineOf shows where fields are said to stand: on their line, or on that of the nearest parent.
func TestLineOf(t *testing.T) {
	const text = `# a comment
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata:
  name: a
  annotations:
    example.com/key: x
spec:
  subjects:
  - &alice
    kind: User
    name: alice
  - *alice
  - <<: *alice
    kind: Group
  rules:
  - type: repository
    names:
    - a/**
    - "b/**"
    actions: [pull, push]
  - {type: registry, names: [catalog],
     actions: ["*"]}
  when:
    expression: |-
      true &&
      true
`
	set, problems := readText(t, "---\n---\n"+text)
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	at := set.Source(set.ClusterAccessPolicies[0])
	want := map[string]int{
		"": 4, "metadata.name": 7, "metadata.annotations[example.com/key]": 9, "metadata.annotations[other]": 8, "metadata.labels[a]": 6,
		"spec": 10, "spec.subjects[0].name": 14, "spec.subjects[1].name": 14, "spec.subjects[2].name": 14, "spec.subjects[2].kind": 17,
		"spec.rules[0].names[1]": 22, "spec.rules[0].names[7]": 20, "spec.rules[0].actions[1]": 23, "spec.rules[1].actions[0]": 25,
		"spec.rules[1].names": 24, "spec.rules[9]": 18, "spec.when.expression": 27, "spec.when.expression.deeper": 27, "spec.offlineAccess.maxLifetime": 10,
		"nothing": 4, "[": 4, "spec.rules[x]": 18, "..spec..rules": 18, "spec.rules[-1]": 18, "spec.rules[99999999999999999999]": 18,
	}
	got := map[string]int{}
	for path := range want {
		got[path] = at.LineOf(path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLineOfJSON shows the same for JSON, and for what a list holds.
func TestLineOfJSON(t *testing.T) {
	set, problems := readText(t, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "first"}}
{
	"apiVersion": "v1", "kind": "List", "items": [
		{"apiVersion": "v1", "kind": "Namespace", "metadata": {
			"name": "\ud83d\ude00",
			"name": "x"
		}},
		{"apiVersion": "v1", "kind": "Namespace", "metadata": {
			"name": "second", "labels": {
				"\u0061": "b"}}}]
}`)
	if diff := cmp.Diff("<stdin>:6: Namespace /😀: metadata.name: is given twice: also on line 5\n", lines(problems)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("ns /first@1 ns /second@8", names(set)); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if line := set.Source(set.Namespaces[1]).LineOf("metadata.labels.a"); line != 10 {
		t.Errorf("the label stands on line 10, not %d", line)
	}
}

// TestSourceOfAnother shows that an object which is not of the set stands nowhere.
func TestSourceOfAnother(t *testing.T) {
	set, _ := readText(t, good("a"))
	at := set.Source(&corev1.Namespace{})
	if at != (manifest.Source{}) || at.LineOf("metadata.name") != 0 {
		t.Errorf("got %v", at)
	}
}
