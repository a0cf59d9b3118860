package keyring_test

import (
	"crypto/rand"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

func TestPublicData(t *testing.T) {
	authority := newAuthority(t, now)
	key := func(state v1alpha1.KeyState) keyring.Key {
		k, err := keyring.GenerateKey(rand.Reader, keyring.Params{Algorithm: v1alpha1.EdDSA, Format: v1alpha1.Thumbprint}, now)
		if err != nil {
			t.Fatal(err)
		}
		k.State = state
		return k
	}
	cases := map[string]struct {
		reason string
		ring   keyring.Ring
		want   []string
	}{
		"no key at all": {"a file without keys is no key set that could be refused as damaged", keyring.Ring{}, []string{"jwks.json"}},
		"a key that signs": {
			"zot holds one key", keyring.Ring{Keys: []keyring.Key{key(v1alpha1.KeyActive)}}, []string{"jwks.json", "key.pem"},
		},
		"a key that does not sign": {
			"nobody shall hold it as the one", keyring.Ring{Keys: []keyring.Key{key(v1alpha1.KeyRetired)}}, []string{"jwks.json"},
		},
		"an authority": {
			"registries trust it before a key signs", keyring.Ring{Authorities: []keyring.Trust{{Certificate: authority.Certificate.Raw}}},
			[]string{"ca.crt", "jwks.json"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := keyring.PublicData(c.ring)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestTakeStep(t *testing.T) {
	a := newAuthorities(t)
	cases := map[string]struct {
		reason  string
		step    keyring.AuthorityStep
		before  string
		current string
		next    func(got *keyring.Authority) bool
	}{
		"the next is made":     {"the one that issues goes on", keyring.MakeNext, "A", "A", func(got *keyring.Authority) bool { return got != nil && got.ID() != a["A"].ID() }},
		"the next is promoted": {"the private half of the other is not kept", keyring.PromoteNext, "A B", "B", func(got *keyring.Authority) bool { return got == nil }},
		"nothing is due":       {"what is held stays", "", "A B", "A", func(got *keyring.Authority) bool { return got == a["B"] }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := keyring.TakeStep(rand.Reader, "registry", c.step, a.held(c.before), now)
			if err != nil {
				t.Fatal(err)
			}
			if got.Current != a[c.current] || !c.next(got.Next) {
				t.Errorf("%s: %s", c.reason, got.Current.ID())
			}
		})
	}
}
