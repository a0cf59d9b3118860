package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// config/ and the chart are two ways to the same objects: what one gains the other must gain too.
func TestConfigMakesWhatTheChartMakes(t *testing.T) {
	fromChart := normalised(render(t, issuer, "--set=serviceMonitor.enabled=true,prometheusRule.enabled=true"))
	fromConfig := normalised(append(kustomize(t, "default"), kustomize(t, "prometheus")...))
	// Helm makes the release's namespace itself (--create-namespace).
	delete(fromConfig, "Namespace.  "+SystemNamespace)
	if diff := cmp.Diff(fromConfig, fromChart); diff != "" {
		t.Errorf("config/default and config/prometheus differ from the chart (-config +chart):\n%s", diff)
	}
}

// config/uma is a component: it is switched on where an overlay names it.
func TestTheUMAComponentMakesWhatTheChartMakes(t *testing.T) {
	overlay := t.TempDir()
	config, err := filepath.Rel(overlay, filepath.Join(controlplane.Root(), "config"))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("resources: [%s/default, %s/prometheus]\ncomponents: [%s/uma]\n", config, config, config)
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	fromChart := normalised(render(t, issuer, "--set=serviceMonitor.enabled=true,prometheusRule.enabled=true,uma.enabled=true"))
	fromConfig := normalised(build(t, overlay))
	delete(fromConfig, "Namespace.  "+SystemNamespace)
	if diff := cmp.Diff(fromConfig, fromChart); diff != "" {
		t.Errorf("config/uma differs from the chart with uma.enabled (-config +chart):\n%s", diff)
	}
}

// normalised takes off what only one of the two can have: labels that name the release, and Helm's annotations.
func normalised(objects []*unstructured.Unstructured) map[string]any {
	byName := map[string]any{}
	for _, o := range objects {
		// Generated roles have no labels at all; by which labels pods are found is in the selectors.
		o.SetLabels(without(o.GetLabels(), "app.kubernetes.io/", "helm.sh/"))
		o.SetAnnotations(without(o.GetAnnotations(), "helm.sh/"))
		stripRelease(o.Object)
		byName[nameOf(o)] = o.Object
	}
	return byName
}

func without(entries map[string]string, prefixes ...string) map[string]string {
	kept := map[string]string{}
	for key, value := range entries {
		if !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
			kept[key] = value
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// stripRelease takes the release's name out of selectors and templates.
func stripRelease(value any) {
	switch v := value.(type) {
	case map[string]any:
		delete(v, "app.kubernetes.io/instance")
		for _, child := range v {
			stripRelease(child)
		}
	case []any:
		for _, child := range v {
			stripRelease(child)
		}
	}
}

func TestSamplesAreAdmitted(t *testing.T) {
	apply(t.Context(), t, render(t, issuer))
	samples := kustomize(t, "samples")
	apply(t.Context(), t, samples)
	files, err := filepath.Glob(filepath.Join(Folder(), "..", "..", "config", "samples", "[0-9]*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// The namespaces are two objects in one file.
	if len(samples) != len(files)+1 {
		t.Errorf("the kustomization holds %d objects of %d files: one of them is forgotten", len(samples), len(files))
	}
	for _, o := range samples {
		if o.GetKind() == "Secret" {
			t.Errorf("%s: no password and no hash of one is committed", nameOf(o))
		}
	}
}
