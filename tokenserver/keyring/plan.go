package keyring

import (
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Action is what a Transition does to a key.
type Action string

// The actions, in the order in which Plan considers them.
const (
	// Revoke takes the key out of signer and JWKS and erases its private half.
	Revoke Action = "Revoke"
	// Discard drops a standby that never signed and that the spec does not want any more.
	Discard Action = "Discard"
	// Extend raises the key's longest token lifetime and signUntil to what the spec says now.
	Extend Action = "Extend"
	// Publish notes that the key is known to be public.
	Publish Action = "Publish"
	// Retire ends the key's signing and erases its private half; always together with an Activate, unless the SigningKey is
	// being deleted.
	Retire Action = "Retire"
	// Activate makes the standby the key that signs.
	Activate Action = "Activate"
	// Create makes a new Pending key.
	Create Action = "Create"
	// Certify issues the Active key a certificate that lasts as long as its tokens.
	Certify Action = "Certify"
	// Remove drops a key whose last token is dead.
	Remove Action = "Remove"
)

// Transition is one step in the life of one key. Thumbprint is empty for Create.
type Transition struct {
	Do         Action
	Thumbprint string
	Because    string
}

// Facts are what Plan must know of the world outside the Secret.
type Facts struct {
	// Public has the thumbprints of the keys that the home ConfigMap holds.
	Public map[string]bool
	// Acks are what the servers say that they serve.
	Acks []Ack
	// AuthorityUntil is the NotAfter of the certificate authority; zero if there is none.
	AuthorityUntil time.Time
	// Authority is its ID; empty if there is none.
	Authority string
}

// Plan says what has to happen now, in order; all of it belongs into one write. It returns nothing if nothing is due.
// A transition that depends on the write of another, or on a fact that is not known yet, comes with a later call.
func Plan(now time.Time, p Params, ring Ring, facts Facts) []Transition {
	in := planning{now: now, Params: p, ring: ring.clone(), facts: facts}
	steps := []func(planning) []Transition{
		revokeNamed,     // before all else: nothing below may choose a dead key
		discardUnwanted, // a standby of another algorithm would never be activated
		extendLifetimes, // before activation, so that a new key has the spec's lifetime
		publishServed,   // before activation: the first key is activated in the same write
		activateStandby, // the swap
		createStandby,   // after the swap, which used the standby up
		certifyActive,   // after the swap and the extension
		removeDead,      // independent of the others
		removeManyRecorded,
		removeManyRevoked, // last: counts what is left
	}
	if p.Deleting {
		steps = ending
	}
	var plan []Transition
	for _, step := range steps {
		transitions := step(in)
		for _, t := range transitions {
			// The shadow makes each step see what the steps before it decided.
			in.ring, _ = execute(in.ring, t, now, p, shadow{facts})
		}
		plan = append(plan, transitions...)
	}
	return plan
}

type planning struct {
	Params
	now   time.Time
	ring  Ring
	facts Facts
}

// each proposes the action for every key that asks for it.
func (in planning) each(do Action, because string, asks func(Key) bool) []Transition {
	var out []Transition
	for _, k := range in.ring.Keys {
		if asks(k) {
			out = append(out, Transition{do, k.Thumbprint, because})
		}
	}
	return out
}

func revokeNamed(in planning) []Transition {
	return in.each(Revoke, "spec.revokedKeyIDs names it", func(k Key) bool {
		return k.State != v1alpha1.KeyRevoked && k.named(in.Revoked...)
	})
}

func discardUnwanted(in planning) []Transition {
	if in.Hold {
		return nil
	}
	return in.each(Discard, "spec asks for another kind of key", func(k Key) bool {
		return k.standby() && !in.wants(k)
	})
}

func extendLifetimes(in planning) []Transition {
	if in.Hold {
		return nil
	}
	return in.each(Extend, "spec allows longer", func(k Key) bool {
		switch {
		case k.standby():
			return k.TokenLifetime < in.TokenLifetime
		case k.State == v1alpha1.KeyActive && in.canRenew():
			return k.TokenLifetime < in.TokenLifetime || in.extends(k, in.facts)
		}
		return false
	})
}

// canRenew says whether the Active key can have a certificate for what it is allowed more.
func (in planning) canRenew() bool {
	return in.Identification != v1alpha1.X509Chain || !in.facts.AuthorityUntil.IsZero()
}

// publishServed waits for every server, so that no verifier is told of a JWKS without the key later on. Where no key
// signs, which is so for the first key and after an emergency, waiting for a server that is cut off would do more harm.
func publishServed(in planning) []Transition {
	_, signs := in.ring.Active()
	return in.each(Publish, "it is public", func(k Key) bool {
		return k.State == v1alpha1.KeyPending && in.facts.Public[k.Thumbprint] &&
			(!signs || in.Acknowledged(in.now, k, in.facts.Acks))
	})
}

func activateStandby(in planning) []Transition {
	standby, ok := in.ring.first(v1alpha1.KeyPublished)
	if !ok || !in.CanActivate(in.now, in.facts) {
		return nil
	}
	active, signs := in.ring.Active()
	because := ""
	switch {
	case !signs:
		return []Transition{{Activate, standby.Thumbprint, "no other key signs"}}
	case in.Hold, in.now.Before(in.readyTime(standby)):
	case in.Mode == v1alpha1.RotationManual:
		if standby.named(in.Activate) && in.room(in.now, in.ring) {
			because = "the annotation " + v1alpha1.AnnotationActivate + " names it"
		}
	case in.Mode == v1alpha1.RotationAutomatic && !in.now.Before(in.dueTime(active)):
		because = "the interval is over"
	case in.Asked(in.ring) && in.room(in.now, in.ring):
		because = "a rotation was asked for"
		if !in.wants(active) {
			because = "spec asks for another kind of key"
		}
	}
	if because == "" {
		return nil
	}
	return []Transition{{Retire, active.Thumbprint, because}, {Activate, standby.Thumbprint, because}}
}

func createStandby(in planning) []Transition {
	if _, ok := in.ring.Standby(); ok {
		return nil
	}
	if len(in.ring.Keys) == 0 {
		if in.Hold {
			return nil // a spec that contradicts itself gets no first key
		}
		return []Transition{{Create, "", "it is the first key"}}
	}
	_, signs := in.ring.Active()
	if signs && in.Mode == v1alpha1.RotationNever && (in.Hold || !in.Asked(in.ring)) {
		return nil
	}
	return []Transition{{Create, "", "a standby is needed"}}
}

func certifyActive(in planning) []Transition {
	if in.Identification != v1alpha1.X509Chain {
		return nil
	}
	return in.each(Certify, "it needs a certificate of the authority that issues now, for as long as its tokens", func(k Key) bool {
		until := in.leafUntil(k, in.facts)
		wants := k.CertifiedUntil.Before(until) || in.facts.Authority != "" && k.CertifiedBy != in.facts.Authority
		return k.State == v1alpha1.KeyActive && wants && in.now.Before(until)
	})
}

func removeDead(in planning) []Transition {
	return in.each(Remove, "its last token is dead", func(k Key) bool {
		until := in.RemovalTime(k)
		return !until.IsZero() && !in.now.Before(until)
	})
}

// maxRecorded bounds how many keys are kept for recorded tokens alone: a Secret has room for so many.
const maxRecorded = 64

func removeManyRecorded(in planning) []Transition {
	kept := in.each(Remove, "too many are kept for recorded tokens", func(k Key) bool {
		return k.State == v1alpha1.KeyRetired && !in.now.Before(in.DeadTime(k)) && in.now.Before(in.RemovalTime(k))
	})
	if len(kept) <= maxRecorded {
		return nil
	}
	return kept[:len(kept)-maxRecorded]
}

// maxRevoked bounds how many dead keys are remembered: as many as a spec can name.
const maxRevoked = 64

func removeManyRevoked(in planning) []Transition {
	revoked := in.each(Remove, "too many are revoked", func(k Key) bool { return k.State == v1alpha1.KeyRevoked })
	if len(revoked) <= maxRevoked {
		return nil
	}
	return revoked[:len(revoked)-maxRevoked]
}
