package keyring

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/ssh"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Thumbprint is the RFC 7638 thumbprint of the public key with SHA-256, in base64url without padding.
func Thumbprint(public crypto.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("compute the thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// KeyID computes the kid of the public key in the format.
func KeyID(public crypto.PublicKey, format v1alpha1.KeyIDFormat) (string, error) {
	switch format {
	case v1alpha1.Thumbprint:
		return Thumbprint(public)
	case v1alpha1.LibTrust:
		return libTrust(public)
	case v1alpha1.SSHFingerprintMD5:
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			return "", fmt.Errorf("compute the SSH fingerprint: %w", err)
		}
		return ssh.FingerprintLegacyMD5(key), nil
	}
	return "", fmt.Errorf("unknown key id format %q", format)
}

// libTrust is the key id of docker/libtrust: the first 240 bits of the SHA-256 of the SubjectPublicKeyInfo, in base32,
// twelve groups of four.
func libTrust(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("compute the libtrust key id: %w", err)
	}
	sum := sha256.Sum256(der)
	text := base32.StdEncoding.EncodeToString(sum[:30])
	groups := make([]string, 0, len(text)/4)
	for i := 0; i < len(text); i += 4 {
		groups = append(groups, text[i:i+4])
	}
	return strings.Join(groups, ":"), nil
}

// named says whether one of the ids, in any format, is the key's.
func (k Key) named(ids ...string) bool {
	if len(ids) == 0 {
		return false
	}
	own := map[string]bool{k.Thumbprint: true, k.KeyID: true}
	for _, format := range []v1alpha1.KeyIDFormat{v1alpha1.LibTrust, v1alpha1.SSHFingerprintMD5} {
		if id, err := KeyID(k.Public, format); err == nil {
			own[id] = true
		}
	}
	delete(own, "")
	for _, id := range ids {
		if own[id] {
			return true
		}
	}
	return false
}
