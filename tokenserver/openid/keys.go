package openid

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxKeys bounds the set.
	maxKeys = 256
	// minRSABits is the least size of an RSA key (RFC 7518, 3.3).
	minRSABits = 2048
)

// ReadKeys reads a JSON Web Key Set (RFC 7517) and returns the keys that tokens may be signed with. Others are left out;
// a set without any is an error, so that it does not replace a good one. A key without an id is good only if it is the
// only one of the set: with several the header has to name one (OpenID Connect Core 1.0, 10.1).
func ReadKeys(document []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || !usable(key) || key.KeyID == "" && len(set.Keys) > 1 {
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("the key set has no key that tokens may be signed with")
	}
	return keys, nil
}

func usable(key jose.JSONWebKey) bool {
	if !key.Valid() || key.Use == "enc" || key.Algorithm != "" && !slices.Contains(Algorithms(), jose.SignatureAlgorithm(key.Algorithm)) {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey:
		return true
	}
	return false
}
