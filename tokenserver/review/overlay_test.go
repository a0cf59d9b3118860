package review

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func signingKey(name string, age int, audiences ...v1alpha1.Audience) *v1alpha1.SigningKey {
	k := &v1alpha1.SigningKey{Spec: v1alpha1.SigningKeySpec{Audiences: audiences}}
	k.Name = name
	if age >= 0 {
		k.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, 0, 0, age, 0, time.UTC))
	}
	return k
}

func accessPolicy(namespace, name string, effect v1alpha1.Effect) *v1alpha1.AccessPolicy {
	p := &v1alpha1.AccessPolicy{}
	p.Namespace, p.Name, p.Spec.Effect = namespace, name, effect
	return p
}

// TestOverlay shows what there is after manifests are applied.
func TestOverlay(t *testing.T) {
	before := Objects{
		AccessPolicies: []*v1alpha1.AccessPolicy{accessPolicy("a", "x", "Allow"), accessPolicy("b", "x", "Allow")},
		SigningKeys:    []*v1alpha1.SigningKey{signingKey("old", 1, "r"), signingKey("older", 0, "s")},
		Namespaces:     map[string]map[string]string{"a": {"k": "old"}, "b": nil},
	}
	manifests := Objects{
		AccessPolicies: []*v1alpha1.AccessPolicy{accessPolicy("a", "x", "Deny"), accessPolicy("a", "y", "Allow")},
		SigningKeys:    []*v1alpha1.SigningKey{signingKey("old", -1, "r", "t"), signingKey("a-new-one", -1, "r", "u")},
		Namespaces:     map[string]map[string]string{"a": {"k": "new"}},
	}
	after := Overlay(before, manifests)
	want := []*v1alpha1.AccessPolicy{accessPolicy("b", "x", "Allow"), accessPolicy("a", "x", "Deny"), accessPolicy("a", "y", "Allow")}
	if diff := cmp.Diff(want, after.AccessPolicies); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]map[string]string{"a": {"k": "new"}, "b": nil}, after.Namespaces); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
	w := New(after, false)
	owners := map[string]string{}
	for _, audience := range w.Audiences() {
		owners[audience] = w.audiences[audience].SigningKey
	}
	if diff := cmp.Diff(map[string]string{"r": "old", "s": "older", "t": "old", "u": "a-new-one"}, owners); diff != "" {
		t.Errorf("the SigningKey that was there keeps its audience (-want +got):\n%s", diff)
	}
	if before.Namespaces["a"]["k"] != "old" || len(before.AccessPolicies) != 2 || !manifests.SigningKeys[0].CreationTimestamp.IsZero() {
		t.Error("what was given was changed")
	}
	pruned := Pruned(before, manifests)
	if diff := cmp.Diff(manifests.AccessPolicies, pruned.AccessPolicies); diff != "" || len(pruned.SigningKeys) != 3 {
		t.Errorf("pruned are policies alone: %d SigningKeys (-want +got):\n%s", len(pruned.SigningKeys), diff)
	}
}
