package token_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// expected accepts registry tokens of the key, which is that of the SigningKey registry.
func expected(key keyring.Key) token.Expected {
	return token.Expected{
		Issuer: claims.Issuer, Types: []string{token.TypeRegistry}, Now: now,
		Keys: func(kid string) []token.Public {
			if kid != key.KeyID {
				return nil
			}
			return []token.Public{{Owner: "registry", Algorithm: key.Algorithm, Key: key.Public}}
		},
		Serves: func(owner, audience string) bool { return owner == "registry" && audience == claims.Audience },
	}
}

func signed(t testing.TB, key keyring.Key, c token.RegistryClaims) string {
	t.Helper()
	signer, err := token.NewSigner(key, v1alpha1.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signer.Sign(token.TypeRegistry, c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTokensOfEveryAlgorithmComeBack(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(string(algorithm), func(t *testing.T) {
			key, _ := activeKey(t, algorithm)
			got, err := token.Verify(signed(t, key, claims), expected(key))
			if err != nil {
				t.Fatal(err)
			}
			want := token.Verified{
				Type: token.TypeRegistry, KeyID: key.KeyID, Issuer: claims.Issuer, Subject: claims.Subject, Audience: claims.Audience,
				ID: claims.ID, Expiry: claims.Expiry, NotBefore: claims.NotBefore, IssuedAt: claims.IssuedAt, Access: claims.Access,
				Claims: claims.AppendJSON(nil),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// forge signs with anything, and with any header.
func forge(t testing.TB, algorithm jose.SignatureAlgorithm, key any, headers map[jose.HeaderKey]any) string {
	t.Helper()
	o := (&jose.SignerOptions{}).WithType(token.TypeRegistry)
	for name, value := range headers {
		o = o.WithHeader(name, value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(claims.AppendJSON(nil))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// unsigned has a header of one's own and no signature.
func unsigned(t testing.TB, head map[string]any) string {
	t.Helper()
	text, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text) + "." + base64.RawURLEncoding.EncodeToString(claims.AppendJSON(nil)) + "."
}

// TestForgedTokens are what somebody with a token, the public key and time tries.
func TestForgedTokens(t *testing.T) {
	key, authority := activeKey(t, v1alpha1.ES256)
	foreign, _ := activeKey(t, v1alpha1.ES256)
	der, err := x509.MarshalPKIXPublicKey(key.Public)
	if err != nil {
		t.Fatal(err)
	}
	foreignLeaf, err := authority.Certify(rand.Reader, foreign.Public, now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	kid := map[jose.HeaderKey]any{"kid": key.KeyID}
	with := func(more map[jose.HeaderKey]any) map[jose.HeaderKey]any {
		more["kid"] = key.KeyID
		return more
	}
	good := signed(t, key, claims)
	part := strings.Split(good, ".")
	changed := func(change func(*token.RegistryClaims)) string {
		c := claims
		change(&c)
		return signed(t, key, c)
	}
	cases := map[string]struct {
		reason string
		text   string
	}{
		"alg none":                    {"Nobody has signed it.", unsigned(t, map[string]any{"alg": "none", "typ": "JWT", "kid": key.KeyID})},
		"alg ES256 without signature": {"Nobody has signed it.", unsigned(t, map[string]any{"alg": "ES256", "typ": "JWT", "kid": key.KeyID})},
		"HS256 with the public key":   {"A public key is no shared secret.", forge(t, jose.HS256, der, kid)},
		"a foreign key":               {"The kid alone says nothing.", forge(t, jose.ES256, foreign.Private, kid)},
		"an embedded jwk":             {"A token does not bring its own key.", forge(t, jose.ES256, foreign.Private, with(map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: foreign.Public}}))},
		"a foreign x5c":               {"Not even with a certificate of our authority.", forge(t, jose.ES256, foreign.Private, with(map[jose.HeaderKey]any{"x5c": []string{base64.StdEncoding.EncodeToString(foreignLeaf)}}))},
		"a jku":                       {"Nothing is fetched.", forge(t, jose.ES256, foreign.Private, with(map[jose.HeaderKey]any{"jku": "https://evil.example.com/jwks.json"}))},
		"an unknown crit":             {"RFC 7515, 4.1.11: what must be understood is not.", forge(t, jose.ES256, key.Private, with(map[jose.HeaderKey]any{"crit": []string{"x"}, "x": 1}))},
		"an unknown kid":              {"It is none of ours.", forge(t, jose.ES256, key.Private, map[jose.HeaderKey]any{"kid": "../../etc/passwd"})},
		"a kid of 10 KB":              {"It is not looked up.", forge(t, jose.ES256, key.Private, map[jose.HeaderKey]any{"kid": strings.Repeat("k", 10<<10)})},
		"no kid":                      {"All of ours have one.", forge(t, jose.ES256, key.Private, nil)},
		"another type":                {"One kind of token is not another.", forge(t, jose.ES256, key.Private, with(map[jose.HeaderKey]any{"typ": "at+jwt"}))},
		"another subject":             {"Claims are signed.", part[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claims.AppendJSON(nil)), "alice", "admin", 1))) + "." + part[2]},
		"a cut signature":             {"It is not the signature.", good[:len(good)-2]},
		"another issuer":              {"It is another installation's.", changed(func(c *token.RegistryClaims) { c.Issuer += "/" })},
		"another audience":            {"Its key does not serve it.", changed(func(c *token.RegistryClaims) { c.Audience = "other.example.com" })},
		"expired now":                 {"The second of exp is past.", changed(func(c *token.RegistryClaims) { c.Expiry = now.Unix() })},
		"not good yet":                {"nbf counts.", changed(func(c *token.RegistryClaims) { c.NotBefore = now.Unix() + 1 })},
		"no jti":                      {"It could not be revoked.", changed(func(c *token.RegistryClaims) { c.ID = "" })},
		"a million dots":              {"It is not looked at.", strings.Repeat(".", 1_000_000)},
		"two parts":                   {"It is no token.", part[0] + "." + part[1]},
		"five parts":                  {"It is encrypted, if anything.", good + ".a.b"},
		"a line break":                {"One token is written in one way.", part[0] + "\n." + part[1] + "." + part[2]},
		"empty":                       {"It is nothing.", ""},
		"the JSON form":               {"Only the compact form is ours.", `{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := token.Verify(tc.text, expected(key))
			if !errors.Is(err, token.ErrInvalid) {
				t.Errorf("%s got %v", tc.reason, err)
			}
			if diff := cmp.Diff(token.Verified{}, got); diff != "" {
				t.Errorf("%s said something (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestAKeyOfAnotherAlgorithm has two keys with one kid: the one whose algorithm the header names verifies, no other.
func TestAKeyOfAnotherAlgorithm(t *testing.T) {
	key, _ := activeKey(t, v1alpha1.ES256)
	other, _ := activeKey(t, v1alpha1.RS256)
	public := func(of keyring.Key, as v1alpha1.Algorithm) token.Public {
		return token.Public{Owner: "registry", Algorithm: as, Key: of.Public}
	}
	cases := map[string]struct {
		keys []token.Public
		want bool
	}{
		"both":                         {[]token.Public{public(other, v1alpha1.RS256), public(key, v1alpha1.ES256)}, true},
		"only the other":               {[]token.Public{public(other, v1alpha1.RS256)}, false},
		"ours for another algorithm":   {[]token.Public{public(key, v1alpha1.ES384)}, false},
		"the other for this algorithm": {[]token.Public{public(other, v1alpha1.ES256)}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := expected(key)
			e.Keys = func(string) []token.Public { return tc.keys }
			if _, err := token.Verify(signed(t, key, claims), e); (err == nil) != tc.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzVerify(f *testing.F) {
	key, _ := activeKey(f, v1alpha1.ES256)
	good := signed(f, key, claims)
	f.Add(good)
	f.Add(unsigned(f, map[string]any{"alg": "none", "kid": key.KeyID, "typ": "JWT"}))
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		// ECDSA has two signatures for each: (r, s) and (r, -s). Both are the key's, and say the same.
		if got, err := token.Verify(text, expected(key)); err == nil && string(got.Claims) != string(claims.AppendJSON(nil)) {
			t.Errorf("%q says %s", text, got.Claims)
		}
	})
}
