package controllers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// warned holds that the status warns for the reason with the words; without a reason, that it does not warn.
func warned(t *testing.T, key *v1alpha1.SigningKey, reason string, words ...string) {
	t.Helper()
	want, got := map[string]said{}, conditionsOf(key.Status.Conditions)
	if reason != "" {
		want[v1alpha1.ConditionWarning] = said{"True", reason}
	}
	for other := range got {
		if other != v1alpha1.ConditionWarning {
			delete(got, other)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	for _, word := range words {
		if message := messageOf(key, v1alpha1.ConditionWarning); !strings.Contains(message, word) {
			t.Errorf("the warning is %q, want %q in it", message, word)
		}
	}
}

func TestWarningOfAKeyThatSoonMayNotSign(t *testing.T) {
	b := newKeyBench(t, "warn-until")
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Mode = v1alpha1.RotationManual })
	b.reconcile(key)
	warned(t, key, "")
	until, err := key.Status.Keys[0].SignUntil.Parse()
	if err != nil {
		t.Fatal(err)
	}
	b.clock.SetTime(until.Add(-interval/4 - time.Second))
	if result := b.reconcile(key); result.RequeueAfter > 2*time.Second {
		t.Errorf("looks again after %s, want it to be when the warning begins", result.RequeueAfter)
	}
	warned(t, key, "")
	b.after(2*time.Second, key)
	standby := key.Status.Keys[1].KeyID
	warned(t, key, v1alpha1.ReasonSignUntilNear, standby, "kubectl annotate signingkey registry -n "+b.o.Namespace, key.Status.ActiveKeyID)
	b.current(key)
	before := b.versions(key)
	b.after(time.Minute, key)
	if diff := cmp.Diff(before, b.versions(key)); diff != "" {
		t.Errorf("it is said once (-before +after):\n%s", diff)
	}

	working := b.r.client
	b.faulty(interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, name client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		if _, secret := o.(*corev1.Secret); secret {
			return errors.New("the API server is tired")
		}
		return c.Get(ctx, name, o, opts...)
	}})
	if _, err := b.step(key); err == nil {
		t.Fatal("the Secret was read")
	}
	refresh(t, key)
	warned(t, key, v1alpha1.ReasonSignUntilNear, standby)
	b.r.client, b.r.live = working, working

	b.update(key, func(k *v1alpha1.SigningKey) {
		metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.AnnotationActivate, standby)
	})
	b.reconcile(key)
	if diff := cmp.Diff(standby, key.Status.ActiveKeyID); diff != "" {
		t.Errorf("Active (-want +got):\n%s", diff)
	}
	warned(t, key, "")
	b.current(key)
}

func TestWarningOfAKeyWhoseIDARegistryComputesWrongly(t *testing.T) {
	b := newKeyBench(t, "warn-kid")
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Spec.KeyIdentification = v1alpha1.KeyID })
	b.reconcile(key)
	warned(t, key, "")
	imported := b.importStandby(key)
	b.reconcile(key)
	b.current(key)
	warned(t, key, v1alpha1.ReasonKeyIDMiscomputed, imported, "distribution 3.1")
	b.update(key, func(k *v1alpha1.SigningKey) { k.Spec.KeyIdentification = v1alpha1.X509Chain })
	b.reconcile(key)
	warned(t, key, "")
	b.update(key, func(k *v1alpha1.SigningKey) {
		k.Spec.KeyIdentification, k.Spec.RevokedKeyIDs = v1alpha1.KeyID, []string{imported}
	})
	b.reconcile(key)
	warned(t, key, "")
	b.current(key)
}

// importStandby puts a key of somebody else's making in the standby's place, as a person does who edits the Secret, and
// returns its id. A coordinate of it begins with a zero byte.
func (b *keyBench) importStandby(key *v1alpha1.SigningKey) string {
	b.Helper()
	var private *ecdsa.PrivateKey
	for {
		var err error
		if private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			b.Fatal(err)
		}
		if point, err := private.PublicKey.Bytes(); err != nil {
			b.Fatal(err)
		} else if point[1] == 0 || point[33] == 0 {
			break
		}
	}
	ring := b.ring(key)
	k := &ring.Keys[1]
	var err error
	if k.Thumbprint, err = keyring.Thumbprint(private.Public()); err != nil {
		b.Fatal(err)
	}
	k.KeyID, k.Public, k.Private = k.Thumbprint, private.Public(), private
	secret := b.secret(key)
	if secret.Data, err = keyring.Encode(ring); err != nil {
		b.Fatal(err)
	}
	if err := plane.Client.Update(b.Context(), secret); err != nil {
		b.Fatal(err)
	}
	return k.KeyID
}

func TestES512WithKeyIDWarns(t *testing.T) {
	b := newKeyBench(t, "warn-es512")
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) {
		k.Spec.Algorithm, k.Spec.KeyIdentification = v1alpha1.ES512, v1alpha1.KeyID
	})
	b.reconcile(key)
	warned(t, key, v1alpha1.ReasonKeyIDMiscomputed, "before 3.1.0", "ES512")
	b.current(key)
}
