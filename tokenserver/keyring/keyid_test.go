package keyring_test

import (
	"crypto"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// Public keys of the specifications: distribution's jwt.md, RFC 8037 appendix A, RFC 7638 section 3.1.
const (
	p256JWK    = `{"kty":"EC","crv":"P-256","x":"m7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q","y":"dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc"}`
	ed25519JWK = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	rsaJWK     = `{"kty":"RSA","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}`
)

func publicKey(t *testing.T, text string) crypto.PublicKey {
	t.Helper()
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return jwk.Key
}

func TestKeyIDsAreThoseOfOtherImplementations(t *testing.T) {
	cases := map[string]struct {
		key    string
		format v1alpha1.KeyIDFormat
		want   string
	}{
		"P-256 as registry 3 computes it": {p256JWK, v1alpha1.Thumbprint, "8qjioA3ZA7ti2JIE7c-U8smBFuZolQZvhSHDPU3hhB8"},
		"P-256 as registry 2 computes it": {p256JWK, v1alpha1.LibTrust, "PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6"},
		"Ed25519 as SSH prints it":        {ed25519JWK, v1alpha1.SSHFingerprintMD5, "cf:07:be:9d:68:ae:65:54:6d:a0:93:c3:6f:bd:0d:82"},
		"Ed25519 of RFC 8037":             {ed25519JWK, v1alpha1.Thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		"RSA as SSH prints it":            {rsaJWK, v1alpha1.SSHFingerprintMD5, "60:f8:c7:ec:5b:d5:6c:b5:c2:8b:8f:32:c6:ba:9b:ef"},
		"RSA of RFC 7638":                 {rsaJWK, v1alpha1.Thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := keyring.KeyID(publicKey(t, c.key), c.format)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := keyring.KeyID(publicKey(t, p256JWK), "Serial"); err == nil {
		t.Error("an unknown format gave a key id")
	}
}

func TestGeneratedECCoordinatesNeedNoPadding(t *testing.T) {
	for algorithm, size := range map[v1alpha1.Algorithm]int{v1alpha1.ES256: 32, v1alpha1.ES384: 48, v1alpha1.ES512: 66} {
		p := keyring.Params{Algorithm: algorithm, Format: v1alpha1.Thumbprint}
		for range 300 { // one P-256 key in 128 would not do, three P-521 keys in four
			key, err := keyring.GenerateKey(rand.Reader, p, time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			point, err := key.Public.(interface{ Bytes() ([]byte, error) }).Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if point[1] == 0 || point[1+size] == 0 {
				t.Fatalf("%s: a coordinate begins with a zero byte: registry 3.1 computes another kid", algorithm)
			}
		}
	}
}

func TestGenerateKeyRefusesUnknownAlgorithms(t *testing.T) {
	for _, algorithm := range []v1alpha1.Algorithm{"", "none", "HS256", "es256"} {
		if _, err := keyring.GenerateKey(rand.Reader, keyring.Params{Algorithm: algorithm, Format: v1alpha1.Thumbprint}, time.Unix(0, 0)); err == nil {
			t.Errorf("a key was made for algorithm %q", algorithm)
		}
	}
}

// A thumbprint that begins with a hyphen would be taken for a flag: of 300 keys some five would have one.
func TestThumbprintsOfGeneratedKeysAreNoFlags(t *testing.T) {
	p := keyring.Params{Algorithm: v1alpha1.EdDSA, Format: v1alpha1.Thumbprint}
	for range 300 {
		k, err := keyring.GenerateKey(rand.Reader, p, now)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(k.Thumbprint, "-") {
			t.Fatalf("thumbprint %s", k.Thumbprint)
		}
	}
}
