package keyring

import (
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// becauseDeleting is why the keys of a SigningKey that is being deleted end.
const becauseDeleting = "the SigningKey is being deleted"

// ending are the steps of Plan for a SigningKey that is being deleted: nothing is made, certified or activated any more.
// What has signed stays public until its last token is dead, as after any rotation.
var ending = []func(planning) []Transition{revokeNamed, retireActive, discardStandby, removeDead}

func retireActive(in planning) []Transition {
	return in.each(Retire, becauseDeleting, func(k Key) bool { return k.State == v1alpha1.KeyActive })
}

// discardStandby drops what never signed: no token needs it.
func discardStandby(in planning) []Transition {
	return in.each(Discard, becauseDeleting, Key.standby)
}

// HeldAtMost is when the last token of a SigningKey that is being deleted since then is dead, whatever became of its
// keys: servers that see the deletion stop at once, the others L later. The lifetime is the longest that one of the keys
// ever had; where none is known, the spec's.
func (p Params) HeldAtMost(deleted time.Time, ring Ring) time.Time {
	lifetime := time.Duration(0)
	for _, k := range ring.Keys {
		lifetime = max(lifetime, k.TokenLifetime)
	}
	if len(ring.Keys) == 0 {
		lifetime = p.TokenLifetime
	}
	return deleted.Add(p.MaxStaleness + lifetime + p.margin())
}

// HeldUntil is when no token that expires is left, and never later than HeldAtMost; zero if there is none.
func (p Params) HeldUntil(deleted time.Time, ring Ring) time.Time {
	until, most := time.Time{}, p.HeldAtMost(deleted, ring)
	for _, k := range ring.Keys {
		switch k.State {
		case v1alpha1.KeyRetired:
			until = latest(until, p.DeadTime(k))
		case v1alpha1.KeyRevoked: // nobody shall accept its tokens
		default:
			return most // it has not ended yet
		}
	}
	if until.After(most) {
		return most
	}
	return until
}

// WithoutPrivate returns the ring without its private halves: what is left of it can verify, and cannot sign.
func (r Ring) WithoutPrivate() Ring {
	r = r.clone()
	for i := range r.Keys {
		r.Keys[i].Private = nil
	}
	return r
}
