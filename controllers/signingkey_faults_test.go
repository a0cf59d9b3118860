package controllers

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

func stalledFor(reason string) map[string]said {
	return map[string]said{"Ready": {"False", reason}, "Stalled": {"True", reason}}
}

// saidOf is what the status says of Ready and Stalled.
func saidOf(key *v1alpha1.SigningKey) map[string]said {
	all := conditionsOf(key.Status.Conditions)
	delete(all, v1alpha1.ConditionPublished)
	return all
}

func TestForeignSecretsAreNeverTouched(t *testing.T) {
	cases := map[string]func(o Options, key *v1alpha1.SigningKey) *corev1.Secret{
		"a Secret of a person": func(o Options, key *v1alpha1.SigningKey) *corev1.Secret {
			return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: keyring.SecretName(key.Name)}}
		},
		"a Secret that pretends to be ours but for the owner": func(o Options, key *v1alpha1.SigningKey) *corev1.Secret {
			return &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: keyring.SecretName(key.Name), Labels: keyring.SecretLabels(key.Name)},
				Type:       keyring.SecretType,
			}
		},
		"a Secret of an earlier SigningKey of the name": func(o Options, key *v1alpha1.SigningKey) *corev1.Secret {
			earlier := key.DeepCopy()
			earlier.UID = "00000000-0000-0000-0000-000000000000"
			return &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: o.Namespace, Name: keyring.SecretName(key.Name), Labels: keyring.SecretLabels(key.Name),
					OwnerReferences: []metav1.OwnerReference{keyring.OwnerReference(earlier)},
				},
				Type: keyring.SecretType,
			}
		},
		"a Secret of ours with another type": func(o Options, key *v1alpha1.SigningKey) *corev1.Secret {
			return &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: o.Namespace, Name: keyring.SecretName(key.Name), Labels: keyring.SecretLabels(key.Name),
					OwnerReferences: []metav1.OwnerReference{keyring.OwnerReference(key)},
				},
			}
		},
		"an authority of a person": func(o Options, key *v1alpha1.SigningKey) *corev1.Secret {
			return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: o.CANamespace, Name: keyring.CASecretName(key.Name)}}
		},
		"an authority of an earlier SigningKey of the name": func(o Options, key *v1alpha1.SigningKey) *corev1.Secret {
			return &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: o.CANamespace, Name: keyring.CASecretName(key.Name), Labels: keyring.SecretLabels(key.Name),
					Annotations: map[string]string{keyring.AnnotationOwner: "00000000-0000-0000-0000-000000000000"},
				},
				Type: keyring.CASecretType,
			}
		},
	}
	bench := newKeyBench(t, "foreign")
	for name, make := range cases {
		t.Run(name, func(t *testing.T) {
			b := bench.in(t)
			key := b.signingKey(bench.name())
			foreign := make(b.o, key)
			create(t, foreign)
			before := foreign.ResourceVersion
			b.reconcile(key)
			refresh(t, foreign)
			if diff := cmp.Diff(before, foreign.ResourceVersion); diff != "" {
				t.Errorf("it was touched (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(stalledFor(v1alpha1.ReasonNameTaken), saidOf(key)); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			if len(keysIn(key, active)) > 0 {
				t.Error("a key signs")
			}
		})
	}
}

// privateEntries are the names of the entries with private halves, sorted.
func privateEntries(data map[string][]byte) []string {
	names := slices.Sorted(maps.Keys(data))
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, "private-") })
}

func TestDamagedSecretIsLeftAlone(t *testing.T) {
	cases := map[string]struct {
		reason string
		damage func(data map[string][]byte)
	}{
		"edited": {"nothing in it can be read", func(data map[string][]byte) {
			for entry := range data {
				data[entry] = []byte("x")
			}
		}},
		"emptied": {"nothing is no key set", func(data map[string][]byte) { clear(data) }},
		"a private half is taken away": {"a key set of which a part is missing could lose a key", func(data map[string][]byte) {
			delete(data, privateEntries(data)[0])
		}},
		"a private half of another key is put in": {"it would sign what nobody can verify", func(data map[string][]byte) {
			names := privateEntries(data)
			data[names[0]] = data[names[1]]
		}},
		"an entry of nobody is put in": {"what is not ours must not lie there", func(data map[string][]byte) {
			data["private-x.pem"] = data[privateEntries(data)[0]]
		}},
	}
	bench := newKeyBench(t, "damaged")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bench.in(t)
			key := b.signingKey(bench.name())
			b.reconcile(key)
			known, public := key.Status.Keys, b.configMap(key).Data
			secret := b.secret(key)
			good := secret.DeepCopy()
			c.damage(secret.Data)
			if err := plane.Client.Update(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			before := b.versions(key)
			b.after(interval, key)
			after := b.versions(key)
			delete(before, "signingkey")
			delete(after, "signingkey")
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("%s; something was overwritten (-before +after):\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(stalledFor(v1alpha1.ReasonInvalidSecret), saidOf(key)); diff != "" {
				t.Errorf("%s; conditions (-want +got):\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(known, key.Status.Keys); diff != "" {
				t.Errorf("the public halves are still known (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(public, b.configMap(key).Data); diff != "" {
				t.Errorf("and still published (-want +got):\n%s", diff)
			}

			secret.Data = good.Data
			if err := plane.Client.Update(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			b.reconcile(key)
			b.current(key)
			if diff := cmp.Diff([]v1alpha1.KeyState{retired, active, published}, statesOf(key)); diff != "" {
				t.Errorf("states once it is restored (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLostSecretIsReplacedAndItsPublicHalvesStay(t *testing.T) {
	b := newKeyBench(t, "lost")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.told()
	lost := keysIn(key, active, published) // the standby may have signed since the status was written
	generation, authorities := publishedGeneration(b.configMap(key)), b.configMap(key).Data["ca.crt"]
	if err := plane.Client.Delete(t.Context(), b.secret(key)); err != nil {
		t.Fatal(err)
	}
	b.reconcile(key)
	if diff := cmp.Diff([]v1alpha1.KeyState{retired, retired, active, published}, statesOf(key)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(lost, keysIn(key, retired)); diff != "" {
		t.Errorf("the lost key (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(keysIn(key, published, active, retired), b.jwks(b.configMap(key))); diff != "" {
		t.Errorf("jwks.json (-want +got):\n%s", diff)
	}
	if publishedGeneration(b.configMap(key)) <= generation {
		t.Error("the generation did not grow")
	}
	if diff := cmp.Diff(authorities, b.configMap(key).Data["ca.crt"]); diff != "" {
		t.Errorf("registries trust the same authority (-before +after):\n%s", diff)
	}
	if told := b.told(); told[0] != "KeysLost" {
		t.Errorf("events %v", told)
	}
	b.current(key)
}

func TestLostAuthorityStopsRotationNotSigning(t *testing.T) {
	b := newKeyBench(t, "lost-ca")
	key := b.signingKey("registry")
	b.reconcile(key)
	authorities := b.configMap(key).Data["ca.crt"]
	authority := b.authority(key)
	if err := plane.Client.Delete(t.Context(), authority.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	b.after(interval, key)
	if diff := cmp.Diff([]v1alpha1.KeyState{active, published}, statesOf(key)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(stalledFor(v1alpha1.ReasonInvalidSecret), saidOf(key)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(authorities, b.configMap(key).Data["ca.crt"]); diff != "" {
		t.Errorf("ca.crt (-before +after):\n%s", diff)
	}
	authority.ResourceVersion, authority.UID = "", ""
	if err := plane.Client.Create(t.Context(), authority); err != nil {
		t.Fatal(err)
	}
	b.reconcile(key)
	b.current(key)
	if diff := cmp.Diff([]v1alpha1.KeyState{retired, active, published}, statesOf(key)); diff != "" {
		t.Errorf("states once it is restored (-want +got):\n%s", diff)
	}
}

func TestTooShortPublishAheadStopsRotation(t *testing.T) {
	b := newKeyBench(t, "ahead")
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Spec.KeyIdentification = v1alpha1.KeyID })
	b.reconcile(key)
	b.current(key)
	b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.Rotation.PublishAhead = "1h" })
	b.after(interval, key)
	if diff := cmp.Diff(stalledFor(v1alpha1.ReasonPublishAheadTooShort), saidOf(key)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]v1alpha1.KeyState{active, published}, statesOf(key)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

// faulty lets the test stand between the reconciler and the API server.
func (b *keyBench) faulty(funcs interceptor.Funcs) {
	b.Helper()
	inner, ok := b.r.client.(client.WithWatch)
	if !ok {
		b.Fatal("the client does not watch")
	}
	c := interceptor.NewClient(inner, funcs)
	b.r.client, b.r.live = c, c
}

func TestKeyThatIsNotPublicDoesNotSign(t *testing.T) {
	b := newKeyBench(t, "unpublished")
	key := b.signingKey("registry")
	broken := errors.New("the API server is away")
	b.faulty(interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			if _, published := o.(*corev1ac.ConfigMapApplyConfiguration); published {
				return broken
			}
			return c.Apply(ctx, o, opts...)
		},
	})
	for range 3 {
		if _, err := b.step(key); !errors.Is(err, broken) {
			t.Fatalf("got %v", err)
		}
		b.clock.SetTime(b.clock.Now().Add(time.Hour))
	}
	if diff := cmp.Diff(pending, b.ring(key).Keys[0].State); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTwoManagersDoNotBothSwap(t *testing.T) {
	b := newKeyBench(t, "two")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.clock.SetTime(b.clock.Now().Add(interval))

	raced := false
	inner := b.r.client
	b.faulty(interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if !raced {
				raced = true // the other manager does all of it while this one thinks
				other := *b.r
				other.client, other.live = inner, inner
				if _, err := other.Reconcile(ctx, requestOf(key)); err != nil {
					return err
				}
			}
			return c.Update(ctx, o, opts...)
		},
	})
	if _, err := b.step(key); err == nil {
		t.Fatal("the second swap was written")
	}
	b.reconcile(key)
	if diff := cmp.Diff([]v1alpha1.KeyState{retired, active, published}, statesOf(key)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	b.current(key)
}
