package keyring_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// drawn is a key of the curve of which a coordinate begins with a zero byte, or of which none does.
func drawn(t *testing.T, curve elliptic.Curve, zero bool) *ecdsa.PublicKey {
	t.Helper()
	size := (curve.Params().BitSize + 7) / 8
	for {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		point, err := private.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if (point[1] == 0 || point[1+size] == 0) == zero {
			return &private.PublicKey
		}
	}
}

func TestKeysWhoseIDARegistryComputesWrongly(t *testing.T) {
	short := drawn(t, elliptic.P256(), true)
	key := func(change ...func(*keyring.Key)) keyring.Key {
		k := keyring.Key{
			KeyID: "kid", Public: short, Algorithm: v1alpha1.ES256, Format: v1alpha1.Thumbprint, State: active,
		}
		for _, c := range change {
			c(&k)
		}
		return k
	}
	in := func(state v1alpha1.KeyState) func(*keyring.Key) { return func(k *keyring.Key) { k.State = state } }
	es512 := func(k *keyring.Key) { k.Algorithm, k.Public = v1alpha1.ES512, drawn(t, elliptic.P521(), false) }
	const left, same = "leaves out", "one and the same kid"
	cases := map[string]struct {
		reason         string
		identification v1alpha1.KeyIdentification
		keys           []keyring.Key
		want           []string
	}{
		"an Active key with a short coordinate": {
			reason: "somebody put it there by hand", identification: v1alpha1.KeyID, keys: []keyring.Key{key()}, want: []string{left},
		},
		"a standby with one": {
			reason: "it will sign", identification: v1alpha1.KeyID, keys: []keyring.Key{key(in(published)), key(in(v1alpha1.KeyPending))},
			want: []string{left},
		},
		"a retired one": {
			reason: "it signs no more", identification: v1alpha1.KeyID, keys: []keyring.Key{key(in(retired)), key(in(revoked))},
		},
		"a short coordinate of P-384": {
			reason: "the same code", identification: v1alpha1.KeyID,
			keys: []keyring.Key{key(func(k *keyring.Key) { k.Algorithm, k.Public = v1alpha1.ES384, drawn(t, elliptic.P384(), true) })},
			want: []string{left},
		},
		"a short coordinate of P-521": {
			reason: "three in four of those that nobody drew anew", identification: v1alpha1.KeyID,
			keys: []keyring.Key{key(func(k *keyring.Key) { k.Algorithm, k.Public = v1alpha1.ES512, drawn(t, elliptic.P521(), true) })},
			want: []string{left},
		},
		"ES512 keys as we draw them": {
			reason: "3.1 is right, 3.0 is not; one warning is enough", identification: v1alpha1.KeyID,
			keys: []keyring.Key{key(es512), key(es512, in(published))}, want: []string{same},
		},
		"ES256 as we draw it": {
			reason: "the usual", identification: v1alpha1.KeyID,
			keys: []keyring.Key{key(func(k *keyring.Key) { k.Public = drawn(t, elliptic.P256(), false) })},
		},
		"with certificates in the tokens": {
			reason: "nobody looks at the kid", identification: v1alpha1.X509Chain, keys: []keyring.Key{key(), key(es512)},
		},
		"another format": {
			reason: "it is the kid of other verifiers", identification: v1alpha1.KeyID,
			keys: []keyring.Key{key(func(k *keyring.Key) { k.Format = v1alpha1.LibTrust })},
		},
		"another kind of key": {
			reason: "it has no coordinates", identification: v1alpha1.KeyID,
			keys: []keyring.Key{key(func(k *keyring.Key) {
				k.Algorithm, k.Public = v1alpha1.EdDSA, make(ed25519.PublicKey, ed25519.PublicKeySize)
			})},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := params(v1alpha1.RotationAutomatic)
			p.Identification = c.identification
			got := p.Warnings(now, "registry", "tokenwright-system", keyring.Ring{Keys: c.keys}, keyring.Facts{})
			matches(t, c.reason, v1alpha1.ReasonKeyIDMiscomputed, c.want, got)
		})
	}
}

// matches holds that each warning has the reason and, in order, the words.
func matches(t *testing.T, why, reason string, words []string, got []keyring.Problem) {
	t.Helper()
	if len(got) != len(words) {
		t.Fatalf("%s: warns %q, want %d warnings", why, got, len(words))
	}
	for i := range got {
		if got[i].Reason != reason || !strings.Contains(got[i].Message, words[i]) {
			t.Errorf("%s: warns %q, want %s with %q", why, got[i], reason, words[i])
		}
	}
}

func TestEndOfTheKeyThatWaitsForAPerson(t *testing.T) {
	manual, automatic := params(v1alpha1.RotationManual), params(v1alpha1.RotationAutomatic)
	near := 1440*time.Hour - 180*time.Hour // two intervals, less a quarter of one
	with := func(p keyring.Params, change func(*keyring.Params)) keyring.Params { change(&p); return p }
	long := keyring.Facts{AuthorityUntil: now.Add(10 * 365 * 24 * time.Hour)}
	ring := func(standby v1alpha1.KeyState) keyring.Ring {
		return keyring.Ring{Keys: []keyring.Key{
			{KeyID: "old", State: active, Activated: now, SignUntil: now.Add(1440 * time.Hour)}, {KeyID: "new", State: standby},
		}}
	}
	cases := map[string]struct {
		reason string
		p      keyring.Params
		ring   keyring.Ring
		facts  keyring.Facts
		after  time.Duration
		want   []string
	}{
		"not yet near": {reason: "a person has time", p: manual, ring: ring(published), facts: long, after: near - time.Nanosecond},
		"near": {
			reason: "it tells what to do", p: manual, ring: ring(published), facts: long, after: near,
			want: []string{"kubectl annotate signingkey registry -n tokenwright-system --overwrite tokenwright.dev/activate=new"},
		},
		"past": {
			reason: "it is even more true", p: manual, ring: ring(published), facts: long, after: 1441 * time.Hour,
			want: []string{"tokenwright.dev/activate=new"},
		},
		"a standby that is not public": {
			reason: "the command would do nothing yet", p: manual, ring: ring(v1alpha1.KeyPending), facts: long, after: near,
			want: []string{"is not public yet"},
		},
		"a standby that was named": {
			reason: "it takes over as soon as it may", p: with(manual, func(p *keyring.Params) { p.Activate = "new" }),
			ring: ring(published), facts: long, after: near,
		},
		"an earlier standby was named": {
			reason: "that was another request", p: with(manual, func(p *keyring.Params) { p.Activate = "old" }),
			ring: ring(published), facts: long, after: near, want: []string{"tokenwright.dev/activate=new"},
		},
		"mode Automatic": {reason: "it comes by itself", p: automatic, ring: ring(published), facts: long, after: near},
		"a spec that contradicts itself": {
			reason: "only a person can change it", p: with(automatic, func(p *keyring.Params) { p.Hold = true }),
			ring: ring(published), facts: long, after: near, want: []string{"contradict"},
		},
		"an authority that ends": {
			reason: "there is no certificate for the successor", p: automatic, ring: ring(published), after: near,
			want: []string{"certificate authority"},
		},
		"tokens that live for long": {
			reason: "the one that is signed last must find its key", facts: long, ring: ring(published),
			p:     with(manual, func(p *keyring.Params) { p.TokenLifetime = 400 * time.Hour }),
			after: 1040 * time.Hour, want: []string{"tokenwright.dev/activate=new"},
		},
		"no key signs": {reason: "Ready says so", p: manual, facts: long, after: near},
		"a key for ever": {
			reason: "it has no end", p: params(v1alpha1.RotationNever), facts: long, after: near,
			ring: keyring.Ring{Keys: []keyring.Key{{KeyID: "old", State: active, Activated: now}}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := c.p.Warnings(now.Add(c.after), "registry", "tokenwright-system", c.ring, c.facts)
			matches(t, c.reason, v1alpha1.ReasonSignUntilNear, c.want, got)
		})
	}
}

func TestWarnTimeIsWhenTheWarningBegins(t *testing.T) {
	p := params(v1alpha1.RotationManual)
	ring := keyring.Ring{Keys: []keyring.Key{{KeyID: "old", State: active, Activated: now, SignUntil: now.Add(1440 * time.Hour)}}}
	if diff := cmp.Diff(now.Add(1260*time.Hour), p.WarnTime(ring)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
