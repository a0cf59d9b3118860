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

// Behind says whether the ring is older than the status, which is written last: a key is less far in its life than the
// status says, or the key that signs is missing, and all that there is was made before it. That is so when somebody
// restored an older Secret. (A key that signs is also missing where the status could not be written since the key was
// Active until it was dead; but then its successor is there.)
func Behind(ring Ring, status v1alpha1.SigningKeyStatus) bool {
	far := map[v1alpha1.KeyState]int{
		v1alpha1.KeyPending: 1, v1alpha1.KeyPublished: 2, v1alpha1.KeyActive: 3, v1alpha1.KeyRetired: 4, v1alpha1.KeyRevoked: 5,
	}
	newest := time.Time{}
	for _, k := range ring.Keys {
		newest = latest(newest, k.Created)
	}
	for _, s := range status.Keys {
		i := ring.index(s.Thumbprint)
		switch {
		case i >= 0 && far[ring.Keys[i].State] < far[s.State]:
			return true
		case i < 0 && s.State == v1alpha1.KeyActive && parsed(s.CreatedTime, time.Time{}).After(newest):
			return true
		}
	}
	return false
}

// Recall returns the ring of an older Secret, which somebody restored, with what the status knows better. A key is never
// less far in its life than the status says: what was revoked stays revoked, what was Retired does not sign again, and the
// key that signed last goes on if the backup has its private half. Keys that the ring does not have are Retired. If none
// is Active then, it is as if the Secret had been lost.
func Recall(ring Ring, status v1alpha1.SigningKeyStatus, now time.Time) Ring {
	if len(status.Keys) == 0 {
		return ring
	}
	ring = ring.clone()
	known, newest := map[string]v1alpha1.KeyStatus{}, time.Time{}
	for _, s := range status.Keys {
		known[s.Thumbprint] = s
		newest = latest(newest, parsed(s.CreatedTime, time.Time{}))
	}
	replaced := slices.ContainsFunc(ring.Keys, func(k Key) bool { return known[k.Thumbprint].State == v1alpha1.KeyActive })
	for i := range ring.Keys {
		k := &ring.Keys[i]
		s, told := known[k.Thumbprint]
		if told || k.Created.Truncate(time.Second).Before(newest) || replaced && k.State == v1alpha1.KeyActive {
			k.recall(s, now.UTC().Round(0))
		}
	}
	if status.LastHandledRotate != "" {
		ring.LastHandledRotate = status.LastHandledRotate
	}
	ring.oneSigns(now.UTC().Round(0))
	ring.recall(status, now)
	return ring
}

// oneSigns leaves the Active key that was activated last, and retires others: a status is never written so, but a ring
// with two could not be read again.
func (r *Ring) oneSigns(now time.Time) {
	last := -1
	for i := range r.Keys {
		k := &r.Keys[i]
		if k.State != v1alpha1.KeyActive {
			continue
		}
		if last >= 0 {
			if !k.Activated.After(r.Keys[last].Activated) {
				k.State, k.Retired, k.Private = v1alpha1.KeyRetired, now, nil
				continue
			}
			r.Keys[last].State, r.Keys[last].Retired, r.Keys[last].Private = v1alpha1.KeyRetired, now, nil
		}
		last = i
	}
}

// recall brings a key of an older ring to where the status knows it to be. One that the status does not know any more,
// though it was made before others that it knows, was removed since.
func (k *Key) recall(s v1alpha1.KeyStatus, now time.Time) {
	switch {
	case k.State == v1alpha1.KeyRevoked || s.State == v1alpha1.KeyRevoked:
		k.State = v1alpha1.KeyRevoked
	case s.State == v1alpha1.KeyActive && k.Private != nil:
		k.State = v1alpha1.KeyActive
		k.Published, k.Activated = past(s.PublishedTime, now), past(s.ActivatedTime, now)
		k.SignUntil = time.Time{}
		if s.SignUntil != "" {
			k.SignUntil = parsed(s.SignUntil, now)
		}
		k.TokenLifetime = longestLifetime
		return
	case s.State == v1alpha1.KeyPublished || s.State == v1alpha1.KeyPending:
		return // the status is no newer
	default:
		k.State, k.TokenLifetime = v1alpha1.KeyRetired, longestLifetime
		k.Published, k.Activated = orNow(k.Published, now), orNow(k.Activated, now)
	}
	k.Retired, k.Private = now, nil
}

func orNow(t, now time.Time) time.Time {
	if t.IsZero() {
		return now
	}
	return t
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
		Created: past(s.CreatedTime, now), Published: past(s.PublishedTime, now),
		Activated: past(s.ActivatedTime, now), Retired: past(s.RetiredTime, now), TokenLifetime: longestLifetime,
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

// past is a time that cannot lie in the future: a key that was retired there would stay until then.
func past(t v1alpha1.DateTime, now time.Time) time.Time {
	if v := parsed(t, now); v.Before(now) {
		return v
	}
	return now.UTC()
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
