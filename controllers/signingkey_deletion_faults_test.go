package controllers

import (
	"context"
	"errors"
	"fmt"
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

// TestWhatCannotBeDeletedHoldsNothingUp has what can be wrong with what lies in other namespaces.
func TestWhatCannotBeDeletedHoldsNothingUp(t *testing.T) {
	type bench struct {
		*keyBench
		key    *v1alpha1.SigningKey
		tenant string
	}
	cases := map[string]struct {
		reason    string
		mayDelete bool
		before    func(bench)
		// copyStays and authorityStays say what is left in the end, and warned what a person is told of.
		copyStays, authorityStays bool
		warned                    func(bench) string
	}{
		"a copy without the right to delete it": {
			reason: "the chart's publishNamespaces changed", copyStays: true,
			warned: func(b bench) string { return "ConfigMap " + b.tenant + "/" + keyring.ConfigMapName(b.key) },
		},
		"an immutable copy": {
			reason: "what cannot be changed can be deleted", mayDelete: true,
			before: func(b bench) { b.freeze(b.configMapIn(b.tenant, keyring.ConfigMapName(b.key))) },
		},
		"a copy that somebody made theirs": {
			reason: "it is not ours", mayDelete: true, copyStays: true,
			before: func(b bench) {
				m := b.configMapIn(b.tenant, keyring.ConfigMapName(b.key))
				m.Annotations[keyring.AnnotationOwner] = "somebody"
				b.write(m)
			},
		},
		"an authority of somebody else": {
			reason: "it is not ours", mayDelete: true, authorityStays: true,
			before: func(b bench) {
				secret := b.authority(b.key)
				secret.Annotations[keyring.AnnotationOwner] = "somebody"
				b.write(secret)
			},
		},
		"a Secret of somebody else in the place of the authority's": {
			reason: "it is not ours", mayDelete: true, authorityStays: true,
			before: func(b bench) {
				secret := b.authority(b.key)
				b.delete(secret.DeepCopy())
				create(b.T, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name}})
			},
		},
	}
	whole := newDeletionBench(t, "left")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bench{keyBench: whole.in(t)}
			b.clock.SetTime(time.Now().UTC().Truncate(time.Second))
			name := whole.name()
			b.tenant = b.keyBench.tenant(name, c.mayDelete)
			b.key = b.signingKey(name, func(k *v1alpha1.SigningKey) { k.Spec.Publish.Namespaces = []string{b.tenant} })
			b.reconcile(b.key)
			if c.before != nil {
				c.before(b)
			}
			b.begin(b.key)
			b.at(0, b.key)
			b.at(heldFor-time.Second, b.key)
			if !b.there(b.key) {
				t.Fatal("it was let go too early")
			}
			b.told()
			b.at(heldFor, b.key)
			if b.there(b.key) {
				t.Errorf("%s: it is still held", c.reason)
			}
			if got := b.copyThere(b.tenant, b.key); got != c.copyStays {
				t.Errorf("%s: the copy is there: %t", c.reason, got)
			}
			if got := b.authorityThere(b.key); got != c.authorityStays {
				t.Errorf("%s: the authority is there: %t", c.reason, got)
			}
			warning := b.warning("LeftBehind")
			switch {
			case c.warned == nil && warning != "":
				t.Errorf("%s: told %s", c.reason, warning)
			case c.warned != nil && !strings.Contains(warning, c.warned(b)):
				t.Errorf("%q does not name %s", warning, c.warned(b))
			}
		})
	}
}

// failing fails the deletion of the objects, for so long as it says.
func failing(broken error, is func(client.Object) bool) interceptor.Funcs {
	return interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if is(o) {
				return broken
			}
			return c.Delete(ctx, o, opts...)
		},
	}
}

func TestFailedDeletionsAreTriedAgainUntilTheBound(t *testing.T) {
	broken := errors.New("attempt 4711 failed")
	cases := map[string]struct {
		is func(client.Object) bool
	}{
		"of the authority": {is: func(o client.Object) bool { return strings.HasSuffix(o.GetName(), "-certificate-authority") }},
		"of a copy":        {is: func(o client.Object) bool { return strings.HasSuffix(o.GetName(), "-keys") }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newDeletionBench(t, "again")
			tenant := b.tenant("tenant", true)
			key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Spec.Publish.Namespaces = []string{tenant} })
			b.reconcile(key)
			// Nothing was signed that anybody accepts, so that it could go at once.
			b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = keysIn(k, active, published) })
			b.begin(key)
			sound := *b.r
			b.faulty(failing(broken, c.is))
			b.clock.SetTime(key.DeletionTimestamp.Add(heldFor - time.Second).UTC())
			if _, err := b.step(key); !errors.Is(err, broken) {
				t.Fatalf("it would not be tried again soon: %v", err)
			}
			refresh(t, key)
			if said := message(key); !strings.Contains(said, "could not be deleted") || strings.Contains(said, "attempt 4711") {
				t.Errorf("the status says %q", said)
			}
			if warning := b.warning("LeftBehind"); warning != "" {
				t.Errorf("told before the bound: %s", warning)
			}
			t.Run("and then all is well", func(t *testing.T) {
				b := b.in(t)
				b.r = &sound
				b.at(heldFor-time.Second, key)
				if b.there(key) || b.copyThere(tenant, key) || b.authorityThere(key) {
					t.Error("something is still there")
				}
			})
		})
	}
}

func TestAuthorityThatCannotBeDeletedIsTold(t *testing.T) {
	b := newDeletionBench(t, "stuck-ca")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.begin(key)
	b.faulty(failing(errors.New("no"), func(o client.Object) bool { return o.GetNamespace() == b.o.CANamespace }))
	b.at(heldFor, key)
	if b.there(key) {
		t.Error("it is still held")
	}
	if warning := b.warning("LeftBehind"); !strings.Contains(warning, "Secret "+b.o.CANamespace+"/registry-certificate-authority") {
		t.Errorf("told %q", warning)
	}
}

var errCrashed = errors.New("the process was killed")

// crashing kills the process when its n-th write has been done, before anybody knows; n = 0: before the first.
func crashing(n int, crashed *bool) interceptor.Funcs {
	writes := 0
	write := func(do func() error) error {
		if writes >= n {
			*crashed = true
			return errCrashed
		}
		if writes++; writes < n {
			return do()
		}
		*crashed = true
		return errors.Join(errCrashed, do())
	}
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			return write(func() error { return c.Create(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return write(func() error { return c.Update(ctx, o, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return write(func() error { return c.Delete(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return write(func() error { return c.Patch(ctx, o, p, opts...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return write(func() error { return c.Apply(ctx, o, opts...) })
		},
		SubResourceApply: func(ctx context.Context, c client.Client, sub string, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
			return write(func() error { return c.SubResource(sub).Apply(ctx, o, opts...) })
		},
	}
}

// TestManagerKilledWhileASigningKeyGoes kills it after each write, at the beginning and at the end, and has the next
// manager do the rest.
func TestManagerKilledWhileASigningKeyGoes(t *testing.T) {
	bench := newDeletionBench(t, "killed")
	tenant := bench.tenant("tenant", true)
	sound := *bench.r
	kills := map[time.Duration]int{}
	for _, after := range []time.Duration{0, heldFor} {
		for n, killed := 0, true; killed; n++ {
			t.Run(fmt.Sprintf("%s after the deletion and after %d writes", after, n), func(t *testing.T) {
				b := bench.in(t)
				b.clock.SetTime(time.Now().UTC().Truncate(time.Second))
				key := b.signingKey(bench.name(), func(k *v1alpha1.SigningKey) { k.Spec.Publish.Namespaces = []string{tenant} })
				b.reconcile(key)
				signed, trusted := keysIn(key, active), b.configMap(key).Data["ca.crt"]
				b.begin(key)
				if after > 0 {
					b.at(0, key)
				}
				victim, crashed := sound, false
				b.r = &victim
				b.faulty(crashing(n, &crashed))
				b.clock.SetTime(key.DeletionTimestamp.Add(after).UTC())
				if _, err := b.step(key); crashed != (err != nil) {
					t.Fatalf("killed %t: %v", crashed, err)
				}
				if killed = crashed; killed {
					kills[after]++
				}
				b.r = &sound
				if after == 0 {
					b.at(0, key)
					refresh(t, key)
					b.saysDeleting(key)
					for _, m := range []*corev1.ConfigMap{b.configMap(key), b.configMapIn(tenant, key.Name+"-keys")} {
						if diff := cmp.Diff(signed, b.jwks(m)); diff != "" {
							t.Errorf("jwks.json (-want +got):\n%s", diff)
						}
						if diff := cmp.Diff(trusted, m.Data["ca.crt"]); diff != "" {
							t.Errorf("ca.crt (-want +got):\n%s", diff)
						}
					}
				}
				b.at(heldFor, key)
				if b.there(key) || b.copyThere(tenant, key) || b.authorityThere(key) {
					t.Error("something is still there")
				}
			})
			if t.Failed() {
				return
			}
		}
	}
	if kills[0] < 5 || kills[heldFor] < 3 {
		t.Errorf("killed at fewer writes than there are: %v", kills)
	}
}

// saysDeleting is what the status of a SigningKey says that goes and with which nothing is wrong.
func (b *keyBench) saysDeleting(key *v1alpha1.SigningKey) {
	b.Helper()
	want := map[string]said{"Ready": {"False", v1alpha1.ReasonDeleting}, "Published": {"True", v1alpha1.ReasonPublished}}
	if diff := cmp.Diff(want, conditionsOf(key.Status.Conditions)); diff != "" {
		b.Errorf("conditions (-want +got):\n%s", diff)
	}
	if len(b.ring(key).Keys) != 1 || len(keysIn(key, retired)) != 1 || b.authorityThere(key) {
		b.Errorf("keys %v, or the authority is still there", statesOf(key))
	}
}

// TestDeletionDoesNotTrustACache has a cache that is behind: it holds nothing.
func TestDeletionDoesNotTrustACache(t *testing.T) {
	b := newDeletionBench(t, "behind")
	tenant := b.tenant("tenant", true)
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Spec.Publish.Namespaces = []string{tenant} })
	b.reconcile(key)
	live := b.r.live
	b.faulty(interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return errors.New("read from the cache")
		},
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return errors.New("read from the cache")
		},
	})
	b.r.live = live
	b.begin(key)
	b.at(0, key)
	refresh(t, key)
	b.saysDeleting(key)
	b.at(heldFor, key)
	if b.there(key) || b.copyThere(tenant, key) {
		t.Error("something is still there")
	}
}

// TestManagerThatIsBehindDoesNotReviveADeletedSigningKey has a manager that read before the deletion, and writes after
// another one has retired the keys.
func TestManagerThatIsBehindDoesNotReviveADeletedSigningKey(t *testing.T) {
	b := newDeletionBench(t, "revive")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.clock.SetTime(b.clock.Now().Add(interval)) // a rotation is due
	overtaken := false
	inner := b.r.client
	b.faulty(interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if !overtaken {
				overtaken = true
				b.delete(key.DeepCopy())
				other := *b.r
				other.client, other.live = inner, inner
				if _, err := other.Reconcile(ctx, requestOf(key)); err != nil {
					return err
				}
			}
			return c.Update(ctx, o, opts...)
		},
	})
	if _, err := b.step(key); err == nil || !overtaken {
		t.Fatal("the rotation was written over the deletion")
	}
	for _, k := range b.ring(key).Keys {
		if k.Private != nil {
			t.Errorf("key %s is %s and can sign", k.Thumbprint, k.State)
		}
	}
}
