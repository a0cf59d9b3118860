package keyring

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// longestLifetime is what the schema allows a token; a status does not tell what a key was allowed.
const longestLifetime = 24 * time.Hour

// Recover returns the ring of a SigningKey whose Secret was lost: the public halves that its status tells, as Retired
// keys, so that the tokens that they signed still verify. That goes for a standby too: a status is written last, so that
// what it calls a standby may have signed since. Entries that do not stand up to a check are left out; what was revoked
// stays out of the JWKS. The next generation will be above the given one.
func Recover(status v1alpha1.SigningKeyStatus, now time.Time, generation int64) Ring {
	ring := Ring{Generation: generation, LastHandledRotate: status.LastHandledRotate, LastHandledRotateCA: status.LastHandledRotateCA}
	ring.recall(status, now)
	return ring
}

// Recall returns the ring that an older Secret holds, which somebody restored, with what the status knows better: keys
// that the ring does not have are Retired, because their private halves are lost, and what was revoked is revoked.
func Recall(ring Ring, status v1alpha1.SigningKeyStatus, now time.Time) Ring {
	ring = ring.clone()
	for i := range ring.Keys {
		k := &ring.Keys[i]
		revoked := slices.ContainsFunc(status.Keys, func(s v1alpha1.KeyStatus) bool {
			return s.State == v1alpha1.KeyRevoked && s.Thumbprint == k.Thumbprint
		})
		if revoked && k.State != v1alpha1.KeyRevoked {
			k.State, k.Retired, k.Private = v1alpha1.KeyRevoked, now.UTC().Round(0), nil
		}
	}
	ring.recall(status, now)
	return ring
}

// recall adds the keys of the status that the ring does not have.
func (r *Ring) recall(status v1alpha1.SigningKeyStatus, now time.Time) {
	for _, s := range status.Keys {
		if len(r.Keys) >= maxKeys/2 {
			return
		}
		if k, ok := recoverKey(s, now); ok && r.index(k.Thumbprint) < 0 {
			r.Keys = append(r.Keys, k)
		}
	}
}

func recoverKey(s v1alpha1.KeyStatus, now time.Time) (Key, bool) {
	public, err := decodeJWK([]byte(s.JWK))
	if err != nil {
		return Key{}, false
	}
	k := Key{
		Thumbprint: s.Thumbprint, KeyID: s.KeyID, State: v1alpha1.KeyRetired, Public: public,
		Created: parsed(s.CreatedTime, now), Published: parsed(s.PublishedTime, now),
		Activated: parsed(s.ActivatedTime, now), Retired: parsed(s.RetiredTime, now), TokenLifetime: longestLifetime,
	}
	if s.State == v1alpha1.KeyRevoked {
		k.State = v1alpha1.KeyRevoked
	}
	var jwk struct {
		Algorithm v1alpha1.Algorithm `json:"alg"`
	}
	if json.Unmarshal([]byte(s.JWK), &jwk) != nil {
		return Key{}, false
	}
	k.Algorithm, k.Format = jwk.Algorithm, formatOf(k)
	return k, checkIDs(&k) == nil && checkTimes(&k) == nil
}

func parsed(t v1alpha1.DateTime, otherwise time.Time) time.Time {
	if v, err := t.Parse(); err == nil {
		return v.UTC()
	}
	return otherwise.UTC()
}

// formatOf finds the format in which the kid is the key's.
func formatOf(k Key) v1alpha1.KeyIDFormat {
	for _, format := range []v1alpha1.KeyIDFormat{v1alpha1.LibTrust, v1alpha1.SSHFingerprintMD5} {
		if id, err := KeyID(k.Public, format); err == nil && id == k.KeyID {
			return format
		}
	}
	return v1alpha1.Thumbprint
}
