package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// rulesOf are the rules of the only PrometheusRule among the objects.
func rulesOf(t *testing.T, objects []*unstructured.Unstructured) prometheusRule {
	t.Helper()
	var r prometheusRule
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(find(t, objects, "PrometheusRule", Release).Object, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func withRules(args ...string) []string {
	return append([]string{issuer, "--set=prometheusRule.enabled=true"}, args...)
}

// alertsByName are the alerts of the chart.
func alertsByName(t *testing.T, args ...string) map[string]rule {
	t.Helper()
	alerts := map[string]rule{}
	for _, group := range rulesOf(t, render(t, withRules(args...)...)).Spec.Groups {
		for _, r := range group.Rules {
			alerts[r.Alert] = r
		}
	}
	return alerts
}

// promtool runs it in the folder.
func promtool(folder string, args ...string) error {
	cmd := exec.Command(filepath.Join(controlplane.Root(), "bin", "tools", "promtool"), args...)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("promtool (built by `make test-tools`): %w: %s", err, out)
	}
	return nil
}

// writeFile writes the value where promtool finds it: JSON is YAML, too.
func writeFile(t *testing.T, folder, name string, value any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeRules writes the rules as Prometheus reads them.
func writeRules(t *testing.T, folder string, objects []*unstructured.Unstructured) {
	t.Helper()
	writeFile(t, folder, "rules.yaml", find(t, objects, "PrometheusRule", Release).Object["spec"])
}

func TestPrometheusAcceptsTheRules(t *testing.T) {
	for name, objects := range map[string][]*unstructured.Unstructured{
		"the chart":         render(t, withRules()...),
		"config/prometheus": kustomize(t, "prometheus"),
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			writeRules(t, folder, objects)
			if err := promtool(folder, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"); err != nil {
				t.Error(err)
			}
		})
	}
}

// fired is an alert as it is sent: its labels beside the rule's own, and what its summary says.
type fired struct {
	labels  map[string]string
	summary string
}

type alertCase struct {
	reason string
	alert  string
	// series are what Prometheus reads each minute, in promtool's notation; at is when the alert is looked at.
	series map[string]string
	at     string
	want   []fired
}

// promtool's own form of a test.
type promTests struct {
	RuleFiles []string   `json:"rule_files"`
	Tests     []promTest `json:"tests"`
}

type promTest struct {
	Interval string       `json:"interval"`
	Series   []promSeries `json:"input_series"`
	Alerts   []promAlert  `json:"alert_rule_test"`
}

type promSeries struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

type promAlert struct {
	Time   string      `json:"eval_time"`
	Name   string      `json:"alertname"`
	Expect []promFired `json:"exp_alerts"`
}

type promFired struct {
	Labels      map[string]string `json:"exp_labels"`
	Annotations map[string]string `json:"exp_annotations"`
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	alerts := alertsByName(t)
	folder := t.TempDir()
	writeRules(t, folder, render(t, withRules()...))
	fires, rests := map[string]bool{}, map[string]bool{}
	// The subtests run in parallel, after this has returned: the group waits for them.
	t.Run("alerts", func(t *testing.T) {
		for name, tc := range alertCases() {
			r, ok := alerts[tc.alert]
			if !ok {
				t.Fatalf("%s: there is no alert %s", name, tc.alert)
			}
			fires[tc.alert] = fires[tc.alert] || len(tc.want) > 0
			rests[tc.alert] = rests[tc.alert] || len(tc.want) == 0
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				tests := promTests{RuleFiles: []string{filepath.Join(folder, "rules.yaml")}, Tests: []promTest{promTestOf(tc, r)}}
				own := t.TempDir()
				writeFile(t, own, "tests.yaml", tests)
				if err := promtool(own, "test", "rules", "tests.yaml"); err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
			})
		}
	})
	for _, alert := range slices.Sorted(maps.Keys(alerts)) {
		if !fires[alert] || !rests[alert] {
			t.Errorf("%s needs a case in which it fires (%t) and one in which it does not (%t)", alert, fires[alert], rests[alert])
		}
	}
}

// promTestOf expects of each alert that fires the rule's own labels and annotations beside those of the case.
func promTestOf(tc alertCase, r rule) promTest {
	test := promTest{Interval: "1m"}
	for series, values := range tc.series {
		test.Series = append(test.Series, promSeries{Series: series, Values: values})
	}
	expect := promAlert{Time: tc.at, Name: tc.alert}
	for _, f := range tc.want {
		labels, annotations := maps.Clone(f.labels), maps.Clone(r.Annotations)
		maps.Copy(labels, r.Labels)
		labels["namespace"] = SystemNamespace
		annotations["summary"] = f.summary
		expect.Expect = append(expect.Expect, promFired{Labels: labels, Annotations: annotations})
	}
	test.Alerts = []promAlert{expect}
	return test
}

// Of two releases in a cluster each has its own alerts.
func TestAlertsAreOfTheReleaseOnly(t *testing.T) {
	selector := regexp.MustCompile(`[a-z_]+\{[^}]*\}`)
	for name, r := range alertsByName(t, "--namespace=auth") {
		selectors := selector.FindAllString(r.Expr, -1)
		if len(selectors) == 0 {
			t.Errorf("%s: found no metric with a selector in %s", name, r.Expr)
		}
		for _, s := range selectors {
			if !strings.Contains(s, `namespace="auth"`) {
				t.Errorf("%s: %s must be of the release's namespace", name, s)
			}
		}
	}
}

func TestAlertsThatAreLeftOut(t *testing.T) {
	all := alertsByName(t)
	some := alertsByName(t, "--set=prometheusRule.disabled={TokenwrightNoManager,TokenwrightTokenErrors}")
	if _, ok := some["TokenwrightNoManager"]; ok || len(some) != len(all)-2 {
		t.Errorf("two of %d are left out, but there are %v", len(all), slices.Sorted(maps.Keys(some)))
	}
}

// Who is woken by an alert reads what to do.
func TestEveryAlertIsExplained(t *testing.T) {
	const page = "https://github.com/tokenwright/tokenwright/blob/main/docs/alerts.md#"
	text, err := os.ReadFile(filepath.Join(controlplane.Root(), "docs", "alerts.md"))
	if err != nil {
		t.Fatal(err)
	}
	alerts := alertsByName(t)
	for name, r := range alerts {
		if want := page + strings.ToLower(name); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: the runbook is %s, expected %s", name, r.Annotations["runbook_url"], want)
		}
		if !strings.Contains(string(text), "\n### "+name+"\n") {
			t.Errorf("%s has no section in docs/alerts.md", name)
		}
		if !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) || r.For == "" {
			t.Errorf("%s: severity %q and for %q: expected critical or warning, and how long", name, r.Labels["severity"], r.For)
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^### (Tokenwright.*)$`).FindAllStringSubmatch(string(text), -1) {
		if _, ok := alerts[heading[1]]; !ok {
			t.Errorf("docs/alerts.md explains %s, which is no alert", heading[1])
		}
	}
}
