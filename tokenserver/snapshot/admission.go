package snapshot

import (
	"maps"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// Admission says whose AccessPolicies may speak of an audience. The zero value admits none.
type Admission struct {
	all   bool
	names map[string]struct{}
}

// Admits says whether the namespace's AccessPolicies may speak of the audience.
func (a Admission) Admits(namespace string) bool {
	if a.all {
		return true
	}
	_, ok := a.names[namespace]
	return ok
}

// Equal says whether both admit the same.
func (a Admission) Equal(b Admission) bool { return a.all == b.all && maps.Equal(a.names, b.names) }

// Namespaces are the namespaces of the cluster and their labels. It is immutable, so that a Builder can tell by its
// address whether anything changed.
type Namespaces struct {
	labels map[string]map[string]string
}

// NewNamespaces takes over the map of labels by namespace; the caller must not change it any more.
func NewNamespaces(labelsByName map[string]map[string]string) *Namespaces {
	return &Namespaces{labels: labelsByName}
}

// admit resolves what a SigningKey says to the namespaces that exist. What cannot be understood admits none.
func (n *Namespaces) admit(spec v1alpha1.AdmittedNamespaces) Admission {
	selection := keyring.SelectionOf(spec)
	if selection.Every() || n == nil {
		return Admission{all: selection.Every()}
	}
	names := map[string]struct{}{}
	for name, of := range n.labels {
		if selection.Admits(of) {
			names[name] = struct{}{}
		}
	}
	return Admission{names: names}
}
