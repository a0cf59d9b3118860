package controllers

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// mayPublish are the rights that the chart gives the manager in the namespaces of publishNamespaces.
var mayPublish = rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "create", "patch", "delete"}}

func TestConfigMapComesBackAsItWas(t *testing.T) {
	cases := map[string]func(*keyBench, *v1alpha1.SigningKey, *corev1.ConfigMap) error{
		"after it was deleted": func(b *keyBench, _ *v1alpha1.SigningKey, m *corev1.ConfigMap) error {
			return plane.Client.Delete(b.Context(), m)
		},
		"after a key was taken out of it": func(b *keyBench, _ *v1alpha1.SigningKey, m *corev1.ConfigMap) error {
			m.Data["jwks.json"] = `{"keys":[]}`
			return plane.Client.Update(b.Context(), m)
		},
		"after its authority was exchanged": func(b *keyBench, _ *v1alpha1.SigningKey, m *corev1.ConfigMap) error {
			m.Data["ca.crt"] = "somebody else's"
			return plane.Client.Update(b.Context(), m)
		},
		"after its generation was set back": func(b *keyBench, _ *v1alpha1.SigningKey, m *corev1.ConfigMap) error {
			m.Annotations[v1alpha1.AnnotationGeneration] = "1"
			return plane.Client.Update(b.Context(), m)
		},
		"after its label was taken away": func(b *keyBench, _ *v1alpha1.SigningKey, m *corev1.ConfigMap) error {
			m.Labels = nil
			return plane.Client.Update(b.Context(), m)
		},
		"after its generation became nonsense": func(b *keyBench, _ *v1alpha1.SigningKey, m *corev1.ConfigMap) error {
			m.Annotations[v1alpha1.AnnotationGeneration] = "9223372036854775807"
			m.Data["jwks.json"] = `{"keys":[]}`
			return plane.Client.Update(b.Context(), m)
		},
	}
	cases["after its generation became the largest that is none"] = func(b *keyBench, _ *v1alpha1.SigningKey, m *corev1.ConfigMap) error {
		m.Annotations[v1alpha1.AnnotationGeneration] = "9007199254740992"
		return plane.Client.Update(b.Context(), m)
	}
	bench := newKeyBench(t, "correct")
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			b := bench.in(t)
			key := b.signingKey(bench.name())
			b.reconcile(key)
			before := b.configMap(key)
			if err := change(b, key, before.DeepCopy()); err != nil {
				t.Fatal(err)
			}
			b.reconcile(key)
			after := b.configMap(key)
			if diff := cmp.Diff(before.Data, after.Data); diff != "" {
				t.Errorf("data (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(before.Annotations, after.Annotations); diff != "" {
				t.Errorf("annotations (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(before.Labels, after.Labels); diff != "" {
				t.Errorf("labels (-before +after):\n%s", diff)
			}
			b.current(key)
		})
	}
}

func TestGenerationGoesOnAfterASecretWasRestored(t *testing.T) {
	b := newKeyBench(t, "restore")
	key := b.signingKey("registry")
	b.reconcile(key)
	backup := b.secret(key)
	b.after(interval, key)
	before := publishedGeneration(b.configMap(key))

	current := b.secret(key)
	current.Data = backup.Data
	if err := plane.Client.Update(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	b.reconcile(key)
	if after := publishedGeneration(b.configMap(key)); after <= before {
		t.Errorf("generation %d after %d: a lower one must never replace a higher", after, before)
	}
	if diff := cmp.Diff(keysIn(key, pending, published, active, retired), b.jwks(b.configMap(key))); diff != "" {
		t.Errorf("jwks.json (-want +got):\n%s", diff)
	}
}

func TestForeignConfigMapIsNeverTouched(t *testing.T) {
	b := newKeyBench(t, "foreign-map")
	foreign := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.o.Namespace, Name: "registry-keys", Labels: map[string]string{v1alpha1.LabelSigningKey: "registry"}},
		Data:       map[string]string{"mine": "x"},
	}
	create(t, foreign)
	key := b.signingKey("registry")
	b.reconcile(key)
	before := foreign.ResourceVersion
	refresh(t, foreign)
	if diff := cmp.Diff(before, foreign.ResourceVersion); diff != "" {
		t.Errorf("it was touched (-before +after):\n%s", diff)
	}
	want := map[string]said{
		"Ready": {"False", v1alpha1.ReasonNameTaken}, "Published": {"False", v1alpha1.ReasonNameTaken}, "Stalled": {"True", v1alpha1.ReasonNameTaken},
	}
	if diff := cmp.Diff(want, conditionsOf(key.Status.Conditions)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]v1alpha1.KeyState{pending}, statesOf(key)); diff != "" {
		t.Errorf("what is not public does not sign (-want +got):\n%s", diff)
	}
	if err := plane.Client.Delete(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	b.reconcile(key)
	b.current(key)
}

func TestConfigMapIsRenamed(t *testing.T) {
	b := newKeyBench(t, "rename")
	key := b.signingKey("registry")
	b.reconcile(key)
	old := b.configMap(key)
	b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.Publish.ConfigMapName = "trust" })
	b.reconcile(key)
	if diff := cmp.Diff(old.Data, b.configMapIn(b.o.Namespace, "trust").Data); diff != "" {
		t.Errorf("data (-old +new):\n%s", diff)
	}
	if err := plane.Client.Get(t.Context(), client.ObjectKeyFromObject(old), old); !apierrors.IsNotFound(err) {
		t.Errorf("the old one is still there: %v", err)
	}
	b.current(key)
	before := b.versions(key)
	b.reconcile(key)
	if diff := cmp.Diff(before, b.versions(key)); diff != "" {
		t.Errorf("written once more (-before +after):\n%s", diff)
	}
}

func TestCopies(t *testing.T) {
	b := newKeyBench(t, "copies")
	first, second, third := b.o.Namespace+"-a", b.o.Namespace+"-b", b.o.Namespace+"-c"
	for _, namespace := range []string{first, second, third} {
		if err := plane.CreateNamespace(t.Context(), namespace, nil); err != nil {
			t.Fatal(err)
		}
	}
	allow(t, b.o, first, mayPublish)
	allow(t, b.o, second, mayPublish)
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Spec.Publish.Namespaces = []string{first, second} })
	result := b.reconcile(key)
	b.current(key)
	for _, namespace := range key.Spec.Publish.Namespaces {
		if diff := cmp.Diff(b.configMap(key).Data, b.configMapIn(namespace, "registry-keys").Data); diff != "" {
			t.Errorf("copy in %s (-want +got):\n%s", namespace, diff)
		}
	}
	if diff := cmp.Diff(recheckCopies, result.RequeueAfter); diff != "" {
		t.Errorf("copies are not watched (-want +got):\n%s", diff)
	}

	t.Run("are corrected", func(t *testing.T) {
		b := b.in(t)
		m := b.configMapIn(first, "registry-keys")
		want := m.Data
		m.Data, m.Annotations[v1alpha1.AnnotationGeneration] = map[string]string{"jwks.json": "{}"}, "1000"
		if err := plane.Client.Update(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		b.reconcile(key)
		if diff := cmp.Diff(want, b.configMapIn(first, "registry-keys").Data); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		b.current(key)
	})
	t.Run("say nothing about the generation", func(t *testing.T) {
		b := b.in(t)
		before := b.ring(key).Generation
		for _, claimed := range []string{"1000", "9007199254740992"} {
			m := b.configMapIn(first, "registry-keys")
			m.Annotations[v1alpha1.AnnotationGeneration] = claimed
			if err := plane.Client.Update(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			b.reconcile(key)
			if after := b.ring(key).Generation; after != before {
				t.Errorf("a tenant lifted the generation of the key set from %d to %d", before, after)
			}
			if held := publishedGeneration(b.configMapIn(first, "registry-keys")); held != before {
				t.Errorf("the copy says generation %d, not %d", held, before)
			}
		}
	})
	t.Run("go when they are not named any more", func(t *testing.T) {
		b := b.in(t)
		b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.Publish.Namespaces = []string{second} })
		b.reconcile(key)
		var withdrawn corev1.ConfigMap
		err := plane.Client.Get(t.Context(), client.ObjectKey{Namespace: first, Name: "registry-keys"}, &withdrawn)
		if !apierrors.IsNotFound(err) {
			t.Errorf("the copy is still there: %v", err)
		}
		b.current(key)
	})
	t.Run("do not hold up a rotation where they are not allowed", func(t *testing.T) {
		b := b.in(t)
		b.update(key, func(k *v1alpha1.SigningKey) {
			k.Spec.Publish.Namespaces = []string{second, third, b.o.Namespace + "-none"}
		})
		b.after(interval, key)
		want := map[string]said{
			"Ready":     {"False", v1alpha1.ReasonPublishNamespaceNotAllowed},
			"Published": {"False", v1alpha1.ReasonPublishNamespaceNotAllowed},
			"Stalled":   {"True", v1alpha1.ReasonPublishNamespaceNotAllowed},
		}
		if diff := cmp.Diff(want, conditionsOf(key.Status.Conditions)); diff != "" {
			t.Errorf("conditions (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]v1alpha1.KeyState{retired, active, published}, statesOf(key)); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(b.configMap(key).Data, b.configMapIn(second, "registry-keys").Data); diff != "" {
			t.Errorf("the other copies follow (-want +got):\n%s", diff)
		}
	})
	t.Run("leave a foreign ConfigMap alone", func(t *testing.T) {
		b := b.in(t)
		foreign := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: first, Name: "registry-keys",
				Labels: map[string]string{v1alpha1.LabelSigningKey: "registry"},
			},
			Data: map[string]string{"mine": "x"},
		}
		create(t, foreign)
		b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.Publish.Namespaces = []string{first} })
		b.after(time.Minute, key)
		if diff := cmp.Diff(map[string]string{"mine": "x"}, b.configMapIn(first, "registry-keys").Data); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(said{"False", v1alpha1.ReasonNameTaken}, conditionsOf(key.Status.Conditions)["Published"]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestGenerationThatSomebodyMadeUpIsNotBelieved holds that whoever edits the ConfigMap cannot bring the key set to the end
// of the numbers, past which an older set would replace a newer one.
func TestGenerationThatSomebodyMadeUpIsNotBelieved(t *testing.T) {
	for _, made := range []int64{keyring.MaxGeneration - 1, keyring.MaxGeneration, math.MaxInt64, 1<<32 + 1000} {
		b := newKeyBench(t, "made-up")
		key := b.signingKey("registry")
		b.reconcile(key)
		before := b.ring(key).Generation
		m := b.configMap(key)
		m.Annotations[v1alpha1.AnnotationGeneration] = strconv.FormatInt(made, 10)
		m.Data["jwks.json"] = "{}"
		if err := plane.Client.Update(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		b.reconcile(key)
		b.current(key)
		if after := b.ring(key).Generation; after > before+10 || publishedGeneration(b.configMap(key)) != after {
			t.Errorf("%d: the key set went from generation %d to %d, and %d is public", made, before, after, publishedGeneration(b.configMap(key)))
		}
		if diff := cmp.Diff(keysIn(key, active, published), b.jwks(b.configMap(key))); diff != "" {
			t.Errorf("%d: the JWKS (-want +got):\n%s", made, diff)
		}
	}
}
