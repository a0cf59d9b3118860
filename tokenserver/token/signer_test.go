package token_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var algorithms = []v1alpha1.Algorithm{
	v1alpha1.ES256, v1alpha1.ES384, v1alpha1.ES512, v1alpha1.EdDSA, v1alpha1.RS256,
	v1alpha1.RS384, v1alpha1.RS512, v1alpha1.PS256, v1alpha1.PS384, v1alpha1.PS512,
}

var claims = token.RegistryClaims{
	Issuer: "https://tokens.example.com", Subject: "alice", Audience: "registry.example.com",
	Expiry: now.Unix() + 900, NotBefore: now.Unix() - 60, IssuedAt: now.Unix() - 60, ID: "mfrggzdfmztwq2lknnwg23tpoa",
	Access: []token.Access{{Type: "repository", Name: "team-a/app", Actions: []string{"pull", "push"}}},
}

// activeKey makes a key and its certificate, as they are in a Secret.
func activeKey(tb testing.TB, algorithm v1alpha1.Algorithm) (keyring.Key, *keyring.Authority) {
	tb.Helper()
	p := keyring.Params{Algorithm: algorithm, RSAKeySize: 2048, Format: v1alpha1.Thumbprint, TokenLifetime: 15 * time.Minute}
	key, err := keyring.GenerateKey(rand.Reader, p, now)
	if err != nil {
		tb.Fatal(err)
	}
	authority, err := keyring.NewAuthority(rand.Reader, "registry", now)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := authority.Certify(rand.Reader, key.Public, now, now.Add(1440*time.Hour))
	if err != nil {
		tb.Fatal(err)
	}
	key.State, key.Chain = v1alpha1.KeyActive, [][]byte{leaf}
	return key, authority
}

func TestTokensOfEveryAlgorithmVerifyWithAnotherImplementation(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(string(algorithm), func(t *testing.T) {
			key, _ := activeKey(t, algorithm)
			signer, err := token.NewSigner(key, v1alpha1.KeyID)
			if err != nil {
				t.Fatal(err)
			}
			for range 20 { // a signature whose r or s is short comes once in 128
				text, err := signer.Sign(token.TypeRegistry, claims)
				if err != nil {
					t.Fatal(err)
				}
				jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
				if err != nil {
					t.Fatal(err)
				}
				payload, err := jws.Verify(key.Public)
				if err != nil {
					t.Fatalf("the token does not verify: %v", err)
				}
				var got token.RegistryClaims
				if err := json.Unmarshal(payload, &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(claims, got); diff != "" {
					t.Fatalf("claims (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestHeaderSaysKeyIDAndChain(t *testing.T) {
	key, _ := activeKey(t, v1alpha1.ES256)
	leaf := base64.StdEncoding.EncodeToString(key.Chain[0])
	cases := map[string]struct {
		reason string
		how    v1alpha1.KeyIdentification
		typ    string
		want   map[string]any
	}{
		"a chain comes with the kid": {
			reason: "verifiers that know no x5c choose by kid",
			how:    v1alpha1.X509Chain, typ: token.TypeRegistry,
			want: map[string]any{"alg": "ES256", "typ": "JWT", "kid": key.KeyID, "x5c": []any{leaf}},
		},
		"a kid comes alone": {
			reason: "an x5c header is final for distribution: without trusted roots every such token fails",
			how:    v1alpha1.KeyID, typ: token.TypeRegistry,
			want: map[string]any{"alg": "ES256", "typ": "JWT", "kid": key.KeyID},
		},
		"the type is the caller's": {
			reason: "one kind of token must not be accepted as another",
			how:    v1alpha1.KeyID, typ: "at+jwt",
			want: map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": key.KeyID},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			signer, err := token.NewSigner(key, c.how)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // made, and remembered
				text, err := signer.Sign(c.typ, claims)
				if err != nil {
					t.Fatal(err)
				}
				raw, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[0])
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]any{}
				if err := json.Unmarshal(raw, &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", c.reason, diff)
				}
			}
		})
	}
}

func TestChainVerifiesUnderTheAuthorityForAsLongAsTokensLive(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(string(algorithm), func(t *testing.T) {
			key, authority := activeKey(t, algorithm)
			signer, err := token.NewSigner(key, v1alpha1.X509Chain)
			if err != nil {
				t.Fatal(err)
			}
			text, err := signer.Sign(token.TypeRegistry, claims)
			if err != nil {
				t.Fatal(err)
			}
			jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AddCert(authority.Certificate)
			for _, at := range []time.Time{now.Add(-time.Hour), now, now.Add(1440 * time.Hour)} {
				chains, err := jws.Signatures[0].Protected.Certificates(x509.VerifyOptions{
					Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
				})
				if err != nil {
					t.Fatalf("the chain does not verify at %s: %v", at, err)
				}
				if _, err := jws.Verify(chains[0][0].PublicKey); err != nil {
					t.Fatalf("the token does not verify with its certificate: %v", err)
				}
			}
		})
	}
}

func TestRegistryTokenWithChainStaysSmall(t *testing.T) {
	key, _ := activeKey(t, v1alpha1.ES256)
	signer, err := token.NewSigner(key, v1alpha1.X509Chain)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signer.Sign(token.TypeRegistry, claims)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 1150 {
		t.Errorf("the token has %d bytes: every request to a registry carries it", len(text))
	}
}

func TestSignerIsRefused(t *testing.T) {
	key, _ := activeKey(t, v1alpha1.ES256)
	other, _ := activeKey(t, v1alpha1.ES256)
	rsaKey, _ := activeKey(t, v1alpha1.RS256)
	cases := map[string]struct {
		reason string
		break_ func(*keyring.Key)
		how    v1alpha1.KeyIdentification
	}{
		"a private half of another key": {
			reason: "the probe must find what the Secret's reader did not",
			break_: func(k *keyring.Key) { k.Private = other.Private }, how: v1alpha1.KeyID,
		},
		"a key of another kind":    {break_: func(k *keyring.Key) { k.Private = rsaKey.Private }, how: v1alpha1.KeyID},
		"an unknown algorithm":     {break_: func(k *keyring.Key) { k.Algorithm = "none" }, how: v1alpha1.KeyID},
		"a symmetric algorithm":    {break_: func(k *keyring.Key) { k.Algorithm = "HS256" }, how: v1alpha1.KeyID},
		"no private half":          {break_: func(k *keyring.Key) { k.Private = nil }, how: v1alpha1.KeyID},
		"a standby":                {reason: "publish before use", break_: func(k *keyring.Key) { k.State = v1alpha1.KeyPublished }, how: v1alpha1.KeyID},
		"a revoked key":            {break_: func(k *keyring.Key) { k.State = v1alpha1.KeyRevoked }, how: v1alpha1.KeyID},
		"no certificate":           {break_: func(k *keyring.Key) { k.Chain = nil }, how: v1alpha1.X509Chain},
		"an unknown way of naming": {break_: func(*keyring.Key) {}, how: "Jwk"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			broken := key
			c.break_(&broken)
			if _, err := token.NewSigner(broken, c.how); err == nil {
				t.Errorf("the signer was made: %s", c.reason)
			}
		})
	}
}

func TestRegistryClaimsNeverSayNull(t *testing.T) {
	got := string(token.RegistryClaims{Audience: "r", Access: []token.Access{{Type: "repository", Name: "a"}}}.AppendJSON(nil))
	want := `{"iss":"","sub":"","aud":"r","exp":0,"nbf":0,"iat":0,"jti":"","access":[{"type":"repository","name":"a","actions":[]}]}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := string(token.RegistryClaims{}.AppendJSON(nil)); !strings.HasSuffix(got, `"access":[]}`) {
		t.Errorf("no access: got %s", got)
	}
}

// FuzzRegistryClaims holds that a token says what it is given, whatever that is, as encoding/json would say it.
func FuzzRegistryClaims(f *testing.F) {
	f.Add("https://a", "alice", "r", "id", "repository", "a/b", "pull", int64(1))
	f.Add(`","access":[{"type":"registry"`, "\x00", "\xff", "<&>", "\u2028", "ü", `\`, int64(-1))
	f.Fuzz(func(t *testing.T, iss, sub, aud, id, typ, name, action string, at int64) {
		c := token.RegistryClaims{
			Issuer: iss, Subject: sub, Audience: aud, ID: id, Expiry: at, NotBefore: at / 2, IssuedAt: -at,
			Access: []token.Access{{Type: typ, Name: name, Actions: []string{action, "pull"}}, {Type: name, Name: typ, Actions: []string{}}},
		}
		want, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(c.AppendJSON(nil))); diff != "" {
			t.Errorf("(-encoding/json +AppendJSON):\n%s", diff)
		}
	})
}

func TestNewID(t *testing.T) {
	id, err := token.NewID(strings.NewReader("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("gaytemzugu3doobzmfrggzdfmy", id); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := token.NewID(io.LimitReader(rand.Reader, 15)); err == nil {
		t.Error("an id was made from fewer than 128 bits")
	}
}

func BenchmarkSign(b *testing.B) {
	for name, how := range map[string]v1alpha1.KeyIdentification{"KeyID": v1alpha1.KeyID, "X509Chain": v1alpha1.X509Chain} {
		for _, algorithm := range []v1alpha1.Algorithm{v1alpha1.ES256, v1alpha1.EdDSA} {
			b.Run(string(algorithm)+"/"+name, func(b *testing.B) {
				key, _ := activeKey(b, algorithm)
				signer, err := token.NewSigner(key, how)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := signer.Sign(token.TypeRegistry, claims); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
