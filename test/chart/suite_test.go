package chart

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

const (
	caNamespace = "tokenwright-ca"
	issuer      = "--set=server.issuer=https://tokens.example.com"
)

// foreignKinds are kinds of others, which the API server of the tests does not have.
var foreignKinds = []string{
	"Certificate.cert-manager.io", "PrometheusRule.monitoring.coreos.com", "ServiceMonitor.monitoring.coreos.com",
}

var plane *controlplane.Plane

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if plane, err = controlplane.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = plane.Stop() }()
	ctx := context.Background()
	for _, name := range []string{SystemNamespace, caNamespace, "authorities", "registry-a", "registry-b", "team-a", "team-b"} {
		if err := plane.CreateNamespace(ctx, name, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// render renders the chart or ends the test.
func render(t *testing.T, args ...string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := Render(args...)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// kustomize builds a folder of config/ or ends the test.
func kustomize(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	return build(t, filepath.Join(controlplane.Root(), "config", folder))
}

// build builds any folder.
func build(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	kubectl := filepath.Join(controlplane.Binaries(), "kubectl")
	var stderr bytes.Buffer
	cmd := exec.Command(kubectl, "kustomize", folder)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kubectl kustomize %s: %v: %s", folder, err, stderr.String())
	}
	objects, err := Objects(out)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// apply applies the objects that the API server has kinds for.
func apply(ctx context.Context, t *testing.T, objects []*unstructured.Unstructured, options ...client.ApplyOption) {
	t.Helper()
	options = append(options, client.FieldOwner("test"), client.ForceOwnership)
	for _, o := range objects {
		if slices.Contains(foreignKinds, kindOf(o)) {
			continue
		}
		if err := plane.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), options...); err != nil {
			t.Errorf("apply %s: %v", nameOf(o), err)
		}
	}
}

func kindOf(o *unstructured.Unstructured) string {
	return o.GetKind() + "." + o.GroupVersionKind().Group
}

func nameOf(o *unstructured.Unstructured) string {
	return strings.Join([]string{kindOf(o), o.GetNamespace(), o.GetName()}, " ")
}

// find returns the object of that kind and name or ends the test.
func find(t *testing.T, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("found no %s %s", kind, name)
	return nil
}

// scenarios are the values files of charts/tokenwright/ci.
func scenarios(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Folder(), "ci", "*-values.yaml"))
	if err != nil || len(files) < 4 {
		t.Fatalf("found %d scenarios, error %v", len(files), err)
	}
	return files
}
