package keyring

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func TestSelectionOf(t *testing.T) {
	red := map[string]string{"colour": "red"}
	cases := map[string]struct {
		reason string
		spec   v1alpha1.AdmittedNamespaces
		want   map[string]bool
		every  bool
	}{
		"nothing said":        {"the schema's default", v1alpha1.AdmittedNamespaces{}, map[string]bool{"red": true, "none": true}, true},
		"all":                 {"", v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesAll}, map[string]bool{"red": true, "none": true}, true},
		"all, and a selector": {"they contradict each other", v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesAll, Selector: &metav1.LabelSelector{}}, map[string]bool{}, false},
		"some": {"", v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: red}},
			map[string]bool{"red": true}, false},
		"without a label": {"one that is absent", v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "colour", Operator: metav1.LabelSelectorOpDoesNotExist}},
		}}, map[string]bool{"none": true}, false},
		"a selector that is none": {"it cannot be understood", v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "colour", Operator: "Like"}},
		}}, map[string]bool{}, false},
		"selected without a selector": {"nothing is selected", v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector}, map[string]bool{}, false},
		"a word that nobody knows":    {"default deny", v1alpha1.AdmittedNamespaces{From: "Some"}, map[string]bool{}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := SelectionOf(c.spec)
			if s.Every() != c.every {
				t.Errorf("%s: every namespace: %t, want %t", c.reason, s.Every(), c.every)
			}
			for namespace, of := range map[string]map[string]string{"red": red, "none": nil} {
				if got := s.Admits(of); got != c.want[namespace] {
					t.Errorf("%s: admits %s: %t, want %t", c.reason, namespace, got, c.want[namespace])
				}
			}
		})
	}
	if (Selection{}).Admits(nil) || (Selection{}).Every() {
		t.Error("the zero value admits somebody")
	}
}
