package keyring

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Execute does what was planned and returns the ring to be written, one generation on. The ring itself is not changed.
// The authority may be nil unless the plan certifies.
func Execute(ring Ring, plan []Transition, now time.Time, p Params, random io.Reader, authority *Authority) (Ring, error) {
	next := ring.clone()
	next.Generation++
	for _, t := range plan {
		var err error
		if next, err = execute(next, t, now.UTC().Round(0), p, workshop{random, authority}); err != nil {
			return Ring{}, err
		}
	}
	return next, nil
}

// maker is what a transition needs beside the ring: Plan gives it a shadow, Execute the real thing.
type maker interface {
	facts() Facts
	key(Params, time.Time) (Key, error)
	certify(ring *Ring, k *Key, now, until time.Time) error
}

func execute(ring Ring, t Transition, now time.Time, p Params, m maker) (Ring, error) {
	if t.Do == Create {
		k, err := m.key(p, now)
		if err != nil {
			return ring, err
		}
		ring.Keys = append(ring.Keys, k)
		return ring, nil
	}
	i := ring.index(t.Thumbprint)
	if i < 0 {
		return ring, fmt.Errorf("key %s is not in the set", t.Thumbprint)
	}
	k := &ring.Keys[i]
	switch t.Do {
	case Revoke:
		k.State, k.Retired, k.Private = v1alpha1.KeyRevoked, now, nil
	case Retire:
		k.State, k.Retired, k.Private = v1alpha1.KeyRetired, now, nil
	case Publish:
		k.State, k.Published = v1alpha1.KeyPublished, now
	case Extend:
		if k.State == v1alpha1.KeyActive && p.extends(*k, m.facts()) {
			k.SignUntil = p.signUntil(k.Activated, max(k.TokenLifetime, p.TokenLifetime), m.facts())
		}
		k.TokenLifetime = max(k.TokenLifetime, p.TokenLifetime)
	case Activate:
		k.State, k.Activated = v1alpha1.KeyActive, now
		k.SignUntil = p.signUntil(now, k.TokenLifetime, m.facts())
		if p.Rotate != "" {
			ring.LastHandledRotate = p.Rotate
		}
	case Certify:
		err := m.certify(&ring, k, now, p.leafUntil(*k, m.facts()))
		return ring, err
	case Discard, Remove:
		ring.Keys = append(ring.Keys[:i:i], ring.Keys[i+1:]...)
	default:
		return ring, fmt.Errorf("unknown action %q", t.Do)
	}
	return ring, nil
}

// workshop makes real keys and certificates.
type workshop struct {
	random    io.Reader
	authority *Authority
}

func (w workshop) facts() Facts {
	return Facts{AuthorityUntil: w.authority.Until(), Authority: w.authority.ID()}
}

func (w workshop) key(p Params, now time.Time) (Key, error) { return GenerateKey(w.random, p, now) }

func (w workshop) certify(ring *Ring, k *Key, now, until time.Time) error {
	if w.authority == nil {
		return fmt.Errorf("certify key %s: there is no certificate authority", k.Thumbprint)
	}
	leaf, err := w.authority.Certify(w.random, k.Public, now, until)
	if err != nil {
		return fmt.Errorf("certify key %s: %w", k.Thumbprint, err)
	}
	k.Chain, k.CertifiedUntil, k.CertifiedBy = [][]byte{leaf}, until, w.authority.ID()
	if !slices.ContainsFunc(ring.Authorities, w.authority.is) {
		ring.Authorities = slices.Insert(ring.Authorities, 0, Trust{Certificate: w.authority.Certificate.Raw})
	}
	return nil
}

// shadow makes keys and certificates that exist only within a plan.
type shadow struct{ known Facts }

func (s shadow) facts() Facts { return s.known }

func (s shadow) key(p Params, now time.Time) (Key, error) {
	return Key{Algorithm: p.Algorithm, Format: p.Format, State: v1alpha1.KeyPending, Created: now, TokenLifetime: p.TokenLifetime}, nil
}

func (s shadow) certify(_ *Ring, k *Key, _, until time.Time) error {
	k.CertifiedUntil, k.CertifiedBy = until, s.known.Authority
	return nil
}

func rsaBits(public crypto.PublicKey) int {
	if key, ok := public.(*rsa.PublicKey); ok {
		return key.N.BitLen()
	}
	return 0
}
