package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// freeze makes what the API server holds immutable.
func (b *keyBench) freeze(o client.Object) {
	b.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"immutable":true}`))
	if err := plane.Client.Patch(b.Context(), o, patch); err != nil {
		b.Fatal(err)
	}
}

func (b *keyBench) delete(objects ...client.Object) {
	b.Helper()
	for _, o := range objects {
		if err := plane.Client.Delete(b.Context(), o); err != nil {
			b.Fatal(err)
		}
	}
}

func stuckFor(reason string) map[string]said {
	return map[string]said{"Ready": {"False", reason}, "Published": {"False", reason}, "Stalled": {"True", reason}}
}

func TestRevocationDoesNotWaitForTheConfigMap(t *testing.T) {
	b := newKeyBench(t, "frozen-map")
	key := b.signingKey("registry")
	b.reconcile(key)
	dead := key.Status.ActiveKeyID
	b.freeze(b.configMap(key))
	b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = []string{dead} })
	b.reconcile(key)
	if diff := cmp.Diff([]v1alpha1.KeyState{revoked, active, pending}, statesOf(key)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if k := mustActive(b, key); k.KeyID == dead {
		t.Error("the key that was revoked signs")
	}
	if diff := cmp.Diff(stuckFor(v1alpha1.ReasonImmutable), conditionsOf(key.Status.Conditions)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	before := b.versions(key)
	b.after(time.Minute, key)
	if diff := cmp.Diff(before, b.versions(key)); diff != "" {
		t.Errorf("written though nothing changed (-before +after):\n%s", diff)
	}
	b.delete(b.configMap(key))
	b.reconcile(key)
	b.current(key)
}

func TestCopyThatIsImmutableIsSaid(t *testing.T) {
	b := newKeyBench(t, "frozen-copy")
	tenant := b.o.Namespace + "-tenant"
	if err := plane.CreateNamespace(t.Context(), tenant, nil); err != nil {
		t.Fatal(err)
	}
	allow(t, b.o, tenant, mayPublish)
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Spec.Publish.Namespaces = []string{tenant} })
	b.reconcile(key)
	b.freeze(b.configMapIn(tenant, "registry-keys"))
	b.after(interval, key)
	if diff := cmp.Diff(stuckFor(v1alpha1.ReasonImmutable), conditionsOf(key.Status.Conditions)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]v1alpha1.KeyState{retired, active, published}, statesOf(key)); diff != "" {
		t.Errorf("a tenant held up the rotation (-want +got):\n%s", diff)
	}
}

func TestSecretThatIsImmutableIsSaid(t *testing.T) {
	b := newKeyBench(t, "frozen-secret")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.freeze(b.secret(key))
	b.after(interval, key)
	if diff := cmp.Diff(stalledFor(v1alpha1.ReasonImmutable), saidOf(key)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	b.delete(b.secret(key))
	b.reconcile(key)
	b.current(key)
}

func TestFailuresAreSaidAndTriedAgain(t *testing.T) {
	broken := errors.New("attempt 4711 failed")
	fails := func(is func(namespace, name string) bool) interceptor.Funcs {
		match := func(o client.Object) bool { return is(o.GetNamespace(), o.GetName()) }
		return interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				if _, secret := o.(*corev1.Secret); secret && is(k.Namespace, "read "+k.Name) {
					return broken
				}
				return c.Get(ctx, k, o, opts...)
			},
			Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
				if match(o) {
					return broken
				}
				return c.Update(ctx, o, opts...)
			},
			Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
				if is("", "configmap") {
					return broken
				}
				return c.Apply(ctx, o, opts...)
			},
		}
	}
	cases := map[string]struct {
		reason string
		fails  func(namespace, name string) bool
		want   []v1alpha1.KeyState
	}{
		"the ConfigMap cannot be written": {
			reason: "the standby was public, so it may sign; its successor is not",
			fails:  func(_, name string) bool { return name == "configmap" },
			want:   []v1alpha1.KeyState{revoked, active, pending},
		},
		"the Secret cannot be written": {
			fails: func(_, name string) bool {
				return strings.HasSuffix(name, "-signing-key") && !strings.HasPrefix(name, "read")
			},
			want: []v1alpha1.KeyState{active, published},
		},
		"the Secret cannot be read": {
			fails: func(_, name string) bool { return name == "read registry-signing-key" },
			want:  []v1alpha1.KeyState{active, published},
		},
		"the authority cannot be read": {
			reason: "it may be a backend of its own that is away; a revocation does not need it",
			fails:  func(_, name string) bool { return name == "read registry-certificate-authority" },
			want:   []v1alpha1.KeyState{revoked, published},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newKeyBench(t, "failures")
			key := b.signingKey("registry")
			b.reconcile(key)
			b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = []string{k.Status.ActiveKeyID} })
			sound := *b.r
			b.faulty(fails(c.fails))
			if _, err := b.step(key); !errors.Is(err, broken) {
				t.Errorf("it would not be tried again soon: %v", err)
			}
			refresh(t, key)
			if diff := cmp.Diff(c.want, statesOf(key)); diff != "" {
				t.Errorf("%s: states (-want +got):\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(map[string]said{"Ready": {"False", v1alpha1.ReasonRequestFailed}}, saidOf(key)); diff != "" {
				t.Errorf("it may pass by itself (-want +got):\n%s", diff)
			}
			for _, condition := range key.Status.Conditions {
				if strings.Contains(condition.Message, "attempt 4711") {
					t.Errorf("the message changes with each attempt: %s", condition.Message)
				}
			}
			before := b.versions(key)
			_, _ = b.step(key)
			if diff := cmp.Diff(before, b.versions(key)); diff != "" {
				t.Errorf("written though nothing changed (-before +after):\n%s", diff)
			}
			b.r = &sound
			b.reconcile(key)
			b.current(key)
		})
	}
}

func TestConflictsAreNotSaid(t *testing.T) {
	b := newKeyBench(t, "conflict")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.clock.SetTime(b.clock.Now().Add(interval))
	before := key.Status
	b.faulty(interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			o.SetResourceVersion("1")
			return c.Update(ctx, o, opts...)
		},
	})
	if _, err := b.step(key); err == nil {
		t.Error("it is not tried again soon")
	}
	refresh(t, key)
	if diff := cmp.Diff(before, key.Status); diff != "" {
		t.Errorf("status (-before +after):\n%s", diff)
	}
}

func TestTrustAnchorIsNeverReplacedByAFault(t *testing.T) {
	b := newKeyBench(t, "anchor")
	key := b.signingKey("registry")
	b.reconcile(key)
	trusted, authority := b.configMap(key).Data["ca.crt"], b.authority(key)
	b.delete(b.secret(key), authority.DeepCopy())
	for range 2 {
		b.after(time.Minute, key)
		if diff := cmp.Diff(trusted, b.configMap(key).Data["ca.crt"]); diff != "" {
			t.Errorf("ca.crt (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(stalledFor(v1alpha1.ReasonInvalidSecret), saidOf(key)); diff != "" {
			t.Errorf("conditions (-want +got):\n%s", diff)
		}
	}
	authority.ResourceVersion, authority.UID = "", ""
	if err := plane.Client.Create(t.Context(), authority); err != nil {
		t.Fatal(err)
	}
	b.reconcile(key)
	b.current(key)
	if diff := cmp.Diff(trusted, b.configMap(key).Data["ca.crt"]); diff != "" {
		t.Errorf("ca.crt once it is restored (-before +after):\n%s", diff)
	}
}

func TestForeignConfigMapNamesNoTrustAnchor(t *testing.T) {
	b := newKeyBench(t, "anchor-foreign")
	other := b.signingKey("other")
	b.reconcile(other)
	create(t, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.o.Namespace, Name: "registry-keys"}, Data: b.configMap(other).Data,
	})
	key := b.signingKey("registry")
	b.reconcile(key)
	if diff := cmp.Diff(string(b.authority(key).Data["ca.crt"]), string(b.ring(key).AuthoritiesPEM())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLabelsOfTheSecretComeBack(t *testing.T) {
	bench := newKeyBench(t, "labels")
	for name, change := range map[string]func(map[string]string) map[string]string{
		"the watch label":        func(l map[string]string) map[string]string { delete(l, v1alpha1.LabelWatch); return l },
		"the SigningKey's label": func(l map[string]string) map[string]string { delete(l, v1alpha1.LabelSigningKey); return l },
		"all":                    func(map[string]string) map[string]string { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := bench.in(t)
			key := b.signingKey(bench.name())
			b.reconcile(key)
			before := keysIn(key, active)
			secret := b.secret(key)
			secret.Labels = change(secret.Labels)
			if err := plane.Client.Update(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			b.reconcile(key)
			if diff := cmp.Diff(keyring.SecretLabels(key.Name), b.secret(key).Labels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, keysIn(key, active)); diff != "" {
				t.Errorf("the key that signs (-before +after):\n%s", diff)
			}
			b.current(key)
		})
	}
}

func TestTheKeysComeFirst(t *testing.T) {
	b := newKeyBench(t, "order")
	key := b.signingKey("registry")
	b.reconcile(key)
	secret := b.secret(key)
	secret.Data = map[string][]byte{"keyring.json": []byte("{}")}
	if err := plane.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	b.update(key, func(k *v1alpha1.SigningKey) {
		k.Spec.KeyIdentification, k.Spec.Rotation.PublishAhead = v1alpha1.KeyID, "1h"
	})
	b.reconcile(key)
	if diff := cmp.Diff(stalledFor(v1alpha1.ReasonInvalidSecret), saidOf(key)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

// What docs/install.md says for a new cluster, and docs/signingkey.md for a SigningKey whose finalizer was removed by hand:
// the authority is given to the new object, and the registries need nothing new.
func TestAuthorityOfAnEarlierSigningKeyIsGivenToTheNew(t *testing.T) {
	b := newKeyBench(t, "adopt")
	earlier := b.signingKey("registry")
	b.reconcile(earlier)
	trusted := b.configMap(earlier).Data["ca.crt"]
	b.delete(b.secret(earlier), b.configMap(earlier))
	b.vanish(earlier)
	key := b.signingKey("registry")
	result := b.reconcile(key)
	if diff := cmp.Diff(stalledFor(v1alpha1.ReasonNameTaken), saidOf(key)); diff != "" {
		t.Fatalf("conditions (-want +got):\n%s", diff)
	}
	if result.RequeueAfter == 0 || result.RequeueAfter > time.Minute {
		t.Errorf("it is looked at again after %s, and nothing tells of a change", result.RequeueAfter)
	}
	remedy := keyring.AnnotationOwner + ` to "` + string(key.UID) + `"`
	for _, condition := range key.Status.Conditions {
		if condition.Type == v1alpha1.ConditionReady && !strings.Contains(condition.Message, remedy) {
			t.Errorf("the message does not name the remedy: %s", condition.Message)
		}
	}
	authority := b.authority(key)
	authority.Annotations[keyring.AnnotationOwner] = string(key.UID) // kubectl annotate --overwrite
	if err := plane.Client.Update(t.Context(), authority); err != nil {
		t.Fatal(err)
	}
	b.reconcile(key)
	b.current(key)
	if diff := cmp.Diff(trusted, b.configMap(key).Data["ca.crt"]); diff != "" {
		t.Errorf("ca.crt (-before +after):\n%s", diff)
	}
}
