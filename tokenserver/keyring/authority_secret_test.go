package keyring_test

import (
	"bytes"
	"crypto/rand"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

func newAuthority(tb testing.TB, at time.Time) *keyring.Authority {
	tb.Helper()
	authority, err := keyring.NewAuthority(rand.Reader, strings.Repeat("a", 200), at)
	if err != nil {
		tb.Fatal(err)
	}
	return authority
}

func encodedAuthorities(tb testing.TB, held keyring.Held) map[string][]byte {
	tb.Helper()
	data, err := keyring.EncodeAuthorities(held)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestAuthoritiesSurviveASecret(t *testing.T) {
	a, b := newAuthority(t, now), newAuthority(t, now)
	for name, want := range map[string]keyring.Held{"one": {Current: a}, "and its successor": {Current: a, Next: b}} {
		t.Run(name, func(t *testing.T) {
			data := encodedAuthorities(t, want)
			got, err := keyring.DecodeAuthorities(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{want.Current.ID(), want.Next.ID()}, []string{got.Current.ID(), got.Next.ID()}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(data, encodedAuthorities(t, got)); diff != "" {
				t.Errorf("encoded once more (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPromotionErasesTheOldPrivateKey(t *testing.T) {
	a, b := newAuthority(t, now), newAuthority(t, now)
	before := encodedAuthorities(t, keyring.Held{Current: a, Next: b})
	after := encodedAuthorities(t, keyring.Held{Current: b})
	want := map[string][]byte{"ca.crt": before["next.crt"], "ca.key": before["next.key"]}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeAuthoritiesRefuses(t *testing.T) {
	good := encodedAuthorities(t, keyring.Held{Current: newAuthority(t, now), Next: newAuthority(t, now)})
	ring, _ := rotated(t)
	set := func(entry string, value []byte) func(map[string][]byte) {
		return func(data map[string][]byte) { data[entry] = value }
	}
	cases := map[string]func(map[string][]byte){
		"nothing":                        func(data map[string][]byte) { clear(data) },
		"no key":                         func(data map[string][]byte) { delete(data, "ca.key") },
		"no certificate":                 func(data map[string][]byte) { delete(data, "ca.crt") },
		"the key of another":             set("ca.key", good["next.key"]),
		"a next without its key":         func(data map[string][]byte) { delete(data, "next.key") },
		"a next without its certificate": func(data map[string][]byte) { delete(data, "next.crt") },
		"a next with the key of another": set("next.key", good["ca.key"]),
		"a next that is the one that issues": func(data map[string][]byte) {
			data["next.crt"], data["next.key"] = data["ca.crt"], data["ca.key"]
		},
		"an empty next":                  func(data map[string][]byte) { data["next.crt"], data["next.key"] = nil, nil },
		"two certificates in one entry":  set("ca.crt", append(bytes.Clone(good["ca.crt"]), good["next.crt"]...)),
		"a certificate that never ends":  set("next.crt", bytes.Repeat([]byte("A"), 17<<10)),
		"a key set":                      func(data map[string][]byte) { maps.Copy(data, encoded(t, ring)) },
		"an entry that nobody knows":     set("old.key", good["ca.key"]),
		"a leaf instead of an authority": set("ca.crt", pemOf(activeOf(t, ring).Chain[0])),
	}
	if _, err := keyring.DecodeAuthorities(good); err != nil {
		t.Fatal(err)
	}
	for name, breakIt := range cases {
		t.Run(name, func(t *testing.T) {
			data := maps.Clone(good)
			breakIt(data)
			_, err := keyring.DecodeAuthorities(data)
			if err == nil {
				t.Fatal("the Secret was believed")
			}
			if strings.Contains(err.Error(), "MIGH") || strings.Contains(err.Error(), "BEGIN") {
				t.Errorf("the error quotes key material: %v", err)
			}
		})
	}
}

func pemOf(der []byte) []byte {
	return keyring.Ring{Authorities: []keyring.Trust{{Certificate: der}}}.AuthoritiesPEM()
}

func activeOf(tb testing.TB, ring keyring.Ring) keyring.Key {
	tb.Helper()
	k, ok := ring.Active()
	if !ok {
		tb.Fatal("no key is Active")
	}
	return k
}

func TestTrustSurvivesASecret(t *testing.T) {
	ring, authority := rotated(t)
	trust := func(at time.Time) keyring.Trust {
		return keyring.Trust{Certificate: newAuthority(t, now).Certificate.Raw, Replaced: at}
	}
	issues, next := ring.Authorities[0], trust(time.Time{})
	first, second := trust(now.Add(time.Hour)), trust(now)
	ring.LastHandledRotateCA = "2026-03"
	cases := map[string]struct {
		trusted []keyring.Trust
		want    bool
	}{
		"none":                                   {nil, true},
		"one":                                    {[]keyring.Trust{issues}, true},
		"and the next":                           {[]keyring.Trust{issues, next}, true},
		"and those that were replaced":           {[]keyring.Trust{issues, next, first, second}, true},
		"without a next":                         {[]keyring.Trust{issues, first, second}, true},
		"none that issues":                       {[]keyring.Trust{first, second}, false},
		"a next behind one that was replaced":    {[]keyring.Trust{issues, first, next}, false},
		"two that are next":                      {[]keyring.Trust{issues, next, trust(time.Time{})}, false},
		"one of them twice":                      {[]keyring.Trust{issues, issues}, false},
		"one of them replaced by itself":         {[]keyring.Trust{issues, {Certificate: issues.Certificate, Replaced: now}}, false},
		"one that is no certificate":             {[]keyring.Trust{issues, {Certificate: []byte("x")}}, false},
		"more than there can be without a fault": {[]keyring.Trust{issues, next, first, second, trust(now)}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ring := ring
			ring.Authorities = c.trusted
			got, err := keyring.Decode(encoded(t, ring))
			if (err == nil) != c.want {
				t.Fatalf("decoded: %v, want it to work: %t", err, c.want)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(ring, got, sameKeys, samePublic); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(authority.ID(), activeOf(t, ring).CertifiedBy); diff != "" {
		t.Errorf("who issued the leaf (-want +got):\n%s", diff)
	}
}
