package keyring

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// DefaultRSAKeySize is the size of RSA keys in bits when the spec gives none.
const DefaultRSAKeySize = 3072

// GenerateKey makes a Pending key for the parameters. Where the standard library ignores the reader, so does this. It draws
// until the thumbprint does not begin with a hyphen, as one in 64 would: on a command line it would be taken for a flag.
func GenerateKey(random io.Reader, p Params, now time.Time) (Key, error) {
	for {
		k, err := draw(random, p, now)
		if err != nil || !strings.HasPrefix(k.Thumbprint, "-") {
			return k, err
		}
	}
}

func draw(random io.Reader, p Params, now time.Time) (Key, error) {
	private, err := generate(random, p)
	if err != nil {
		return Key{}, fmt.Errorf("generate a key for %s: %w", p.Algorithm, err)
	}
	k := Key{
		Format: p.Format, Algorithm: p.Algorithm, State: v1alpha1.KeyPending,
		Public: private.Public(), Private: private, Created: now, TokenLifetime: p.TokenLifetime,
	}
	if k.Thumbprint, err = Thumbprint(k.Public); err != nil {
		return Key{}, err
	}
	if k.KeyID, err = KeyID(k.Public, p.Format); err != nil {
		return Key{}, err
	}
	return k, nil
}

func generate(random io.Reader, p Params) (crypto.Signer, error) {
	switch p.Algorithm {
	case v1alpha1.ES256, v1alpha1.ES384, v1alpha1.ES512:
		return generateECDSA(random, curveOf(p.Algorithm))
	case v1alpha1.EdDSA:
		_, private, err := ed25519.GenerateKey(random)
		return private, err
	case v1alpha1.RS256, v1alpha1.RS384, v1alpha1.RS512, v1alpha1.PS256, v1alpha1.PS384, v1alpha1.PS512:
		return rsa.GenerateKey(random, p.rsaKeySize())
	}
	return nil, fmt.Errorf("unknown algorithm %q", p.Algorithm)
}

// generateECDSA draws until no coordinate begins with a zero byte: distribution 3.1 forgets the padding of RFC 7638 and
// would compute another thumbprint (1 in 128 keys of P-256 and P-384, 3 in 4 of P-521).
func generateECDSA(random io.Reader, curve elliptic.Curve) (crypto.Signer, error) {
	for {
		private, err := ecdsa.GenerateKey(curve, random)
		if err != nil {
			return nil, err
		}
		if !leadingZero(&private.PublicKey) {
			return private, nil
		}
	}
}

func curveOf(algorithm v1alpha1.Algorithm) elliptic.Curve {
	switch algorithm {
	case v1alpha1.ES384:
		return elliptic.P384()
	case v1alpha1.ES512:
		return elliptic.P521()
	default:
		return elliptic.P256()
	}
}

// fits says why the public key cannot be used with the algorithm, or nil.
func fits(public crypto.PublicKey, algorithm v1alpha1.Algorithm) error {
	ok := false
	switch algorithm {
	case v1alpha1.ES256, v1alpha1.ES384, v1alpha1.ES512:
		key, is := public.(*ecdsa.PublicKey)
		ok = is && key.Curve == curveOf(algorithm)
	case v1alpha1.EdDSA:
		key, is := public.(ed25519.PublicKey)
		ok = is && len(key) == ed25519.PublicKeySize
	case v1alpha1.RS256, v1alpha1.RS384, v1alpha1.RS512, v1alpha1.PS256, v1alpha1.PS384, v1alpha1.PS512:
		key, is := public.(*rsa.PublicKey)
		ok = is && key.N.BitLen() >= 2048 && key.N.BitLen() <= 4096
	}
	if !ok {
		return fmt.Errorf("a %T cannot be used with algorithm %q", public, algorithm)
	}
	return nil
}

// samePublic says whether both are the same public key.
func samePublic(a, b crypto.PublicKey) bool {
	first, err := Thumbprint(a)
	if err != nil {
		return false
	}
	second, err := Thumbprint(b)
	return err == nil && bytes.Equal([]byte(first), []byte(second))
}
