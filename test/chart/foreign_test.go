package chart

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The API server of the tests has no kinds of others, so nothing there refuses a field that they do not have. These are
// their fields, as far as the chart could have a use for them; a field beyond them has to be looked up and added.

// certificate is cert-manager.io/v1 Certificate.
type certificate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		CommonName            string           `json:"commonName"`
		Duration              *metav1.Duration `json:"duration"`
		RenewBefore           *metav1.Duration `json:"renewBefore"`
		RenewBeforePercentage *int32           `json:"renewBeforePercentage"`
		DNSNames              []string         `json:"dnsNames"`
		IPAddresses           []string         `json:"ipAddresses"`
		URIs                  []string         `json:"uris"`
		SecretName            string           `json:"secretName"`
		SecretTemplate        *struct {
			Annotations map[string]string `json:"annotations"`
			Labels      map[string]string `json:"labels"`
		} `json:"secretTemplate"`
		IssuerRef struct {
			Name  string `json:"name"`
			Kind  string `json:"kind"`
			Group string `json:"group"`
		} `json:"issuerRef"`
		IsCA       bool     `json:"isCA"`
		Usages     []string `json:"usages"`
		PrivateKey *struct {
			RotationPolicy string `json:"rotationPolicy"`
			Encoding       string `json:"encoding"`
			Algorithm      string `json:"algorithm"`
			Size           int    `json:"size"`
		} `json:"privateKey"`
		RevisionHistoryLimit *int32 `json:"revisionHistoryLimit"`
	} `json:"spec"`
}

// serviceMonitor is monitoring.coreos.com/v1 ServiceMonitor.
type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		JobLabel        string   `json:"jobLabel"`
		TargetLabels    []string `json:"targetLabels"`
		PodTargetLabels []string `json:"podTargetLabels"`
		Endpoints       []struct {
			Port          string              `json:"port"`
			TargetPort    *intstr.IntOrString `json:"targetPort"`
			Path          string              `json:"path"`
			Scheme        string              `json:"scheme"`
			Interval      string              `json:"interval"`
			ScrapeTimeout string              `json:"scrapeTimeout"`
			HonorLabels   bool                `json:"honorLabels"`
		} `json:"endpoints"`
		Selector          *metav1.LabelSelector `json:"selector"`
		NamespaceSelector *struct {
			Any        bool     `json:"any"`
			MatchNames []string `json:"matchNames"`
		} `json:"namespaceSelector"`
	} `json:"spec"`
}

// prometheusRule is monitoring.coreos.com/v1 PrometheusRule. What promtool says of the rules is for another test.
type prometheusRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Groups []struct {
			Name     string `json:"name"`
			Interval string `json:"interval"`
			Rules    []rule `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

type rule struct {
	Alert         string            `json:"alert"`
	Expr          string            `json:"expr"`
	For           string            `json:"for"`
	KeepFiringFor string            `json:"keep_firing_for"`
	Labels        map[string]string `json:"labels"`
	Annotations   map[string]string `json:"annotations"`
}

// checkForeign says what the owner of the kind would refuse.
func checkForeign(o *unstructured.Unstructured) error {
	switch kind := o.GroupVersionKind().String(); kind {
	case "cert-manager.io/v1, Kind=Certificate":
		var c certificate
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &c, true); err != nil {
			return err
		}
		return checkCertificate(&c)
	case "monitoring.coreos.com/v1, Kind=ServiceMonitor":
		var m serviceMonitor
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &m, true); err != nil {
			return err
		}
		if m.Spec.Selector == nil || len(m.Spec.Endpoints) == 0 {
			return errors.New("selector and endpoints are required")
		}
		return nil
	case "monitoring.coreos.com/v1, Kind=PrometheusRule":
		var r prometheusRule
		return runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &r, true)
	default:
		return fmt.Errorf("the fields of %s are not known here", kind)
	}
}

func checkCertificate(c *certificate) error {
	spec := c.Spec
	var problems []error
	demand := func(holds bool, problem string) {
		if !holds {
			problems = append(problems, errors.New(problem))
		}
	}
	demand(spec.SecretName != "", "secretName is required")
	demand(spec.IssuerRef.Name != "", "issuerRef.name is required")
	demand(len(spec.DNSNames)+len(spec.IPAddresses)+len(spec.URIs) > 0 || spec.CommonName != "", "it names nobody")
	for _, usage := range spec.Usages {
		demand(slices.Contains([]string{"digital signature", "key encipherment", "server auth", "client auth"}, usage), "unknown usage "+usage)
	}
	if key := spec.PrivateKey; key != nil {
		demand(slices.Contains([]string{"", "Never", "Always"}, key.RotationPolicy), "unknown rotationPolicy "+key.RotationPolicy)
		sizes := map[string][]int{"": {0, 2048, 4096, 8192}, "RSA": {0, 2048, 4096, 8192}, "ECDSA": {0, 256, 384, 521}, "Ed25519": {0}}
		demand(slices.Contains(sizes[key.Algorithm], key.Size), fmt.Sprintf("no %s key has size %d", key.Algorithm, key.Size))
	}
	if spec.Duration != nil && spec.RenewBefore != nil {
		demand(spec.RenewBefore.Duration < spec.Duration.Duration, "renewBefore is not before the end")
	}
	return errors.Join(problems...)
}

// foreign are the objects of foreign kinds that the chart makes if everything is switched on.
func foreign(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objects := render(t, issuer, "--set=tls.mode=CertManager,tls.certManager.issuerRef.name=internal,serviceMonitor.enabled=true", "--set=prometheusRule.enabled=true")
	return slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool { return !slices.Contains(foreignKinds, kindOf(o)) })
}

func TestForeignObjectsHaveFieldsOfTheirKinds(t *testing.T) {
	objects := foreign(t)
	if len(objects) != 4 {
		t.Errorf("found %d objects, expected a Certificate, a PrometheusRule and two ServiceMonitors", len(objects))
	}
	for _, o := range objects {
		if err := checkForeign(o); err != nil {
			t.Errorf("%s: %v", nameOf(o), err)
		}
	}
}

// A check that lets everything pass would look the same as a chart without faults.
func TestFaultsInForeignObjectsAreSeen(t *testing.T) {
	cases := map[string]struct {
		reason, kind string
		spoil        func(spec map[string]any)
		want         string
	}{
		"a field in the singular": {
			reason: "the certificate would hold no name",
			kind:   "Certificate",
			spoil:  func(spec map[string]any) { spec["dnsName"] = spec["dnsNames"]; delete(spec, "dnsNames") },
			want:   `unknown field "spec.dnsName"`,
		},
		"a field in another case": {
			reason: "names of fields are compared to the letter",
			kind:   "Certificate",
			spoil:  func(spec map[string]any) { spec["DNSNames"] = spec["dnsNames"]; delete(spec, "dnsNames") },
			want:   `unknown field "spec.DNSNames"`,
		},
		"no name": {
			reason: "nobody could be verified by it",
			kind:   "Certificate",
			spoil:  func(spec map[string]any) { spec["dnsNames"] = []any{} },
			want:   "it names nobody",
		},
		"no Secret": {
			reason: "it would be written nowhere",
			kind:   "Certificate",
			spoil:  func(spec map[string]any) { delete(spec, "secretName") },
			want:   "secretName is required",
		},
		"a duration that is none": {
			reason: "Go's durations have no days",
			kind:   "Certificate",
			spoil:  func(spec map[string]any) { spec["duration"] = "90d" },
			want:   "unknown unit",
		},
		"a misspelt port": {
			reason: "nothing would be read",
			kind:   "ServiceMonitor",
			spoil: func(spec map[string]any) {
				endpoint := spec["endpoints"].([]any)[0].(map[string]any)
				endpoint["portName"] = endpoint["port"]
			},
			want: `unknown field "spec.endpoints[0].portName"`,
		},
		"a misspelt annotation": {
			reason: "nobody would read what to do",
			kind:   "PrometheusRule",
			spoil: func(spec map[string]any) {
				rule := spec["groups"].([]any)[0].(map[string]any)["rules"].([]any)[0].(map[string]any)
				rule["annotation"] = rule["annotations"]
			},
			want: `unknown field "spec.groups[0].rules[0].annotation"`,
		},
		"no selector": {
			reason: "it is required",
			kind:   "ServiceMonitor",
			spoil:  func(spec map[string]any) { delete(spec, "selector") },
			want:   "selector and endpoints are required",
		},
	}
	objects := foreign(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			name := server
			if tc.kind == "PrometheusRule" {
				name = Release // it is of both components
			}
			o := find(t, objects, tc.kind, name).DeepCopy()
			tc.spoil(o.Object["spec"].(map[string]any))
			if err := checkForeign(o); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: the error is %v, expected %q in it", tc.reason, err, tc.want)
			}
		})
	}
}
