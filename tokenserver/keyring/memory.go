package keyring

import (
	"slices"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Followed returns the next ring as a server uses it that has used this one: the Active key that it holds goes on for as
// long as the next has none. That is so only after the Secret was lost: the manager then knows the key as Retired, by its
// public half, until a replacement is Active. A key that was revoked is not Retired, and does not come back by this.
func (r Ring) Followed(next Ring) Ring {
	held, signs := r.Active()
	if _, replaced := next.Active(); replaced || !signs || held.Private == nil {
		return next
	}
	if lost := next.index(held.Thumbprint); lost >= 0 && next.Keys[lost].State == v1alpha1.KeyRetired {
		next.Keys = slices.Clone(next.Keys)
		next.Keys[lost] = held
	}
	return next
}

// Revoked are the thumbprints of keys that were once seen as Revoked. They stay so for whoever remembers, whatever an older
// Secret says that somebody restored.
type Revoked map[string]bool

// Note remembers the keys of the ring that are Revoked.
func (r Revoked) Note(ring Ring) {
	for _, k := range ring.Keys {
		if k.State == v1alpha1.KeyRevoked {
			r[k.Thumbprint] = true
		}
	}
}

// Without returns the ring without the keys that were ever Revoked.
func (r Revoked) Without(ring Ring) Ring {
	ring.Keys = slices.DeleteFunc(slices.Clone(ring.Keys), func(k Key) bool { return r[k.Thumbprint] })
	return ring
}
