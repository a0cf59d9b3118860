package enforce

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxKeys  = 256
	maxKeyID = 256
	// minRSABits is the least size of an RSA key (RFC 7518, 3.3).
	minRSABits = 2048
	// keysSoon and keysDue are when keys are fetched again; the server publishes a key for longer than that before it signs with it.
	keysSoon, keysDue = 4 * time.Minute, 5 * time.Minute
	// keysEnd is how long the old keys are good if no others can be had. Then nothing can be verified, and all is refused.
	keysEnd = time.Hour
	// unknownKeyPause is how often a kid that nobody knows lets keys be fetched.
	unknownKeyPause = 10 * time.Second
)

// keySet is what a document said.
type keySet struct {
	digest [sha256.Size]byte
	byID   map[string][]jose.JSONWebKey
}

func (e *Enforcer) fetchKeys(ctx context.Context) (*keySet, times, error) {
	now := e.config.Clock()
	when := times{soon: now.Add(keysSoon), due: now.Add(keysDue), end: now.Add(keysEnd)}
	const what = "fetch the keys"
	from, err := e.endpoint(ctx, what, func(all Endpoints) string { return all.JWKS })
	if err != nil {
		return nil, when, err
	}
	var document json.RawMessage
	if err := e.authority.get(ctx, what, from, "", &document); err != nil {
		return nil, when, err
	}
	keys, err := readKeys(document)
	return keys, when, err
}

// readKeys reads a key set (RFC 7517). Keys that tokens may not be signed with are left out: those without an id or an algorithm,
// those for encryption, and all that are no public keys.
func readKeys(document []byte) (*keySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(document, &set) != nil {
		return nil, errors.New("fetch the keys: the answer is no key set")
	}
	keys := &keySet{digest: sha256.Sum256(document), byID: map[string][]jose.JSONWebKey{}}
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) == nil && usable(&key) {
			keys.byID[key.KeyID] = append(keys.byID[key.KeyID], key)
		}
	}
	if len(keys.byID) == 0 {
		return nil, errors.New("fetch the keys: the key set has none that tokens may be signed with")
	}
	return keys, nil
}

// usable binds each key to its own algorithm: a public key is never taken for a shared secret (RFC 8725, 3.1).
func usable(key *jose.JSONWebKey) bool {
	if !key.Valid() || key.KeyID == "" || len(key.KeyID) > maxKeyID || key.Use != "" && key.Use != "sig" {
		return false
	}
	switch public := key.Key.(type) {
	case *ecdsa.PublicKey:
		switch jose.SignatureAlgorithm(key.Algorithm) {
		case jose.ES256:
			return public.Curve.Params().BitSize == 256
		case jose.ES384:
			return public.Curve.Params().BitSize == 384
		case jose.ES512:
			return public.Curve.Params().BitSize == 521
		}
	case ed25519.PublicKey:
		return jose.SignatureAlgorithm(key.Algorithm) == jose.EdDSA
	case *rsa.PublicKey:
		switch jose.SignatureAlgorithm(key.Algorithm) {
		case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512:
			return public.N.BitLen() >= minRSABits
		}
	}
	return false
}

// keysOf are the keys with the id. An unknown id lets them be fetched again, but not more often than the pause allows: anybody can
// make up ids.
func (e *Enforcer) keysOf(ctx context.Context, id string) (set *keySet, found []jose.JSONWebKey, err error) {
	set, err = e.keys.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	if found = set.byID[id]; len(found) == 0 && id != "" && len(id) <= maxKeyID {
		if set, err = e.keys.again(ctx, unknownKeyPause); err != nil {
			return nil, nil, err
		}
		found = set.byID[id]
	}
	return set, found, nil
}
