package chart

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestEveryScenarioIsAcceptedByTheAPIServer(t *testing.T) {
	for _, file := range scenarios(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			objects := render(t, "--values="+file)
			apply(t.Context(), t, objects, client.DryRunAll)
			seen := map[string]bool{}
			for _, o := range objects {
				if seen[nameOf(o)] {
					t.Errorf("%s is there twice", nameOf(o))
				}
				seen[nameOf(o)] = true
			}
		})
	}
}

// podOf is the pod that a Deployment makes.
func podOf(t *testing.T, deployment *unstructured.Unstructured) *corev1.Pod {
	t.Helper()
	template, _, err := unstructured.NestedMap(deployment.Object, "spec", "template")
	if err != nil {
		t.Fatal(err)
	}
	var pod corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod); err != nil {
		t.Fatal(err)
	}
	pod.ObjectMeta = metav1.ObjectMeta{Namespace: SystemNamespace, GenerateName: "case-", Labels: pod.Labels}
	return &pod
}

func TestPodsAreRestricted(t *testing.T) {
	ctx := t.Context()
	for _, file := range scenarios(t) {
		for _, o := range render(t, "--values="+file) {
			if o.GetKind() != "Deployment" {
				continue
			}
			t.Run(filepath.Base(file)+" "+o.GetName(), func(t *testing.T) {
				pod := podOf(t, o)
				if err := plane.Client.Create(ctx, pod.DeepCopy(), client.DryRunAll); err != nil {
					t.Errorf("the restricted level must admit the pod: %v", err)
				}
				if pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks {
					t.Error("enableServiceLinks must be false: other Services' names must not become variables")
				}
				container := pod.Spec.Containers[0]
				if readOnly := container.SecurityContext.ReadOnlyRootFilesystem; readOnly == nil || !*readOnly {
					t.Error("the root file system must be read-only")
				}
				if container.Resources.Requests.Cpu().IsZero() || container.Resources.Requests.Memory().IsZero() {
					t.Error("CPU and memory must be requested")
				}
				pod.Spec.Containers[0].SecurityContext = nil
				if err := plane.Client.Create(ctx, pod, client.DryRunAll); !apierrors.IsForbidden(err) {
					t.Errorf("without its restrictions the pod must be refused, or this test shows nothing: %v", err)
				}
			})
		}
	}
}

func TestFlagsAreThoseOfTheCommands(t *testing.T) {
	binary := built(t)
	for _, file := range scenarios(t) {
		for _, o := range render(t, "--values="+file) {
			if o.GetKind() != "Deployment" {
				continue
			}
			// Flags are read in order: an unknown one, or a value that does not parse, is an error before --help is seen.
			args := slices.Concat(podOf(t, o).Spec.Containers[0].Args, []string{"--help"})
			if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v: %s", filepath.Base(file), o.GetName(), err, out)
			}
		}
	}
}

func TestValuesThatCannotWorkAreRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"No issuer": {
			reason: "there is no default that could be right",
			want:   "server.issuer must be given",
		},
		"An empty issuer": {
			reason: "it is the same as none",
			args:   []string{"--set=server.issuer="},
			want:   "server.issuer must be given",
		},
		"An issuer that is no URL": {
			reason: "registries could not be sent there",
			args:   []string{"--set=server.issuer=tokens.example.com"},
			want:   "server/issuer",
		},
		"A typo": {
			reason: "a setting that is not read must not look as if it were",
			args:   []string{issuer, "--set=server.replica=3"},
			want:   "additional properties 'replica' not allowed",
		},
		"A typo in a part that both Deployments have": {
			reason: "a network policy that is not there protects nobody",
			args:   []string{issuer, "--set=networkPolicy.enable=true"},
			want:   "additional properties 'enable' not allowed",
		},
		"One server": {
			reason: "any replica may die",
			args:   []string{issuer, "--set=server.replicas=1"},
			want:   "server/replicas",
		},
		"An unknown TLS mode": {
			reason: "it must not become plain HTTP",
			args:   []string{issuer, "--set=tls.mode=none"},
			want:   "tls/mode",
		},
		"cert-manager without an issuer": {
			reason: "nobody would sign",
			args:   []string{issuer, "--set=tls.mode=CertManager"},
			want:   "tls.certManager.issuerRef.name must be given",
		},
		"An unknown spelling of UMA's errors": {
			reason: "the server would not start",
			args:   []string{issuer, "--set=uma.enabled=true,uma.compatibility=okta"},
			want:   "uma/compatibility",
		},
		"A digest that is none": {
			reason: "the image would be pulled by a tag of that name",
			args:   []string{issuer, "--set=image.digest=v1"},
			want:   "image/digest",
		},
		"Certificate authorities beside the servers' Secrets": {
			reason: "servers could read them",
			args:   []string{issuer, "--set=caNamespace.name=" + SystemNamespace},
			want:   "caNamespace.name must not be the release's namespace",
		},
		"An alert to leave out that is none": {
			reason: "it would go on ringing",
			args:   []string{issuer, "--set=prometheusRule.enabled=true,prometheusRule.disabled={TokenwrightNoManger}"},
			want:   "there is no alert TokenwrightNoManger",
		},
		"Publishing into the namespace of the authorities": {
			reason: "nothing else lives there",
			args:   []string{issuer, "--set=publishNamespaces={" + caNamespace + "}"},
			want:   "publishNamespaces must not hold",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Render(tc.args...)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: the error is %v, expected %q in it", tc.reason, err, tc.want)
			}
		})
	}
}

func TestNobodyReachesTheMetricsUnlessNamed(t *testing.T) {
	for name, port := range map[string]int64{"tokenwright-server": 8081, "tokenwright-manager": 8080} {
		t.Run(name, func(t *testing.T) {
			closed := find(t, render(t, issuer), "NetworkPolicy", name)
			if rules := ingressTo(t, closed, port); len(rules) != 0 {
				t.Errorf("nobody is named, but the rules are %v", rules)
			}
			open := find(t, render(t, issuer, "--set=networkPolicy.metricsFrom[0].podSelector.matchLabels.app=prometheus"), "NetworkPolicy", name)
			rules := ingressTo(t, open, port)
			if len(rules) != 1 || len(rules[0]["from"].([]any)) != 1 {
				t.Errorf("one peer is named, but the rules are %v", rules)
			}
			types, _, _ := unstructured.NestedStringSlice(closed.Object, "spec", "policyTypes")
			if diff := cmp.Diff([]string{"Ingress", "Egress"}, types); diff != "" {
				t.Errorf("both directions must be closed by default (-want +got):\n%s", diff)
			}
		})
	}
}

// ingressTo are the rules that let somebody in to the port.
func ingressTo(t *testing.T, policy *unstructured.Unstructured, port int64) []map[string]any {
	t.Helper()
	rules, _, err := unstructured.NestedSlice(policy.Object, "spec", "ingress")
	if err != nil {
		t.Fatal(err)
	}
	var found []map[string]any
	for _, rule := range rules {
		ports, ok := rule.(map[string]any)["ports"].([]any)
		for _, p := range ports {
			if p.(map[string]any)["port"] == port {
				found = append(found, rule.(map[string]any))
			}
		}
		if !ok {
			found = append(found, rule.(map[string]any))
		}
	}
	return found
}

func TestWhatOutlivesTheRelease(t *testing.T) {
	keep := func(o *unstructured.Unstructured) bool {
		return o.GetAnnotations()["helm.sh/resource-policy"] == "keep"
	}
	kinds := func(args ...string) map[string]int {
		count := map[string]int{}
		for _, o := range render(t, append(args, issuer)...) {
			if keep(o) {
				count[o.GetKind()]++
			}
		}
		return count
	}
	if diff := cmp.Diff(map[string]int{"CustomResourceDefinition": 8, "Namespace": 1}, kinds()); diff != "" {
		t.Errorf("by default (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{}, kinds("--set=crds.keep=false", "--set=caNamespace.keep=false")); diff != "" {
		t.Errorf("if told so (-want +got):\n%s", diff)
	}
}
