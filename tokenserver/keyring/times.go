package keyring

import (
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func (k Key) standby() bool {
	return k.State == v1alpha1.KeyPending || k.State == v1alpha1.KeyPublished
}

func (p Params) rsaKeySize() int {
	if p.RSAKeySize == 0 {
		return DefaultRSAKeySize
	}
	return p.RSAKeySize
}

// wants says whether the key is of the kind that the spec asks for.
func (p Params) wants(k Key) bool {
	if k.Algorithm != p.Algorithm || k.Format != p.Format {
		return false
	}
	bits := rsaBits(k.Public)
	return bits == 0 || bits == p.rsaKeySize()
}

// Asked says whether a rotation was asked for, by annotation or by a change of the kind of key, that has not happened.
func (p Params) Asked(ring Ring) bool {
	active, signs := ring.Active()
	return p.Rotate != "" && p.Rotate != ring.LastHandledRotate || signs && !p.wants(active)
}

// readyTime is when a Published key has been public for long enough to sign.
func (p Params) readyTime(k Key) time.Time { return k.Published.Add(p.PublishAhead + p.ClockSkew) }

// dueTime is when the Active key has signed for its interval.
func (p Params) dueTime(k Key) time.Time { return k.Activated.Add(p.Interval) }

// margin is added wherever a token must be dead: one skew for whoever signed it, one for whoever verifies it.
func (p Params) margin() time.Duration { return 2 * p.ClockSkew }

// RemovalTime is when a Retired key is dropped: when its last token is dead, and the last recorded one without an expiry has
// ended. Zero for keys that are neither Retired nor Revoked.
func (p Params) RemovalTime(k Key) time.Time {
	end := p.DeadTime(k)
	if recorded, ok := p.Recorded[k.Thumbprint]; ok && k.State == v1alpha1.KeyRetired {
		return latest(end, recorded.Add(p.margin()))
	}
	return end
}

// DeadTime is when the last token of a Retired key that expires is dead, whichever replica signed it; a Revoked key is
// remembered for as long. Zero for keys in other states.
func (p Params) DeadTime(k Key) time.Time {
	if k.State != v1alpha1.KeyRetired && k.State != v1alpha1.KeyRevoked {
		return time.Time{}
	}
	return k.Retired.Add(p.MaxStaleness + k.TokenLifetime + p.margin())
}

// signUntil is when servers stop to sign with a key that was activated then, if no manager renews anything: two
// intervals, but never past the authority's end. Zero in mode Never: no end.
func (p Params) signUntil(activated time.Time, lifetime time.Duration, facts Facts) time.Time {
	if p.Mode == v1alpha1.RotationNever {
		return time.Time{}
	}
	until := activated.Add(2 * p.Interval)
	if p.Identification == v1alpha1.X509Chain {
		if last := facts.AuthorityUntil.Add(-lifetime - p.margin()); last.Before(until) {
			return last
		}
	}
	return until
}

// extends says whether the spec lets the Active key sign longer than it may now. It is never shortened.
func (p Params) extends(k Key, facts Facts) bool {
	if k.SignUntil.IsZero() {
		return false
	}
	until := p.signUntil(k.Activated, max(k.TokenLifetime, p.TokenLifetime), facts)
	return until.IsZero() || k.SignUntil.Before(until)
}

// CanActivate says whether a key that is activated now can have a certificate, if it needs one, that is good for
// something. If not, a person has to see to the certificate authority.
func (p Params) CanActivate(now time.Time, facts Facts) bool {
	if p.Identification != v1alpha1.X509Chain {
		return true
	}
	return facts.AuthorityUntil.After(now.Add(p.TokenLifetime + p.margin()))
}

// leafUntil is the NotAfter that the Active key's certificate needs.
func (p Params) leafUntil(k Key, facts Facts) time.Time {
	until := k.SignUntil.Add(k.TokenLifetime + p.margin())
	if k.SignUntil.IsZero() || facts.AuthorityUntil.Before(until) {
		until = facts.AuthorityUntil
	}
	return until.Truncate(time.Second) // what a certificate can say
}

// Bound is how many keys that are not revoked the set may have, beside those that recorded tokens keep: of these there are
// at most maxRecorded.
func (p Params) Bound(ring Ring) int {
	return 3 + int((p.window(ring)+p.Interval-1)/p.Interval)
}

// window is how long a retired key stays at most.
func (p Params) window(ring Ring) time.Duration {
	lifetime := p.TokenLifetime
	for _, k := range ring.Keys {
		lifetime = max(lifetime, k.TokenLifetime)
	}
	return lifetime + p.MaxStaleness + p.margin()
}

// room says whether a rotation that was asked for may happen now without growing the set past its bound, neither now nor
// when the interval asks for the next ones: those must not have to wait.
func (p Params) room(now time.Time, ring Ring) bool {
	limit := p.Bound(ring) - 2 // beside the Active key and the standby
	for next, at := 1, now; ; next, at = next+1, at.Add(p.Interval) {
		kept := next // one more is retired with each rotation from now on
		for _, k := range ring.Keys {
			if k.State == v1alpha1.KeyRetired && p.DeadTime(k).After(at) {
				kept++
			}
		}
		if kept > limit {
			return false
		}
		if p.Mode != v1alpha1.RotationAutomatic || at.Sub(now)+p.Interval >= p.window(ring) {
			return true
		}
	}
}

// NextRotation is when the next key will sign, as far as it is known; zero if that depends on a person. It may lie in the
// past, but does not move with the time: a status that says it must not change each time that it is written.
func (p Params) NextRotation(now time.Time, ring Ring) time.Time {
	active, signs := ring.Active()
	if !signs || p.Hold || p.Mode == v1alpha1.RotationManual {
		return time.Time{}
	}
	next := time.Time{}
	if p.Mode == v1alpha1.RotationAutomatic {
		next = p.dueTime(active)
	}
	standby, public := ring.first(v1alpha1.KeyPublished)
	if !public {
		return next
	}
	ready := p.readyTime(standby)
	if !next.IsZero() {
		next = latest(next, ready)
	}
	if p.Asked(ring) {
		if asked := latest(ready, p.RoomTime(now, ring)); next.IsZero() || asked.Before(next) {
			return asked
		}
	}
	return next
}

// RoomTime is when enough retired keys are gone for a rotation that was asked for; zero if there is room already.
func (p Params) RoomTime(now time.Time, ring Ring) time.Time {
	if p.room(now, ring) {
		return time.Time{}
	}
	last := now
	for _, k := range ring.Keys {
		if k.State == v1alpha1.KeyRetired {
			last = latest(last, p.DeadTime(k))
		}
	}
	first := last
	for _, k := range ring.Keys {
		if at := p.DeadTime(k); k.State == v1alpha1.KeyRetired && at.Before(first) && p.room(at, ring) {
			first = at
		}
	}
	return first
}

// Wake is when to plan again if nothing else happens; zero if time alone changes nothing.
func (p Params) Wake(now time.Time, ring Ring) time.Time {
	wake := time.Time{}
	at := func(t time.Time) {
		if t.After(now) && (wake.IsZero() || t.Before(wake)) {
			wake = t
		}
	}
	for _, k := range ring.Keys {
		switch k.State {
		case v1alpha1.KeyPublished:
			at(p.readyTime(k))
		case v1alpha1.KeyActive:
			if p.Mode == v1alpha1.RotationAutomatic {
				at(p.dueTime(k))
			}
			if !k.SignUntil.IsZero() {
				at(k.SignUntil)
			}
		case v1alpha1.KeyRetired, v1alpha1.KeyRevoked:
			at(p.RemovalTime(k))
		}
	}
	for _, trusted := range ring.Authorities {
		at(p.TrustEnd(ring, trusted))
	}
	return wake
}

// Due is when the rotation by interval is due, in the past if it is late; zero if none will be.
func (p Params) Due(ring Ring) time.Time {
	active, signs := ring.Active()
	if !signs || p.Mode != v1alpha1.RotationAutomatic {
		return time.Time{}
	}
	return p.dueTime(active)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
