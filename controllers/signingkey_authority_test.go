package controllers

import (
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// ask sets the annotations as `tokenwright keys rotate NAME --certificate-authority [--confirm]` does; an empty value takes
// one away.
func (b *keyBench) ask(key *v1alpha1.SigningKey, rotate, confirm string) {
	b.Helper()
	b.update(key, func(k *v1alpha1.SigningKey) {
		for name, value := range map[string]string{v1alpha1.AnnotationRotateCA: rotate, v1alpha1.AnnotationConfirmCA: confirm} {
			delete(k.Annotations, name)
			if value != "" {
				metav1.SetMetaDataAnnotation(&k.ObjectMeta, name, value)
			}
		}
	})
}

// replaced asks for another authority and confirms it.
func (b *keyBench) replaced(key *v1alpha1.SigningKey, request string) {
	b.Helper()
	b.ask(key, request, "")
	b.after(time.Minute, key)
	b.ask(key, request, request)
	b.after(time.Minute, key)
}

// authoritiesIn returns the certificates of a ca.crt, in order.
func (b *keyBench) authoritiesIn(text string) []*x509.Certificate {
	b.Helper()
	var out []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return out
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, certificate)
	}
}

// verifies does what distribution does with the header x5c: its roots are the certificates of rootcertbundle.
func (b *keyBench) verifies(k keyring.Key, rootcertbundle string) error {
	b.Helper()
	roots := x509.NewCertPool()
	for _, certificate := range b.authoritiesIn(rootcertbundle) {
		roots.AddCert(certificate)
	}
	leaf, err := x509.ParseCertificate(k.Chain[0])
	if err != nil {
		b.Fatal(err)
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: b.clock.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}

func (b *keyBench) trusted(key *v1alpha1.SigningKey) string {
	b.Helper()
	return b.configMap(key).Data["ca.crt"]
}

// certificatesOf are the entries of the authority's Secret that hold a certificate, as ca.crt has them.
func (b *keyBench) certificatesOf(key *v1alpha1.SigningKey) (current, next string) {
	b.Helper()
	data := b.authority(key).Data
	return string(data["ca.crt"]), string(data["next.crt"])
}

func warningOf(key *v1alpha1.SigningKey) metav1.Condition {
	for _, c := range key.Status.Conditions {
		if c.Type == v1alpha1.ConditionWarning {
			return c
		}
	}
	return metav1.Condition{}
}

func (b *keyBench) expectEvents(want ...string) {
	b.Helper()
	if diff := cmp.Diff(want, b.told()); diff != "" {
		b.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAuthorityIsReplacedWhileRegistriesGoOn(t *testing.T) {
	b := newKeyBench(t, "replace")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.told()
	registry, first := b.trusted(key), mustActive(b, key) // what a registry has, until it is restarted

	b.ask(key, "1", "")
	b.after(time.Minute, key)
	b.current(key)
	b.expectEvents("AuthorityCreated")
	current, next := b.certificatesOf(key)
	if diff := cmp.Diff([]string{registry, registry + next, "1"}, []string{current, b.trusted(key), key.Status.LastHandledRotateCA}); diff != "" {
		t.Errorf("the authority that issues, ca.crt, the request that was answered (-want +got):\n%s", diff)
	}
	warning := warningOf(key)
	for _, part := range []string{"ConfigMap " + b.o.Namespace + "/registry-keys", "restart the registries", "tokenwright keys rotate registry --certificate-authority --confirm"} {
		if !strings.Contains(warning.Message, part) || warning.Reason != v1alpha1.ReasonAuthorityUnconfirmed {
			t.Errorf("the warning %s does not name %q: %s", warning.Reason, part, warning.Message)
		}
	}

	b.after(interval, key)
	b.told()
	second := mustActive(b, key)
	if err := b.verifies(second, registry); err != nil || second.Thumbprint == first.Thumbprint {
		t.Errorf("keys do not rotate under the authority that every registry trusts: %v", err)
	}

	old, restarted := registry, b.trusted(key)
	b.ask(key, "1", "1")
	b.after(time.Minute, key)
	b.current(key)
	b.expectEvents("AuthorityActivated")
	third := mustActive(b, key)
	if diff := cmp.Diff(second.Thumbprint, third.Thumbprint); diff != "" {
		t.Errorf("the key that signs (-before +after):\n%s", diff)
	}
	for what, bundle := range map[string]string{"the ca.crt of now": b.trusted(key), "the ca.crt of the restart": restarted, "the new authority alone": next} {
		if err := b.verifies(third, bundle); err != nil {
			t.Errorf("under %s a new token is refused: %v", what, err)
		}
	}
	if b.verifies(third, old) == nil {
		t.Error("the new leaf is one of the old authority")
	}
	if err := b.verifies(second, b.trusted(key)); err != nil {
		t.Errorf("a token that is out is refused: %v", err)
	}
	if diff := cmp.Diff([]string{next + old, ""}, []string{b.trusted(key), warningOf(key).Message}); diff != "" {
		t.Errorf("ca.crt and the warning (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ca.crt", "ca.key"}, slices.Sorted(maps.Keys(b.authority(key).Data))); diff != "" {
		t.Errorf("entries of the authority's Secret (-want +got):\n%s", diff)
	}

	b.after(kept-time.Second, key)
	if diff := cmp.Diff(next+old, b.trusted(key)); diff != "" {
		t.Errorf("ca.crt while the last token may live (-want +got):\n%s", diff)
	}
	b.told()
	b.after(time.Second, key)
	b.expectEvents("AuthorityRemoved")
	if diff := cmp.Diff(next, b.trusted(key)); diff != "" {
		t.Errorf("ca.crt once the last token is dead (-want +got):\n%s", diff)
	}
	before := b.versions(key)
	b.after(time.Minute, key)
	if diff := cmp.Diff(before, b.versions(key)); diff != "" {
		t.Errorf("written though nothing changed (-before +after):\n%s", diff)
	}
}

func TestRequestsForAnAuthority(t *testing.T) {
	unconfirmed, notReplaced := v1alpha1.ReasonAuthorityUnconfirmed, v1alpha1.ReasonAuthorityNotReplaced
	never := func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Mode = v1alpha1.RotationNever }
	keyID := func(k *v1alpha1.SigningKey) { k.Spec.KeyIdentification = v1alpha1.KeyID }
	contradicts := func(k *v1alpha1.SigningKey) {
		k.Spec.Rotation.Interval, k.Spec.Rotation.PublishAhead = "2h", "1h59m30s"
	}
	annotated := func(k *v1alpha1.SigningKey) {
		metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.AnnotationRotateCA, "1")
		metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.AnnotationConfirmCA, "1")
	}
	type outcome struct {
		// Issued is how many authorities have issued, Trusted how many ca.crt has.
		Issued, Trusted  int
		Handled, Warning string
	}
	cases := map[string]struct {
		reason string
		change func(*v1alpha1.SigningKey)
		live   func(*keyBench, *v1alpha1.SigningKey)
		want   outcome
	}{
		"it was there from the beginning": {
			change: annotated, live: func(*keyBench, *v1alpha1.SigningKey) {},
			want: outcome{Issued: 1, Trusted: 1, Handled: "1"},
		},
		"a second request makes no third authority": {
			live: func(b *keyBench, k *v1alpha1.SigningKey) { b.ask(k, "1", ""); b.reconcile(k); b.ask(k, "2", "") },
			want: outcome{Issued: 1, Trusted: 2, Handled: "2", Warning: unconfirmed},
		},
		"the confirmation of an earlier request does not count": {
			live: func(b *keyBench, k *v1alpha1.SigningKey) {
				b.ask(k, "1", "")
				b.reconcile(k)
				b.ask(k, "2", "")
				b.reconcile(k)
				b.ask(k, "2", "1")
			},
			want: outcome{Issued: 1, Trusted: 2, Handled: "2", Warning: unconfirmed},
		},
		"a confirmation that comes with the request does not count": {
			reason: "no registry can trust it yet",
			live:   func(b *keyBench, k *v1alpha1.SigningKey) { b.ask(k, "1", "1") },
			want:   outcome{Issued: 1, Trusted: 1, Warning: notReplaced},
		},
		"a confirmation without a next one asks for nothing": {
			live: func(b *keyBench, k *v1alpha1.SigningKey) { b.ask(k, "", "1") },
			want: outcome{Issued: 1, Trusted: 1},
		},
		"one after the other, until ca.crt is full": {
			live: func(b *keyBench, k *v1alpha1.SigningKey) {
				for _, request := range []string{"1", "2", "3", "4"} {
					b.replaced(k, request)
				}
			},
			want: outcome{Issued: 4, Trusted: 4, Handled: "3", Warning: notReplaced},
		},
		"and when there is room again": {
			live: func(b *keyBench, k *v1alpha1.SigningKey) {
				for _, request := range []string{"1", "2", "3"} {
					b.replaced(k, request)
				}
				b.ask(k, "4", "")
				b.after(kept, k)
			},
			want: outcome{Issued: 4, Trusted: 2, Handled: "4", Warning: unconfirmed},
		},
		"with KeyID": {
			reason: "there is nothing to replace", change: keyID,
			live: func(b *keyBench, k *v1alpha1.SigningKey) { b.ask(k, "1", "") },
			want: outcome{Warning: notReplaced},
		},
		"in mode Never": {
			reason: "its leaf lasts as long as the authority", change: never,
			live: func(b *keyBench, k *v1alpha1.SigningKey) { b.replaced(k, "1") },
			want: outcome{Issued: 2, Trusted: 2, Handled: "1"},
		},
		"while the spec contradicts itself": {
			reason: "a leak does not wait for a spec",
			live: func(b *keyBench, k *v1alpha1.SigningKey) {
				b.update(k, contradicts)
				b.replaced(k, "1")
			},
			want: outcome{Issued: 2, Trusted: 2, Handled: "1"},
		},
	}
	bench := newKeyBench(t, "requests")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bench.in(t)
			var change []func(*v1alpha1.SigningKey)
			if c.change != nil {
				change = append(change, c.change)
			}
			key := b.signingKey(bench.name(), change...)
			b.reconcile(key)
			b.told()
			c.live(b, key)
			b.after(time.Second, key)
			b.reconcile(key)
			got := outcome{Trusted: len(b.authoritiesIn(b.trusted(key))), Handled: key.Status.LastHandledRotateCA, Warning: warningOf(key).Reason}
			if k := mustActive(b, key); len(k.Chain) > 0 {
				got.Issued = 1
				if err := b.verifies(k, b.trusted(key)); err != nil {
					t.Errorf("the key that signs: %v", err)
				}
			}
			for _, event := range b.told() {
				if event == "AuthorityActivated" {
					got.Issued++
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// restore puts an older Secret back, as a person does from a backup.
func (b *keyBench) restore(old *corev1.Secret) {
	b.Helper()
	live := old.DeepCopy()
	refresh(b.T, live)
	live.Data = old.Data
	if err := plane.Client.Update(b.Context(), live); err != nil {
		b.Fatal(err)
	}
}

func TestAuthoritySecretsOfAnotherTime(t *testing.T) {
	bench := newKeyBench(t, "times")
	cases := map[string]struct {
		reason string
		live   func(b *keyBench, key *v1alpha1.SigningKey, begin, waits, now *corev1.Secret)
		// stalled is what the message of Stalled says; empty if nothing is wrong.
		stalled string
		warning string
	}{
		"an authority that was replaced": {
			live:    func(b *keyBench, _ *v1alpha1.SigningKey, begin, _, _ *corev1.Secret) { b.restore(begin) },
			stalled: "an older Secret was restored",
		},
		"an authority that was replaced, with what was the next": {
			live:    func(b *keyBench, _ *v1alpha1.SigningKey, _, waits, _ *corev1.Secret) { b.restore(waits) },
			stalled: "an older Secret was restored",
		},
		"an authority that was replaced, after the key set was lost": {
			reason: "ca.crt tells which came first",
			live: func(b *keyBench, key *v1alpha1.SigningKey, begin, _, _ *corev1.Secret) {
				b.delete(b.secret(key))
				b.restore(begin)
			},
			stalled: "an older Secret was restored",
		},
		"the right one, after the key set was lost": {
			live: func(b *keyBench, key *v1alpha1.SigningKey, _, _, _ *corev1.Secret) { b.delete(b.secret(key)) },
		},
		"one from before the next was made": {
			reason: "keys go on rotating under the one that issues",
			live: func(b *keyBench, key *v1alpha1.SigningKey, _, _, now *corev1.Secret) {
				b.ask(key, "2", "1")
				b.after(time.Minute, key)
				b.restore(now)
				b.ask(key, "2", "2")
			},
			warning: "cannot be confirmed; restore the Secret, or ask for another authority",
		},
		"one from before the next was made, and another was asked for": {
			live: func(b *keyBench, key *v1alpha1.SigningKey, _, _, now *corev1.Secret) {
				b.ask(key, "2", "1")
				b.after(time.Minute, key)
				b.restore(now)
				b.ask(key, "3", "1")
			},
			warning: "restart the registries",
		},
		"one with a next that was given up": {
			live: func(b *keyBench, key *v1alpha1.SigningKey, _, _, now *corev1.Secret) {
				b.ask(key, "2", "1")
				b.after(time.Minute, key)
				lost := b.authority(key)
				b.restore(now)
				b.ask(key, "3", "1")
				b.after(time.Minute, key)
				b.restore(lost)
			},
			stalled: "remove its entries next.crt and next.key",
			warning: "cannot be confirmed",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bench.in(t)
			key := b.signingKey(bench.name())
			b.reconcile(key)
			begin := b.authority(key)
			b.clock.SetTime(b.clock.Now().Add(time.Minute))
			b.ask(key, "1", "")
			b.reconcile(key)
			waits := b.authority(key)
			b.ask(key, "1", "1")
			b.reconcile(key)
			now, before := b.authority(key), b.trusted(key)
			c.live(b, key, begin, waits, now)
			b.after(time.Minute, key)
			message := ""
			for _, condition := range key.Status.Conditions {
				if condition.Type == v1alpha1.ConditionStalled && condition.Reason == v1alpha1.ReasonInvalidSecret {
					message = condition.Message
				}
			}
			if (c.stalled == "") != (message == "") || !strings.Contains(message, c.stalled) {
				t.Errorf("%s: Stalled says %q, want %q", c.reason, message, c.stalled)
			}
			if said := warningOf(key).Message; (c.warning == "") != (said == "") || !strings.Contains(said, c.warning) {
				t.Errorf("%s: Warning says %q, want %q", c.reason, said, c.warning)
			}
			if !strings.HasPrefix(b.trusted(key), string(now.Data["ca.crt"])) || !strings.HasSuffix(b.trusted(key), string(begin.Data["ca.crt"])) {
				t.Errorf("%s: ca.crt was\n%s and is\n%s", c.reason, before, b.trusted(key))
			}
			if c.stalled != "" {
				b.restore(now)
				b.reconcile(key)
			}
			b.current(key)
			if err := b.verifies(mustActive(b, key), string(now.Data["ca.crt"])); err != nil {
				t.Errorf("%s: the key that signs: %v", c.reason, err)
			}
		})
	}
}
