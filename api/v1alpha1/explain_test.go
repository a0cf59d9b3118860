package v1alpha1_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// TestEveryFieldIsDescribed shows that `kubectl explain` has something to say about every field of every kind.
func TestEveryFieldIsDescribed(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			fields := 0
			walk("", schemaOf(t, k), func(path string, s apiextensionsv1.JSONSchemaProps) {
				fields++
				if isItem := strings.HasSuffix(path, "[]"); !isItem && strings.TrimSpace(s.Description) == "" {
					t.Errorf("field %q has no description", path)
				}
			})
			if fields < 10 {
				t.Errorf("walked %d fields only", fields)
			}
		})
	}
}

// TestExplain shows that kubectl itself finds the descriptions.
func TestExplain(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, plane.Environment.KubeConfig, 0o600); err != nil {
		t.Fatalf("write a kubeconfig: %v", err)
	}
	cases := map[string]struct {
		reason, path, want string
	}{
		"a policy's spec":       {"the first thing that a tenant looks up", "accesspolicy.spec", "subjects are who the policy speaks of"},
		"a policy's rules":      {"by short name, down a list", "apol.spec.rules", "names match the resources"},
		"a claim":               {"a value of any type has a description too", "capol.spec.claims", "value is any JSON value"},
		"a key's rotation":      {"within an object that has a default", "skey.spec.rotation", "publishAhead is how long a key is public"},
		"a provider's status":   {"what the manager writes", "idp.status", "observedGeneration is the generation"},
		"a record's owner":      {"who got the token", "itok.spec.subject", "username is the user's name, with the provider's prefix"},
		"a revoked subject":     {"what a person writes", "trev.spec.subject", "issuedBefore is the time until which tokens are revoked"},
		"a resource's uris":     {"what placeholders are", "pres.spec.uris", "uris are where the resource server has the resource"},
		"a request's decision":  {"what an owner writes", "preq.status", "scopes are those of the requested ones that are approved"},
		"a cluster-wide policy": {"the kind itself", "clusteraccesspolicy", "grants or denies anywhere"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out := explain(t, kubeconfig, c.path)
			// kubectl breaks lines where it likes.
			said := strings.Join(strings.Fields(out), " ")
			if !strings.Contains(said, c.want) || strings.Contains(said, "<no description>") {
				t.Errorf("%s: want %q and no field without a description, got:\n%s", c.reason, c.want, out)
			}
		})
	}
}

// explain runs kubectl explain. The API server publishes the schema of a new kind some time after it serves the kind.
func explain(t *testing.T, kubeconfig, path string) string {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		kubectl := exec.CommandContext(t.Context(), filepath.Join(controlplane.Binaries(), "kubectl"),
			"--kubeconfig", kubeconfig, "--cache-dir", t.TempDir(), "explain", path)
		out, err := kubectl.CombinedOutput()
		if err == nil {
			return string(out)
		}
		if time.Now().After(deadline) {
			t.Fatalf("kubectl explain %s: %v\n%s", path, err, out)
		}
	}
}
