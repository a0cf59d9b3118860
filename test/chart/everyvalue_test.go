package chart

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// presets are what must be switched on before values below the path have an effect; the longest path counts.
var presets = map[string]string{
	"":                        `{"server": {"issuer": "https://tokens.example.com"}}`,
	".server.ingress":         `{"server": {"ingress": {"enabled": true}}}`,
	".server.ingress.enabled": `{}`,
	".server.service":         `{"server": {"service": {"type": "LoadBalancer"}}}`,
	".server.service.type":    `{}`,
	".serviceMonitor":         `{"serviceMonitor": {"enabled": true}}`,
	".serviceMonitor.enabled": `{}`,
	".prometheusRule":         `{"prometheusRule": {"enabled": true}}`,
	".prometheusRule.enabled": `{}`,
	".uma":                    `{"uma": {"enabled": true}}`,
	".uma.enabled":            `{}`,
	".tls.certManager":        `{"tls": {"mode": "CertManager", "certManager": {"issuerRef": {"name": "internal"}}}}`,
}

// others are valid values, other than the default, of what the schema alone does not tell one for.
var others = map[string]string{
	".image.digest":                               `"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"`,
	".image.pullSecrets":                          `[{"name": "other"}]`,
	".publishNamespaces":                          `["other"]`,
	".tls.certManager.dnsNames":                   `["other.example.com"]`,
	".server.issuer":                              `"https://other.example.com"`,
	".tls.mode":                                   `"None"`,
	".server.pathPrefix":                          `"/other"`,
	".server.trustedProxies":                      `["192.0.2.0/24"]`,
	".server.extraArgs":                           `["--other"]`,
	".server.podDisruptionBudget.maxUnavailable":  `"50%"`,
	".server.resources":                           `{"requests": {"cpu": "7"}}`,
	".server.tolerations":                         `[{"key": "other"}]`,
	".server.affinity":                            `{"nodeAffinity": {}}`,
	".server.topologySpreadConstraints":           `[{"topologyKey": "other"}]`,
	".server.service.loadBalancerSourceRanges":    `["192.0.2.0/24"]`,
	".server.ingress.path":                        `"/other"`,
	".server.volumes":                             `[{"name": "other"}]`,
	".server.volumeMounts":                        `[{"name": "other"}]`,
	".manager.extraArgs":                          `["--other"]`,
	".manager.podDisruptionBudget.maxUnavailable": `"50%"`,
	".manager.resources":                          `{"requests": {"cpu": "7"}}`,
	".manager.tolerations":                        `[{"key": "other"}]`,
	".manager.affinity":                           `{"nodeAffinity": {}}`,
	".manager.topologySpreadConstraints":          `[{"topologyKey": "other"}]`,
	".networkPolicy.serverFrom":                   `[{"podSelector": {}}]`,
	".networkPolicy.metricsFrom":                  `[{"podSelector": {}}]`,
	".networkPolicy.apiServer.cidrs":              `["192.0.2.0/24"]`,
	".networkPolicy.apiServer.ports":              `[7]`,
	".networkPolicy.issuers.cidrs":                `["192.0.2.0/24"]`,
	".networkPolicy.issuers.ports":                `[7]`,
	".prometheusRule.disabled":                    `["TokenwrightNoManager"]`,
}

// A value that changes nothing is a promise that is not kept. What it has to change, TestWhatValuesChange says of those
// that matter most.
func TestEveryValueChangesSomething(t *testing.T) {
	defaults := values(t)
	for path := range others {
		if schemaAt(t, path) == nil {
			t.Errorf("%s is no value", path)
		}
	}
	for _, path := range schemaPaths(t) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			before := presetFor(t, path)
			after := with(before, path, otherValue(t, path, valueAt(defaults, path)))
			without, changed := renderValues(t, before), renderValues(t, after)
			if cmp.Equal(without, changed) {
				t.Errorf("%s changes nothing", path)
			}
		})
	}
}

// renderValues renders the chart with the values alone.
func renderValues(t *testing.T, values map[string]any) []*unstructured.Unstructured {
	t.Helper()
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return render(t, "--values="+file)
}

// presetFor are the values that make the one at the path matter.
func presetFor(t *testing.T, path string) map[string]any {
	t.Helper()
	preset, longest := "", -1
	for prefix, text := range presets {
		if strings.HasPrefix(path+".", prefix+".") && len(prefix) > longest {
			preset, longest = text, len(prefix)
		}
	}
	base := decoded(t, presets[""]).(map[string]any)
	return merged(base, decoded(t, preset).(map[string]any))
}

// otherValue is a valid value that is not the default.
func otherValue(t *testing.T, path string, normal any) any {
	t.Helper()
	if text, ok := others[path]; ok {
		return decoded(t, text)
	}
	property := schemaAt(t, path)
	if choices, ok := property["enum"].([]any); ok {
		for _, choice := range choices {
			if choice != normal {
				return choice
			}
		}
	}
	switch property["type"] {
	case "boolean":
		return !normal.(bool)
	case "integer":
		return normal.(int64) + 1
	case "object":
		return map[string]any{"example.com/other": "other"}
	case "string":
		if pattern, _ := property["pattern"].(string); strings.Contains(pattern, "(h|m|s)") || strings.Contains(pattern, "(m|s)") {
			return "77s"
		}
		return "other"
	}
	t.Fatalf("no other value is known of %s", path)
	return nil
}

// schemaAt is the schema of the value at the path, or nil.
func schemaAt(t *testing.T, path string) map[string]any {
	t.Helper()
	schema, _ := decoded(t, string(read(t, "values.schema.json"))).(map[string]any)
	for _, name := range strings.Split(strings.TrimPrefix(path, "."), ".") {
		properties, _ := schema["properties"].(map[string]any)
		schema, _ = properties[name].(map[string]any)
	}
	return schema
}

func valueAt(values map[string]any, path string) any {
	var value any = values
	for _, name := range strings.Split(strings.TrimPrefix(path, "."), ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// with is a copy of the values in which the one at the path is another.
func with(values map[string]any, path string, value any) map[string]any {
	names := strings.Split(strings.TrimPrefix(path, "."), ".")
	for i := len(names) - 1; i >= 0; i-- {
		value = map[string]any{names[i]: value}
	}
	return merged(values, value.(map[string]any))
}

// merged lays the patch over a copy of the base, as Helm does with values.
func merged(base, patch map[string]any) map[string]any {
	out := maps.Clone(base)
	for name, value := range patch {
		under, isObject := out[name].(map[string]any)
		over, patchesObject := value.(map[string]any)
		if isObject && patchesObject {
			value = merged(under, over)
		}
		out[name] = value
	}
	return out
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("decode %s: %v", text, err)
	}
	return value
}
