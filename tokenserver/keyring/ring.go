package keyring

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"sort"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Key is one key with its state and times. A zero time means that it has not happened.
type Key struct {
	// Thumbprint is the RFC 7638 thumbprint (SHA-256): the key's name, whatever the format of its kid.
	Thumbprint string
	// KeyID is the kid of tokens, in Format.
	KeyID     string
	Format    v1alpha1.KeyIDFormat
	Algorithm v1alpha1.Algorithm
	State     v1alpha1.KeyState
	Public    crypto.PublicKey
	// Private is nil once the key is Retired or Revoked.
	Private crypto.Signer
	// Chain holds DER certificates, the leaf first and the authority left out; empty until the key is certified.
	Chain [][]byte
	// CertifiedUntil is the NotAfter of the leaf; zero without one.
	CertifiedUntil time.Time
	// CertifiedBy is the ID of the authority that issued the leaf; empty without one.
	CertifiedBy string

	Created, Published, Activated time.Time
	// SignUntil is when servers stop to sign with the key even if nobody tells them; zero: never.
	SignUntil time.Time
	// Retired is when the key was replaced or revoked.
	Retired time.Time
	// TokenLifetime is the longest that a token of this key was ever allowed to live. A server must not sign a longer
	// one with it: the key is removed, and its certificate ends, by this.
	TokenLifetime time.Duration
}

// Ring is the set of keys of one SigningKey.
type Ring struct {
	// Generation grows with every write; a lower one never replaces a higher.
	Generation int64
	// LastHandledRotate is the value of the annotation tokenwright.dev/rotate that was answered last.
	LastHandledRotate string
	// LastHandledRotateCA is the value of the annotation tokenwright.dev/rotate-ca that was answered last.
	LastHandledRotateCA string
	// Authorities are those whose leaves may be in use, in the order of ca.crt: the one that issues, the next if there is
	// one, and those that were replaced, the last of them first.
	Authorities []Trust
	// Publications are where the public part was put, so that a place that is no longer named can be cleared.
	Publications []Publication
	// Keys are in the order in which they were made.
	Keys []Key
}

// Publication is a ConfigMap that holds the public part.
type Publication struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Active returns the key that signs, if there is one.
func (r Ring) Active() (Key, bool) { return r.first(v1alpha1.KeyActive) }

// Standby returns the key that will sign next, if there is one.
func (r Ring) Standby() (Key, bool) {
	if k, ok := r.first(v1alpha1.KeyPublished); ok {
		return k, true
	}
	return r.first(v1alpha1.KeyPending)
}

func (r Ring) first(state v1alpha1.KeyState) (Key, bool) {
	for _, k := range r.Keys {
		if k.State == state {
			return k, true
		}
	}
	return Key{}, false
}

// index returns the place of the key, or -1.
func (r Ring) index(thumbprint string) int {
	for i := range r.Keys {
		if r.Keys[i].Thumbprint == thumbprint {
			return i
		}
	}
	return -1
}

// clone copies the ring, so that what is done to the copy does not show in the original.
func (r Ring) clone() Ring {
	r.Keys = append([]Key(nil), r.Keys...)
	r.Authorities = append([]Trust(nil), r.Authorities...)
	r.Publications = append([]Publication(nil), r.Publications...)
	return r
}

// public says whether the key belongs into the JWKS. Pending keys do: a key counts as Published only when it is known
// to be served, so it must be served before.
func (k Key) public() bool { return k.State != v1alpha1.KeyRevoked }

// JWK returns the public key as a JSON Web Key (RFC 7517) with kid, alg and use.
func (k Key) JWK() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.Public, KeyID: k.KeyID, Algorithm: string(k.Algorithm), Use: "sig"}
}

// JWKS returns the public keys of the rings, ordered by kid and without repetitions; revoked keys are left out.
func JWKS(rings ...Ring) jose.JSONWebKeySet {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	seen := map[string]bool{}
	for _, ring := range rings {
		for _, k := range ring.Keys {
			if k.public() && !seen[k.Thumbprint] {
				seen[k.Thumbprint] = true
				set.Keys = append(set.Keys, k.JWK())
			}
		}
	}
	sort.SliceStable(set.Keys, func(i, j int) bool { return set.Keys[i].KeyID < set.Keys[j].KeyID })
	return set
}

// Verifying are the keys that verify, with or without a private half: those of the JWKS.
func (r Ring) Verifying() []Key {
	var keys []Key
	for _, k := range r.Keys {
		if k.public() {
			keys = append(keys, k)
		}
	}
	return keys
}

// PublicPEM returns the public key as a PEM block of type PUBLIC KEY (RFC 7468).
func (k Key) PublicPEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public)
	if err != nil {
		return nil, fmt.Errorf("encode public key %s: %w", k.Thumbprint, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// AuthoritiesPEM returns the certificates of the authorities as PEM blocks; empty without any.
func (r Ring) AuthoritiesPEM() []byte {
	var out []byte
	for _, trusted := range r.Authorities {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trusted.Certificate})...)
	}
	return out
}
