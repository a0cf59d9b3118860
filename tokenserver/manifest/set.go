package manifest

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Set is what was read, in the order of the files: objects as an API server would store them, with defaults, without a
// status, and with the stringData of Secrets in their data.
type Set struct {
	AccessPolicies        []*v1alpha1.AccessPolicy
	ClusterAccessPolicies []*v1alpha1.ClusterAccessPolicy
	SigningKeys           []*v1alpha1.SigningKey
	IdentityProviders     []*v1alpha1.IdentityProvider
	ProtectedResources    []*v1alpha1.ProtectedResource
	Secrets               []*corev1.Secret
	Namespaces            []*corev1.Namespace
	// Refused are policies that have a problem and could be read all the same, for who says all that is wrong at once. They
	// are not part of the set: nothing may be decided by them.
	Refused []metav1.Object
	// Files is the number of files that were read, Skipped that of objects and documents of other kinds.
	Files, Skipped int

	sources map[metav1.Object]Source
	order   map[string]int
}

// Ref names an object.
type Ref struct {
	Kind, Namespace, Name string
}

func newSet() *Set { return &Set{sources: map[metav1.Object]Source{}, order: map[string]int{}} }

// read counts a file.
func (s *Set) read(file string) {
	s.order[file] = s.Files
	s.Files++
}

// Order is where a file stands among those that were read: what is told of several files is told in their order.
func (s *Set) Order(file string) int {
	if at, known := s.order[file]; known {
		return at
	}
	return s.Files
}

func (s *Set) add(o metav1.Object, at Source) {
	switch o := o.(type) {
	case *v1alpha1.AccessPolicy:
		s.AccessPolicies = append(s.AccessPolicies, o)
	case *v1alpha1.ClusterAccessPolicy:
		s.ClusterAccessPolicies = append(s.ClusterAccessPolicies, o)
	case *v1alpha1.SigningKey:
		s.SigningKeys = append(s.SigningKeys, o)
	case *v1alpha1.IdentityProvider:
		s.IdentityProviders = append(s.IdentityProviders, o)
	case *v1alpha1.ProtectedResource:
		s.ProtectedResources = append(s.ProtectedResources, o)
	case *corev1.Secret:
		s.Secrets = append(s.Secrets, o)
	case *corev1.Namespace:
		s.Namespaces = append(s.Namespaces, o)
	default:
		return
	}
	s.sources[o] = at
}

// refuse keeps a policy that is not part of the set.
func (s *Set) refuse(o metav1.Object, at Source) {
	switch o.(type) {
	case *v1alpha1.AccessPolicy, *v1alpha1.ClusterAccessPolicy:
		s.Refused = append(s.Refused, o)
		s.sources[o] = at
	}
}

// Source says where an object of the set stands; the zero Source for any other.
func (s *Set) Source(o metav1.Object) Source { return s.sources[o] }

// Source is where an object stands.
type Source struct {
	File string
	// Line is that of the object's first field, counted from 1.
	Line int

	document *document
	root     int
	// within leads from the document to an item of a list.
	within string
}

func (s Source) String() string { return fmt.Sprintf("%s:%d", s.File, s.Line) }

// LineOf is the line of a field, such as spec.rules[0].names[1], or of the nearest parent that is there.
func (s Source) LineOf(path string) int {
	if s.document == nil {
		return s.Line
	}
	roots := s.document.again()
	if s.root >= len(roots) {
		return s.Line
	}
	return s.lineOf(target(descend(roots[s.root].node, s.within)), path)
}

// lineOf is LineOf for whoever has the object's node.
func (s Source) lineOf(n *node, path string) int {
	if n == nil || path == "" {
		return s.Line
	}
	return s.document.line + lineAt(n, path) - 1
}

func (s Source) item(i int) Source {
	s.within += fmt.Sprintf(".items[%d]", i)
	return s
}

// lineOf is the line of a node in the file.
func (d *document) lineOf(n *node) int { return d.line + n.Line - 1 }

// again parses a document that was read. The nodes of all documents together would take many times the room of their
// text, and they are wanted only for what is wrong.
func (d *document) again() []*root {
	d.parsed.Do(func() { d.roots, _ = d.parse() })
	return d.roots
}
