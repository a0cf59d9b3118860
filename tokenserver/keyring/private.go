package keyring

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxPrivateEntry is the longest PEM of a private key, in bytes: RSA with 4096 bits takes 3.3 KiB.
const maxPrivateEntry = 8 << 10

// encodePrivate returns the key as PKCS #8 in PEM (RFC 5208, RFC 7468).
func encodePrivate(private crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// decodePrivate reads what encodePrivate wrote. Its errors do not quote what they could not read.
func decodePrivate(text []byte) (crypto.Signer, error) {
	der, err := decodePEM("PRIVATE KEY", text, maxPrivateEntry)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("not a private key in PKCS #8")
	}
	switch key := parsed.(type) {
	case *ecdsa.PrivateKey:
		return key, nil
	case *rsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, fmt.Errorf("unknown kind of private key %T", parsed)
}

// decodePEM returns the content of exactly one block of the type.
func decodePEM(blockType string, text []byte, limit int) ([]byte, error) {
	if len(text) == 0 {
		return nil, errors.New("is missing or empty")
	}
	if len(text) > limit {
		return nil, fmt.Errorf("is longer than %d bytes", limit)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != blockType || len(block.Headers) > 0 {
		return nil, fmt.Errorf("is not a PEM block of type %s", blockType)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("has something after the PEM block")
	}
	return block.Bytes, nil
}
