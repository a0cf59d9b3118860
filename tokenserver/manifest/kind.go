package manifest

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Kinds of v1 that are read.
const (
	kindList      = "List"
	kindSecret    = "Secret"
	kindNamespace = "Namespace"
)

// Kinds of tokenwright.dev/v1alpha1 that have a place in a Set.
const (
	kindAccessPolicy        = "AccessPolicy"
	kindClusterAccessPolicy = "ClusterAccessPolicy"
	kindSigningKey          = "SigningKey"
	kindIdentityProvider    = "IdentityProvider"
	kindProtectedResource   = "ProtectedResource"
)

// typeMeta says of what kind an object is.
type typeMeta struct {
	apiVersion, kind string
}

// typeIn is what the value says.
func typeIn(value map[string]any) (t typeMeta) {
	t.apiVersion, _ = value["apiVersion"].(string)
	t.kind, _ = value["kind"].(string)
	return t
}

// typeOf is what the nodes say of what has no value.
func typeOf(n *node) typeMeta {
	return typeMeta{apiVersion: scalar(child(n, "apiVersion")), kind: scalar(child(n, "kind"))}
}

// whole says whether the object says of what kind it is.
func (t typeMeta) whole() bool { return t.apiVersion != "" && t.kind != "" }

func (t typeMeta) core() bool { return t.apiVersion == "v1" }

func (t typeMeta) ours() bool {
	group, _, _ := strings.Cut(t.apiVersion, "/")
	return group == v1alpha1.GroupVersion.Group
}

// item is the kind of a list's items; list is false if it is none. That of the kind List is any.
func (t typeMeta) item() (kind string, list bool) { return strings.CutSuffix(t.kind, kindList) }

// meantForUs says whether a document that lacks apiVersion or kind was to be an object of ours: it has one of the two, in
// any spelling of the key, and the value is ours.
func meantForUs(n *node) bool {
	if n.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := scalar(target(n.Content[i+1]))
		switch strings.ToLower(n.Content[i].Value) {
		case "apiversion":
			if (typeMeta{apiVersion: value}).ours() {
				return true
			}
		case "kind":
			switch value {
			case kindAccessPolicy, kindClusterAccessPolicy, kindSigningKey, kindIdentityProvider, kindProtectedResource:
				return true
			}
		}
	}
	return false
}
