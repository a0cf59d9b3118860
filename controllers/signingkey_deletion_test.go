package controllers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func TestFinalizerIsAllThatTheManagerOwnsOfASigningKey(t *testing.T) {
	b := newKeyBench(t, "finalizer")
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Finalizers = []string{"example.com/theirs"} })
	t.Cleanup(func() { b.unhold(key) })
	b.reconcile(key)
	b.current(key)
	if diff := cmp.Diff([]string{"example.com/theirs", v1alpha1.FinalizerSigningKey}, key.Finalizers); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}
	owned := map[string]string{}
	for _, entry := range key.ManagedFields {
		if strings.HasPrefix(entry.Manager, "tokenwright/") && entry.Subresource == "" {
			owned[entry.Manager] = entry.FieldsV1.GetRawString()
		}
	}
	want := map[string]string{string(finalizerOwner): `{"f:metadata":{"f:finalizers":{"v:\"tokenwright.dev/signing-key\"":{}}}}`}
	if diff := cmp.Diff(want, owned); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// TestLifeAfterDeletion is the whole of it: nothing is signed, what was signed verifies, and then all is gone.
func TestLifeAfterDeletion(t *testing.T) {
	b := newDeletionBench(t, "life")
	tenant := b.tenant("tenant", true)
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Spec.Publish.Namespaces = []string{tenant} })
	b.reconcile(key)
	b.current(key)
	signed, trusted := keysIn(key, active), b.configMap(key).Data["ca.crt"]
	b.told()

	b.begin(key)
	result := b.reconcile(key)
	if diff := cmp.Diff([]string{"KeyRetired", "KeyRemoved"}, b.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(recheck, result.RequeueAfter); diff != "" {
		t.Errorf("requeue (-want +got):\n%s", diff)
	}
	for name, secret := range b.secret(key).Data {
		if strings.HasPrefix(name, "private-") {
			t.Errorf("%d bytes of a private half are left", len(secret))
		}
	}
	if b.authorityThere(key) {
		t.Error("the certificate authority can still certify")
	}
	want := map[string]said{"Ready": {"False", v1alpha1.ReasonDeleting}, "Published": {"True", v1alpha1.ReasonPublished}}
	if diff := cmp.Diff(want, conditionsOf(key.Status.Conditions)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	for _, said := range []string{key.DeletionTimestamp.Add(heldFor).UTC().Format(time.RFC3339), v1alpha1.AnnotationForceDelete} {
		if !strings.Contains(message(key), said) {
			t.Errorf("%q does not say %s", message(key), said)
		}
	}

	still := func(after time.Duration) {
		t.Helper()
		b.at(after, key)
		for _, namespace := range []string{b.o.Namespace, tenant} {
			m := b.configMapIn(namespace, "registry-keys")
			if diff := cmp.Diff(signed, b.jwks(m)); diff != "" {
				t.Errorf("jwks.json in %s after %s (-want +got):\n%s", namespace, after, diff)
			}
			if diff := cmp.Diff(trusted, m.Data["ca.crt"]); diff != "" {
				t.Errorf("ca.crt in %s after %s (-want +got):\n%s", namespace, after, diff)
			}
		}
		refresh(t, key)
		if diff := cmp.Diff(signed, keysIn(key, retired)); diff != "" {
			t.Errorf("status after %s (-want +got):\n%s", after, diff)
		}
	}
	still(0)
	before := b.versions(key)
	still(heldFor - time.Second)
	if diff := cmp.Diff(before, b.versions(key)); diff != "" {
		t.Errorf("written though nothing happened (-before +after):\n%s", diff)
	}

	b.at(heldFor, key)
	if b.there(key) {
		t.Errorf("it is still held: %v", key.Finalizers)
	}
	if b.figures() == 0 {
		t.Error("the metrics forgot it before it was gone")
	}
	b.at(heldFor, key)
	if n := b.figures(); n > 0 {
		t.Errorf("%d figures of a SigningKey that is gone", n)
	}
	if b.copyThere(tenant, key) {
		t.Error("the copy is still there")
	}
	if diff := cmp.Diff([]string{"KeyRemoved"}, b.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestDeletedSigningKeyIsHeldNoLongerThanItMust(t *testing.T) {
	cases := map[string]struct {
		reason string
		before func(*keyBench, *v1alpha1.SigningKey)
		held   time.Duration
	}{
		"a lifetime that was lowered": {
			reason: "the key may have signed a token of the longer lifetime",
			before: func(b *keyBench, k *v1alpha1.SigningKey) {
				b.update(k, func(k *v1alpha1.SigningKey) { k.Spec.TokenLifetime = "10h" })
				b.reconcile(k)
				b.update(k, func(k *v1alpha1.SigningKey) { k.Spec.TokenLifetime = "5m" })
				b.reconcile(k)
			},
			held: heldFor + 10*time.Hour - 15*time.Minute,
		},
		"everything revoked": {
			reason: "nobody shall accept what was signed",
			before: func(b *keyBench, k *v1alpha1.SigningKey) {
				b.update(k, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = keysIn(k, active, published) })
				b.reconcile(k)
				b.update(k, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = keysIn(k, active, published, revoked) })
			},
		},
		"forced": {
			reason: "somebody knows better",
			before: func(b *keyBench, k *v1alpha1.SigningKey) {
				b.update(k, func(k *v1alpha1.SigningKey) {
					metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.AnnotationForceDelete, "")
				})
			},
		},
		"a Secret that cannot be changed": {
			reason: "servers do not sign all the same",
			before: func(b *keyBench, k *v1alpha1.SigningKey) { b.freeze(b.secret(k)) },
			held:   heldFor,
		},
		"a damaged Secret": {
			reason: "nobody knows any more what the keys were allowed: the schema's longest lifetime",
			before: func(b *keyBench, k *v1alpha1.SigningKey) {
				secret := b.secret(k)
				secret.Data = map[string][]byte{"keyring.json": []byte("{}")}
				if err := plane.Client.Update(b.Context(), secret); err != nil {
					b.Fatal(err)
				}
			},
			held: heldFor + 24*time.Hour - 15*time.Minute,
		},
		"a Secret that is lost": {
			reason: "the status tells the public halves, and not what they were allowed",
			before: func(b *keyBench, k *v1alpha1.SigningKey) { b.delete(b.secret(k)) },
			held:   heldFor + 24*time.Hour - 15*time.Minute,
		},
	}
	bench := newDeletionBench(t, "bound")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bench.in(t)
			b.clock.SetTime(time.Now().UTC().Truncate(time.Second))
			key := b.signingKey(bench.name())
			b.reconcile(key)
			c.before(b, key)
			b.begin(key)
			if c.held > 0 {
				b.at(0, key)
				served := b.jwks(b.configMap(key))
				if len(served) == 0 {
					t.Errorf("%s: the JWKS is empty", c.reason)
				}
				b.at(c.held-time.Second, key)
				if !b.there(key) {
					t.Fatalf("%s: it was let go too early", c.reason)
				}
				if diff := cmp.Diff(said{"False", v1alpha1.ReasonDeleting}, saidOf(key)["Ready"]); diff != "" {
					t.Errorf("conditions (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(served, b.jwks(b.configMap(key))); diff != "" {
					t.Errorf("%s: jwks.json (-before +after):\n%s", c.reason, diff)
				}
			}
			b.at(c.held, key)
			if b.there(key) {
				t.Errorf("%s: it is still held: %s", c.reason, message(key))
			}
			if b.authorityThere(key) {
				t.Error("the certificate authority is still there")
			}
		})
	}
}

// TestManagerThatComesLateLetsGoAtOnce has a manager that was dead all the while: servers stopped without it.
func TestManagerThatComesLateLetsGoAtOnce(t *testing.T) {
	b := newDeletionBench(t, "late")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.begin(key)
	b.at(heldFor, key)
	if b.there(key) {
		t.Errorf("it is still held: %s", message(key))
	}
	for name := range b.secret(key).Data {
		if strings.HasPrefix(name, "private-") {
			t.Error("a private half is left to the garbage collector")
		}
	}
}

// TestForegroundDeletionLosesNothing has the garbage collector delete what the SigningKey owns first, at any time until it
// takes its own finalizer away.
func TestForegroundDeletionLosesNothing(t *testing.T) {
	cases := map[string]func(b *keyBench, key *v1alpha1.SigningKey, collect func()){
		"before the manager looks": func(b *keyBench, key *v1alpha1.SigningKey, collect func()) { collect(); b.at(0, key) },
		"after it":                 func(b *keyBench, key *v1alpha1.SigningKey, collect func()) { b.at(0, key); collect() },
		"before and after":         func(b *keyBench, key *v1alpha1.SigningKey, collect func()) { collect(); b.at(0, key); collect() },
	}
	bench := newDeletionBench(t, "foreground")
	for name, happens := range cases {
		t.Run(name, func(t *testing.T) {
			b := bench.in(t)
			b.clock.SetTime(time.Now().UTC().Truncate(time.Second))
			key := b.signingKey(bench.name())
			t.Cleanup(func() { b.unhold(key) })
			b.reconcile(key)
			signed, trusted := keysIn(key, active)[0], b.configMap(key).Data["ca.crt"]
			if err := plane.Client.Delete(t.Context(), key, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
				t.Fatal(err)
			}
			refresh(t, key)
			happens(b, key, func() { b.delete(b.secret(key), b.configMap(key)) })
			b.update(key, func(k *v1alpha1.SigningKey) { controllerutil.RemoveFinalizer(k, metav1.FinalizerDeleteDependents) })
			b.at(0, key)
			m := b.configMap(key)
			if public := b.jwks(m); !slices.Contains(public, signed) {
				t.Errorf("jwks.json has %v, and not the key that signed, %s", public, signed)
			}
			if diff := cmp.Diff(trusted, m.Data["ca.crt"]); diff != "" {
				t.Errorf("ca.crt (-want +got):\n%s", diff)
			}
			if b.authorityThere(key) {
				t.Error("the certificate authority can still certify")
			}
		})
	}
}

func TestOtherFinalizersAreLeftAlone(t *testing.T) {
	b := newDeletionBench(t, "others")
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Finalizers = []string{"example.com/theirs"} })
	t.Cleanup(func() { b.unhold(key) })
	b.reconcile(key)
	b.begin(key)
	b.at(heldFor, key)
	refresh(t, key)
	if diff := cmp.Diff([]string{"example.com/theirs"}, key.Finalizers); diff != "" {
		t.Fatalf("finalizers (-want +got):\n%s", diff)
	}
	before := b.versions(key)
	b.at(heldFor+time.Hour, key)
	if diff := cmp.Diff(before, b.versions(key)); diff != "" {
		t.Errorf("written though it is not ours any more (-before +after):\n%s", diff)
	}
}

// TestFinalizerGoesWhoeverElseClaimsIt: a restored backup, or an edit, owns the finalizer too. An apply would leave it.
func TestFinalizerGoesWhoeverElseClaimsIt(t *testing.T) {
	b := newDeletionBench(t, "claimed")
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Finalizers = []string{v1alpha1.FinalizerSigningKey} })
	b.reconcile(key)
	b.begin(key)
	b.at(heldFor, key)
	if b.there(key) {
		t.Error("it is still heldFor")
	}
}
