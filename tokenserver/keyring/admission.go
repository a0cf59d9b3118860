package keyring

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Selection is which namespaces a SigningKey admits to its audiences. The zero value admits none.
type Selection struct {
	every    bool
	selector labels.Selector
}

// SelectionOf reads what a SigningKey says. What cannot be understood admits none.
func SelectionOf(spec v1alpha1.AdmittedNamespaces) Selection {
	switch spec.From {
	case v1alpha1.NamespacesAll, "":
		return Selection{every: spec.Selector == nil}
	case v1alpha1.NamespacesSelector:
		// No selector becomes one that selects nothing.
		if selector, err := metav1.LabelSelectorAsSelector(spec.Selector); err == nil {
			return Selection{selector: selector}
		}
	}
	return Selection{}
}

// Every says that all namespaces are admitted, whatever their labels, and whether they are known or not.
func (s Selection) Every() bool { return s.every }

// Admits says whether a namespace with these labels is admitted. One that is not known must not be asked about: it has no
// labels, and some selectors admit just that.
func (s Selection) Admits(of map[string]string) bool {
	return s.every || s.selector != nil && s.selector.Matches(labels.Set(of))
}
