package keyring_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

var (
	now    = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	limits = keyring.Limits{MaxStaleness: time.Hour, ClockSkew: time.Minute, JWKSMaxAge: 5 * time.Minute}
	// sameKeys compares what a Secret can hold of a key.
	sameKeys = cmp.Comparer(func(a, b crypto.Signer) bool {
		if a == nil || b == nil {
			return a == nil && b == nil
		}
		return a.(interface{ Equal(crypto.PrivateKey) bool }).Equal(b)
	})
	samePublic = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Public" },
		cmp.Comparer(func(a, b crypto.PublicKey) bool {
			return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
		}))
)

func params(mode v1alpha1.RotationMode) keyring.Params {
	return keyring.Params{
		Limits: limits, Algorithm: v1alpha1.ES256, Format: v1alpha1.Thumbprint, Identification: v1alpha1.X509Chain,
		Mode: mode, Interval: 720 * time.Hour, PublishAhead: 2 * time.Hour, TokenLifetime: 15 * time.Minute,
	}
}

// settle plans and executes, with all that was written being public at once, until nothing is due.
func settle(tb testing.TB, ring keyring.Ring, at time.Time, p keyring.Params, authority *keyring.Authority) keyring.Ring {
	tb.Helper()
	for range 10 {
		facts := keyring.Facts{Public: map[string]bool{}, AuthorityUntil: authority.Until()}
		for _, k := range ring.Keys {
			facts.Public[k.Thumbprint] = true
		}
		plan := keyring.Plan(at, p, ring, facts)
		if len(plan) == 0 {
			return ring
		}
		next, err := keyring.Execute(ring, plan, at, p, rand.Reader, authority)
		if err != nil {
			tb.Fatal(err)
		}
		ring = next
	}
	tb.Fatal("the plan does not come to an end")
	return ring
}

// rotated has a Retired and an Active key and a standby.
func rotated(tb testing.TB) (keyring.Ring, *keyring.Authority) {
	tb.Helper()
	authority, err := keyring.NewAuthority(rand.Reader, "registry", now)
	if err != nil {
		tb.Fatal(err)
	}
	p := params(v1alpha1.RotationAutomatic)
	ring := settle(tb, keyring.Ring{}, now, p, authority)
	ring = settle(tb, ring, now.Add(720*time.Hour), p, authority)
	ring.Publications = []keyring.Publication{{Namespace: "tokenwright-system", Name: "registry-keys"}}
	return ring, authority
}

func encoded(tb testing.TB, ring keyring.Ring) map[string][]byte {
	tb.Helper()
	data, err := keyring.Encode(ring)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestRingSurvivesASecret(t *testing.T) {
	want, _ := rotated(t)
	got, err := keyring.Decode(encoded(t, want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameKeys, samePublic); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(encoded(t, want), encoded(t, got)); diff != "" {
		t.Errorf("encoded once more (-want +got):\n%s", diff)
	}
}

func TestSecretHoldsNoPrivateHalfOfARetiredKey(t *testing.T) {
	ring, _ := rotated(t)
	data := encoded(t, ring)
	if diff := cmp.Diff(3, len(data)); diff != "" {
		t.Errorf("entries: the ring, the Active key, the standby (-want +got):\n%s", diff)
	}
	for _, k := range ring.Keys {
		_, has := data["private-"+k.Thumbprint+".pem"]
		if want := k.State != v1alpha1.KeyRetired; has != want {
			t.Errorf("key %s is %s: private half present %t", k.Thumbprint, k.State, has)
		}
	}
	if bytes.Contains(data["keyring.json"], []byte("PRIVATE")) || bytes.Contains(data["keyring.json"], []byte(`"d":`)) {
		t.Error("the public entry has private key material")
	}
}

// edit changes one member of the JSON of the key in that state.
func edit(state v1alpha1.KeyState, change func(key map[string]any)) func(*testing.T, map[string][]byte) {
	return func(t *testing.T, data map[string][]byte) {
		t.Helper()
		var ring map[string]any
		if err := json.Unmarshal(data["keyring.json"], &ring); err != nil {
			t.Fatal(err)
		}
		for _, k := range ring["keys"].([]any) {
			if key := k.(map[string]any); key["state"] == string(state) {
				change(key)
			}
		}
		text, err := json.Marshal(ring)
		if err != nil {
			t.Fatal(err)
		}
		data["keyring.json"] = text
	}
}

func entryOf(ring keyring.Ring, state v1alpha1.KeyState) string {
	for _, k := range ring.Keys {
		if k.State == state {
			return "private-" + k.Thumbprint + ".pem"
		}
	}
	return ""
}

func TestDecodeRefuses(t *testing.T) {
	ring, _ := rotated(t)
	good := encoded(t, ring)
	stranger, _ := rotated(t)
	strange := encoded(t, stranger)
	active, standby := entryOf(ring, v1alpha1.KeyActive), entryOf(ring, v1alpha1.KeyPublished)
	replace := func(old, new string) func(*testing.T, map[string][]byte) {
		return func(_ *testing.T, data map[string][]byte) {
			data["keyring.json"] = bytes.Replace(data["keyring.json"], []byte(old), []byte(new), 1)
		}
	}
	set := func(entry string, value []byte) func(*testing.T, map[string][]byte) {
		return func(_ *testing.T, data map[string][]byte) { data[entry] = value }
	}
	cases := map[string]func(*testing.T, map[string][]byte){
		"no data":                                  func(_ *testing.T, data map[string][]byte) { clear(data) },
		"the ring's entry missing":                 func(_ *testing.T, data map[string][]byte) { delete(data, "keyring.json") },
		"the ring's entry empty":                   set("keyring.json", nil),
		"two rings in one entry":                   set("keyring.json", append(bytes.Clone(good["keyring.json"]), good["keyring.json"]...)),
		"a ring past its bound":                    set("keyring.json", append(bytes.Repeat([]byte(" "), 768<<10), good["keyring.json"]...)),
		"an unknown version":                       replace(`"version":1`, `"version":2`),
		"no generation":                            replace(`"generation":`, `"generations":`),
		"an active key without its private half":   func(_ *testing.T, data map[string][]byte) { delete(data, active) },
		"a standby without its private half":       func(_ *testing.T, data map[string][]byte) { delete(data, standby) },
		"private halves exchanged":                 func(_ *testing.T, data map[string][]byte) { data[active], data[standby] = data[standby], data[active] },
		"a foreign private half":                   set(active, strange[entryOf(stranger, v1alpha1.KeyActive)]),
		"a private half of nobody":                 set("private-AAAA.pem", good[active]),
		"a private half that never ends":           set(active, bytes.Repeat([]byte("A"), 9<<10)),
		"something after the private half":         set(active, append(bytes.Clone(good[active]), "more"...)),
		"an unknown entry":                         set("readme", []byte("x")),
		"a retired key that keeps its private one": edit(v1alpha1.KeyActive, func(k map[string]any) { k["state"], k["retired"] = "Retired", k["activated"] }),
		"a retired key that is active again":       edit(v1alpha1.KeyRetired, func(k map[string]any) { k["state"] = "Active"; delete(k, "retired") }),
		"two standbys":                             edit(v1alpha1.KeyActive, func(k map[string]any) { k["state"] = "Published"; delete(k, "activated"); delete(k, "retired") }),
		"an unknown state":                         edit(v1alpha1.KeyRetired, func(k map[string]any) { k["state"] = "Sleeping" }),
		"an activation that never happened":        edit(v1alpha1.KeyActive, func(k map[string]any) { delete(k, "activated") }),
		"a thumbprint that somebody chose":         edit(v1alpha1.KeyRetired, func(k map[string]any) { k["thumbprint"] = "chosen" }),
		"a kid that somebody chose":                edit(v1alpha1.KeyActive, func(k map[string]any) { k["keyID"] = "chosen" }),
		"an algorithm of another curve":            edit(v1alpha1.KeyActive, func(k map[string]any) { k["algorithm"] = "ES384" }),
		"algorithm none":                           edit(v1alpha1.KeyActive, func(k map[string]any) { k["algorithm"] = "none" }),
		"a symmetric algorithm":                    edit(v1alpha1.KeyActive, func(k map[string]any) { k["algorithm"] = "HS256" }),
		"a symmetric key": edit(v1alpha1.KeyRetired, func(k map[string]any) {
			k["jwk"] = map[string]any{"kty": "oct", "k": "c2VjcmV0"}
		}),
		"a private key in the public part": edit(v1alpha1.KeyRetired, func(k map[string]any) {
			k["jwk"].(map[string]any)["d"] = "dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc"
		}),
		"a lifetime of nothing":       edit(v1alpha1.KeyActive, func(k map[string]any) { k["tokenLifetime"] = "0s" }),
		"a certificate of another":    edit(v1alpha1.KeyActive, func(k map[string]any) { k["chain"] = chainOf(t, strange) }),
		"a certificate that is none":  edit(v1alpha1.KeyActive, func(k map[string]any) { k["chain"] = []any{"AAAA"} }),
		"an authority that is a leaf": replace(`"authorities":[`, `"authorities":[{"certificate":"`+chainOf(t, good)[0].(string)+`"},`),
	}
	if _, err := keyring.Decode(good); err != nil {
		t.Fatal(err)
	}
	for name, breakIt := range cases {
		t.Run(name, func(t *testing.T) {
			data := maps.Clone(good)
			breakIt(t, data)
			_, err := keyring.Decode(data)
			if err == nil {
				t.Fatal("the Secret was believed")
			}
			if strings.Contains(err.Error(), "MIGH") || strings.Contains(err.Error(), "BEGIN") {
				t.Errorf("the error quotes key material: %v", err)
			}
		})
	}
}

func chainOf(t *testing.T, data map[string][]byte) []any {
	t.Helper()
	var chain []any
	edit(v1alpha1.KeyActive, func(k map[string]any) { chain = k["chain"].([]any) })(t, maps.Clone(data))
	return chain
}

func TestAuthorityDoesNotCertifyPastItsEnd(t *testing.T) {
	authority, err := keyring.NewAuthority(rand.Reader, "registry", now)
	if err != nil {
		t.Fatal(err)
	}
	key := publicKey(t, p256JWK)
	for name, until := range map[string]time.Time{"past the authority": authority.Until().Add(time.Second), "in the past": now} {
		if _, err := authority.Certify(rand.Reader, key, now, until); err == nil {
			t.Errorf("a certificate was issued %s", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	ring, _ := rotated(f)
	data := encoded(f, ring)
	active := entryOf(ring, v1alpha1.KeyActive)
	f.Add(data["keyring.json"], active, data[active])
	f.Add([]byte(`{"version":1,"generation":1,"keys":[]}`), "x", []byte("x"))
	f.Fuzz(func(t *testing.T, text []byte, name string, private []byte) {
		changed := maps.Clone(data)
		changed["keyring.json"], changed[name] = text, private
		got, err := keyring.Decode(changed)
		if err != nil {
			return
		}
		again, err := keyring.Encode(got)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		if _, err := keyring.Decode(again); err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		for _, k := range keyring.JWKS(got).Keys {
			if !k.IsPublic() {
				t.Fatal("the JWKS has a private key")
			}
		}
	})
}
