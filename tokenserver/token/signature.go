package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// signFunc appends the signature of the message to dst, in the form of RFC 7518, section 3, or RFC 8037.
type signFunc func(dst, message []byte) ([]byte, error)

// signWith binds the algorithm to the key once, so that nothing has to be looked up for each token. The width is the
// length of a signature in bytes.
func signWith(algorithm v1alpha1.Algorithm, private crypto.Signer) (sign signFunc, width int, err error) {
	hash := hashOf(algorithm)
	var opts crypto.SignerOpts = hash
	switch algorithm {
	case v1alpha1.ES256, v1alpha1.ES384, v1alpha1.ES512:
		key, ok := private.(*ecdsa.PrivateKey)
		if !ok {
			return nil, 0, fmt.Errorf("a %T cannot sign %s", private, algorithm)
		}
		width = (key.Curve.Params().BitSize + 7) / 8
		return signECDSA(key, hash, width), 2 * width, nil
	case v1alpha1.EdDSA:
		key, ok := private.(ed25519.PrivateKey)
		if !ok {
			return nil, 0, fmt.Errorf("a %T cannot sign %s", private, algorithm)
		}
		sign = func(dst, message []byte) ([]byte, error) { return append(dst, ed25519.Sign(key, message)...), nil }
		return sign, ed25519.SignatureSize, nil
	case v1alpha1.PS256, v1alpha1.PS384, v1alpha1.PS512:
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	case v1alpha1.RS256, v1alpha1.RS384, v1alpha1.RS512:
	default:
		return nil, 0, fmt.Errorf("unknown algorithm %q", algorithm)
	}
	key, ok := private.(*rsa.PrivateKey)
	if !ok {
		return nil, 0, fmt.Errorf("a %T cannot sign %s", private, algorithm)
	}
	sign = func(dst, message []byte) ([]byte, error) {
		signature, err := key.Sign(rand.Reader, digest(nil, hash, message), opts)
		return append(dst, signature...), err
	}
	return sign, key.Size(), nil
}

// signECDSA signs through ASN.1, which is what the standard library does without big numbers, and turns the signature
// into r and s of fixed width (RFC 7518, 3.4).
func signECDSA(key *ecdsa.PrivateKey, hash crypto.Hash, width int) signFunc {
	return func(dst, message []byte) ([]byte, error) {
		var space [sha512.Size]byte
		der, err := ecdsa.SignASN1(rand.Reader, key, digest(space[:0], hash, message))
		if err != nil {
			return nil, err
		}
		return appendFixedWidth(dst, der, width)
	}
}

func appendFixedWidth(dst, der []byte, width int) ([]byte, error) {
	var r, s []byte
	input, inner := cryptobyte.String(der), cryptobyte.String{}
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !input.Empty() ||
		!inner.ReadASN1Integer(&r) || !inner.ReadASN1Integer(&s) || !inner.Empty() || len(r) > width || len(s) > width {
		return nil, errors.New("the signature is not that of the curve")
	}
	var zeros [66]byte // the width of P-521
	dst = append(append(dst, zeros[:width-len(r)]...), r...)
	return append(append(dst, zeros[:width-len(s)]...), s...), nil
}

func hashOf(algorithm v1alpha1.Algorithm) crypto.Hash {
	switch algorithm {
	case v1alpha1.ES384, v1alpha1.RS384, v1alpha1.PS384:
		return crypto.SHA384
	case v1alpha1.ES512, v1alpha1.RS512, v1alpha1.PS512:
		return crypto.SHA512
	default:
		return crypto.SHA256
	}
}

func digest(dst []byte, hash crypto.Hash, message []byte) []byte {
	switch hash {
	case crypto.SHA384:
		sum := sha512.Sum384(message)
		return append(dst, sum[:]...)
	case crypto.SHA512:
		sum := sha512.Sum512(message)
		return append(dst, sum[:]...)
	default:
		sum := sha256.Sum256(message)
		return append(dst, sum[:]...)
	}
}
