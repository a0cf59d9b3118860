package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// team is what most tests below `policy` ask: a platform's policies, and those of namespace team-a.
const team = `
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: everybody-pulls}
spec:
  subjects: [{kind: Group, name: "system:authenticated"}, {kind: Group, name: "system:unauthenticated"}]
  rules: [{type: repository, names: ["public/**"], actions: [pull]}]
---
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: freeze}
spec:
  effect: Deny
  subjects: [{kind: Group, name: "system:authenticated"}]
  rules: [{type: repository, names: ["*/releases/**"], actions: [push, delete]}]
---
apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: devs, namespace: team-a}
spec:
  subjects: [{kind: Group, name: devs}, {kind: ServiceAccount, name: ci, namespace: team-a}]
  rules: [{type: repository, names: ["team-a/**"], actions: [pull, push]}]
---
apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: office, namespace: team-a}
spec:
  subjects: [{kind: User, name: alice}]
  audiences: [registry.example.com]
  rules: [{type: repository, names: ["team-a/**"], actions: ["*"]}]
  when: {sourceRanges: [10.0.0.0/8], notAfter: "2099-01-01T00:00:00Z"}
`

// albums are resources of namespace team-a, and belong to alice. The younger of the id is not served.
const albums = `
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: holiday, namespace: team-a}
spec: {type: album, id: holiday, audience: registry.example.com, owner: alice, ownerManagedAccess: Allowed, scopes: [view, share]}
---
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: thief, namespace: team-a}
spec: {type: album, id: holiday, audience: registry.example.com, owner: mallory, ownerManagedAccess: Allowed, scopes: [view, share]}
---
apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: nobody-shares, namespace: team-a}
spec:
  effect: Deny
  subjects: [{kind: Group, name: "system:authenticated"}]
  rules: [{type: album, names: ["**"], actions: [share]}]
`

// keys hold two audiences, one of which admits only namespaces with a label.
const keys = `
apiVersion: tokenwright.dev/v1alpha1
kind: SigningKey
metadata: {name: registry, namespace: tokenwright-system}
spec: {audiences: [registry.example.com]}
---
apiVersion: tokenwright.dev/v1alpha1
kind: SigningKey
metadata: {name: closed, namespace: tokenwright-system}
spec: {audiences: [closed.example.com], namespaces: {from: Selector, selector: {matchLabels: {registry: closed}}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: team-a}
---
apiVersion: v1
kind: Namespace
metadata: {name: team-b, labels: {registry: closed}}
`

// folder writes files, by their paths, and returns where they are.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// policyCase is one call of `tokenwright policy`. In args, and in what is expected, DIR stands for the folder of the files.
type policyCase struct {
	reason string
	files  map[string]string
	args   []string
	want   output
}

func (tc policyCase) run(t *testing.T) {
	t.Helper()
	dir := folder(t, tc.files)
	args := []string{"policy"}
	for _, arg := range tc.args {
		args = append(args, strings.ReplaceAll(arg, "DIR", dir))
	}
	var stdout, stderr bytes.Buffer
	got := output{Status: execute(t.Context(), args, &stdout, &stderr)}
	got.Stdout, got.Stderr = strings.ReplaceAll(stdout.String(), dir, "DIR"), strings.ReplaceAll(stderr.String(), dir, "DIR")
	if diff := cmp.Diff(tc.want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
	}
}

// with adds files to the usual ones.
func with(more map[string]string) map[string]string {
	files := map[string]string{"team.yaml": team, "keys.yaml": keys}
	for name, text := range more {
		files[name] = text
	}
	return files
}
