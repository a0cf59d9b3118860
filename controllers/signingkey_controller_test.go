package controllers

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const (
	pending   = v1alpha1.KeyPending
	published = v1alpha1.KeyPublished
	active    = v1alpha1.KeyActive
	retired   = v1alpha1.KeyRetired
	revoked   = v1alpha1.KeyRevoked

	interval = 720 * time.Hour
	ready    = 2*time.Hour + time.Minute                  // publishAhead and the skew
	kept     = time.Hour + 15*time.Minute + 2*time.Minute // L, the token's lifetime, twice the skew
)

func TestFirstKeySignsAndHasAStandby(t *testing.T) {
	b := newKeyBench(t, "first")
	key := b.signingKey("registry")
	result := b.reconcile(key)

	b.current(key)
	if diff := cmp.Diff([]v1alpha1.KeyState{active, published}, statesOf(key)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"KeyCreated", "KeyPublished", "KeyActivated", "KeyCreated", "KeyPublished"}, b.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(recheckKeys, result.RequeueAfter); diff != "" {
		t.Errorf("requeue (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(v1alpha1.DateTime("2026-03-31T12:00:00Z"), key.Status.NextRotationTime); diff != "" {
		t.Errorf("next rotation (-want +got):\n%s", diff)
	}
	secret := b.secret(key)
	if err := keyring.OwnedBy(key, secret, string(secret.Type)); err != nil {
		t.Errorf("the Secret is not ours: %v", err)
	}
	if diff := cmp.Diff(keysIn(key, active, published), b.jwks(b.configMap(key))); diff != "" {
		t.Errorf("jwks.json (-want +got):\n%s", diff)
	}
}

func TestWhatIsPublishedVerifiesATokenOfTheSecret(t *testing.T) {
	b := newKeyBench(t, "verify")
	key := b.signingKey("registry")
	b.reconcile(key)

	signer, err := token.NewSigner(mustActive(b, key), key.Spec.KeyIdentification)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(key.Status.ActiveKeyID, signer.KeyID()); diff != "" {
		t.Errorf("kid (-want +got):\n%s", diff)
	}
	m := b.configMap(key)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(m.Data["ca.crt"])) {
		t.Fatal("ca.crt has no certificate")
	}
	leaf, err := x509.ParseCertificate(mustActive(b, key).Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: b.clock.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Errorf("the leaf does not verify under ca.crt: %v", err)
	}
	block, _ := pem.Decode([]byte(m.Data["key.pem"]))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	thumbprint, err := keyring.Thumbprint(public)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(keysIn(key, active), []string{thumbprint}); diff != "" {
		t.Errorf("key.pem is not the Active key (-want +got):\n%s", diff)
	}
	if _, leaks := b.configMap(key).Data["ca.key"]; leaks || b.authority(key).Type != keyring.CASecretType {
		t.Error("the authority's Secret is not what it must be")
	}
}

func mustActive(b *keyBench, key *v1alpha1.SigningKey) keyring.Key {
	b.Helper()
	k, ok := b.ring(key).Active()
	if !ok {
		b.Fatal("no key is Active")
	}
	return k
}

func TestSecondReconcileWritesNothing(t *testing.T) {
	b := newKeyBench(t, "idle")
	key := b.signingKey("registry")
	b.reconcile(key)
	before := b.versions(key)
	b.told()
	b.after(time.Minute, key)
	if diff := cmp.Diff(before, b.versions(key)); diff != "" {
		t.Errorf("written (-before +after):\n%s", diff)
	}
	if told := b.told(); len(told) > 0 {
		t.Errorf("events though nothing happened: %v", told)
	}
}

func TestRotation(t *testing.T) {
	rotate := func(value string) func(*v1alpha1.SigningKey) {
		return func(k *v1alpha1.SigningKey) {
			metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.AnnotationRotate, value)
		}
	}
	cases := map[string]struct {
		reason string
		live   func(*keyBench, *v1alpha1.SigningKey)
		want   []v1alpha1.KeyState
		told   []string
	}{
		"at the interval": {
			live: func(b *keyBench, k *v1alpha1.SigningKey) { b.after(interval, k) },
			want: []v1alpha1.KeyState{retired, active, published},
			told: []string{"KeyRetired", "KeyActivated", "KeyCreated", "KeyPublished"},
		},
		"and the old key goes when its last token is dead": {
			live: func(b *keyBench, k *v1alpha1.SigningKey) { b.after(interval, k); b.told(); b.after(kept, k) },
			want: []v1alpha1.KeyState{active, published},
			told: []string{"KeyRemoved"},
		},
		"on request, not before the standby may sign": {
			live: func(b *keyBench, k *v1alpha1.SigningKey) {
				b.update(k, rotate("now"))
				b.after(ready-time.Second, k)
			},
			want: []v1alpha1.KeyState{active, published},
		},
		"on request, once": {
			live: func(b *keyBench, k *v1alpha1.SigningKey) {
				b.update(k, rotate("now"))
				b.after(ready, k)
				b.after(ready, k)
			},
			want: []v1alpha1.KeyState{active, published},
			told: []string{"KeyRetired", "KeyActivated", "KeyCreated", "KeyPublished", "KeyRemoved"},
		},
		"when another algorithm is asked for": {
			live: func(b *keyBench, k *v1alpha1.SigningKey) {
				b.update(k, func(k *v1alpha1.SigningKey) { k.Spec.Algorithm = v1alpha1.EdDSA })
				b.reconcile(k)
				b.after(ready, k)
			},
			want: []v1alpha1.KeyState{retired, active, published},
			told: []string{"KeyRemoved", "KeyCreated", "KeyPublished", "KeyRetired", "KeyActivated", "KeyCreated", "KeyPublished"},
		},
		"at once when the key is revoked": {
			live: func(b *keyBench, k *v1alpha1.SigningKey) {
				b.update(k, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = []string{k.Status.ActiveKeyID, "unknown"} })
				b.reconcile(k)
			},
			want: []v1alpha1.KeyState{revoked, active, published},
			told: []string{"KeyRevoked", "KeyActivated", "KeyCreated", "KeyPublished"},
		},
		"at once when key and standby are revoked": {
			live: func(b *keyBench, k *v1alpha1.SigningKey) {
				b.update(k, func(k *v1alpha1.SigningKey) { k.Spec.RevokedKeyIDs = keysIn(k, active, published) })
				b.reconcile(k)
			},
			want: []v1alpha1.KeyState{revoked, revoked, active, published},
			told: []string{"KeyRevoked", "KeyRevoked", "KeyCreated", "KeyPublished", "KeyActivated", "KeyCreated", "KeyPublished"},
		},
	}
	bench := newKeyBench(t, "rotation")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bench.in(t)
			key := b.signingKey(bench.name())
			b.reconcile(key)
			b.told()
			c.live(b, key)
			if diff := cmp.Diff(c.want, statesOf(key)); diff != "" {
				t.Errorf("%s: states (-want +got):\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.told, b.told()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(keysIn(key, pending, published, active, retired), b.jwks(b.configMap(key))); diff != "" {
				t.Errorf("jwks.json (-want +got):\n%s", diff)
			}
			for _, k := range b.ring(key).Keys {
				if dead := k.State == retired || k.State == revoked; dead != (k.Private == nil) {
					t.Errorf("key %s is %s, private half present %t", k.Thumbprint, k.State, k.Private != nil)
				}
			}
			b.current(key)
		})
	}
}

func TestRequestIsEchoed(t *testing.T) {
	b := newKeyBench(t, "echo")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.update(key, func(k *v1alpha1.SigningKey) {
		metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.AnnotationRotate, "2026-03-01")
	})
	b.reconcile(key)
	if diff := cmp.Diff("", key.Status.LastHandledRotate); diff != "" {
		t.Errorf("not yet answered (-want +got):\n%s", diff)
	}
	b.after(ready, key)
	if diff := cmp.Diff("2026-03-01", key.Status.LastHandledRotate); diff != "" {
		t.Errorf("answered (-want +got):\n%s", diff)
	}
}

func TestAlgorithmsOnARealAPIServer(t *testing.T) {
	bench := newKeyBench(t, "algorithms")
	for name, change := range map[string]func(*v1alpha1.SigningKeySpec){
		"es512":    func(s *v1alpha1.SigningKeySpec) { s.Algorithm = v1alpha1.ES512 },
		"rs256":    func(s *v1alpha1.SigningKeySpec) { s.Algorithm, s.RSAKeySize = v1alpha1.RS256, 2048 },
		"ps384":    func(s *v1alpha1.SigningKeySpec) { s.Algorithm, s.RSAKeySize = v1alpha1.PS384, 2048 },
		"libtrust": func(s *v1alpha1.SigningKeySpec) { s.KeyIDFormat = v1alpha1.LibTrust },
		"eddsa": func(s *v1alpha1.SigningKeySpec) {
			s.Algorithm, s.KeyIDFormat, s.KeyIdentification = v1alpha1.EdDSA, v1alpha1.SSHFingerprintMD5, v1alpha1.KeyID
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := bench.in(t)
			key := b.signingKey(name, func(k *v1alpha1.SigningKey) { change(&k.Spec) })
			b.reconcile(key)
			b.current(key)
			signer, err := token.NewSigner(mustActive(b, key), key.Spec.KeyIdentification)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(key.Status.ActiveKeyID, signer.KeyID()); diff != "" {
				t.Errorf("kid (-want +got):\n%s", diff)
			}
		})
	}
}
