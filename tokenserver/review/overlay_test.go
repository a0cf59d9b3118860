package review

import (
	"fmt"
	"slices"
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

// TestWhatAnotherAudienceChanges shows that requests are made of all policies where the audiences are others: what a
// ClusterAccessPolicy gives is gained and lost with them, and it is not among what changed.
func TestWhatAnotherAudienceChanges(t *testing.T) {
	p := &v1alpha1.ClusterAccessPolicy{}
	p.Name = "all"
	p.Spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}}
	p.Spec.Rules = []v1alpha1.Rule{{Type: v1alpha1.TypeRepository, Names: []v1alpha1.ResourceName{"**"}, Actions: []v1alpha1.Action{"pull"}}}
	with := func(audience v1alpha1.Audience) *World {
		return New(Objects{ClusterAccessPolicies: []*v1alpha1.ClusterAccessPolicy{p}, SigningKeys: []*v1alpha1.SigningKey{signingKey("registry", 0, audience)}}, false)
	}
	before, after := with("old"), with("new")
	requests, _ := Samples(before, after, 100, time.Now())
	var got []string
	for _, c := range Compare(before, after, requests) {
		got = append(got, fmt.Sprintf("%s +%d -%d", c.Request.Audience, len(c.Gained), len(c.Lost)))
	}
	if diff := cmp.Diff([]string{"new +1 -0", "old +0 -1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if requests, _ := Samples(before, with("old"), 100, time.Now()); len(requests) > 0 {
		t.Errorf("nothing differs, and %d requests were made", len(requests))
	}
}

// TestAPolicyOfANewNamespaceIsTried shows that what changed is asked about, and before all that may be affected: a sample
// is bounded, and there are many policies.
func TestAPolicyOfANewNamespaceIsTried(t *testing.T) {
	o := Objects{SigningKeys: []*v1alpha1.SigningKey{signingKey("registry", 0, "r")}}
	allows := func(namespace string) *v1alpha1.AccessPolicy {
		p := accessPolicy(namespace, "p", v1alpha1.EffectAllow)
		p.Spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}}
		p.Spec.Rules = []v1alpha1.Rule{{Type: v1alpha1.TypeRepository, Names: []v1alpha1.ResourceName{v1alpha1.ResourceName(namespace + "/**")}, Actions: []v1alpha1.Action{"pull"}}}
		return p
	}
	for i := range 20 {
		o.AccessPolicies = append(o.AccessPolicies, allows(fmt.Sprintf("ns-%d", i)))
	}
	before := New(o, false)
	with := o
	with.AccessPolicies = append(slices.Clone(o.AccessPolicies), allows("new"))
	after := New(with, false)
	requests, more := Samples(before, after, 10, time.Now())
	if changes := Compare(before, after, requests); len(changes) != 1 || len(requests) != 1 || more {
		t.Errorf("%d changes were found with %d requests, more: %v", len(changes), len(requests), more)
	}
	// The new one comes with a SigningKey that admits fewer: what changed is tried first.
	with.SigningKeys = []*v1alpha1.SigningKey{signingKey("registry", 0, "r")}
	with.SigningKeys[0].Spec.Namespaces = v1alpha1.AdmittedNamespaces{From: v1alpha1.NamespacesSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}
	with.Namespaces = map[string]map[string]string{"new": {"a": "b"}}
	after = New(with, false)
	requests, more = Samples(before, after, 10, time.Now())
	changes := Compare(before, after, requests)
	if len(changes) != 10 || !more || changes[0].Request.Resource.Name != "new/x" {
		t.Errorf("got %+v, more: %v", changes, more)
	}
}
