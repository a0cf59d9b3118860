package keyring

import (
	"slices"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Ack is what one server says in its Lease: it has these keys in its JWKS.
type Ack struct {
	// Server is the name of the Lease, for people.
	Server string
	// Until is when the Lease ends unless it is renewed. A server that is past it does not sign, by its own clock.
	Until time.Time
	// Serves are thumbprints.
	Serves []string
}

// Acknowledged says whether every server whose Lease has not ended serves the key. Where there is no server, nobody has to
// be waited for.
func (p Params) Acknowledged(now time.Time, k Key, acks []Ack) bool {
	return !slices.ContainsFunc(acks, func(a Ack) bool { return p.live(now, a) && !a.serves(k) })
}

// live says whether the server may still sign, by a clock that is behind.
func (p Params) live(now time.Time, a Ack) bool { return !now.After(a.Until.Add(p.ClockSkew)) }

func (a Ack) serves(k Key) bool { return slices.Contains(a.Serves, k.Thumbprint) }

// Waiting returns the standby that waits for servers to serve it, and what those said, in the order in which it was given.
// It waits only while another key signs: see publishServed.
func (p Params) Waiting(now time.Time, ring Ring, acks []Ack) (Key, []Ack) {
	standby, waits := ring.awaitsAcks()
	if !waits {
		return Key{}, nil
	}
	var missing []Ack
	for _, a := range acks {
		if p.live(now, a) && !a.serves(standby) {
			missing = append(missing, a)
		}
	}
	return standby, missing
}

// AwaitsAcks says whether Plan needs to know what the servers say that they serve.
func (r Ring) AwaitsAcks() bool {
	_, waits := r.awaitsAcks()
	return waits
}

func (r Ring) awaitsAcks() (Key, bool) {
	pending, ok := r.first(v1alpha1.KeyPending)
	_, signs := r.Active()
	return pending, ok && signs
}

// AckWake is when the first of those that are waited for ends, and with it the waiting for it; zero if nobody is.
func (p Params) AckWake(missing []Ack) time.Time {
	wake := time.Time{}
	for _, a := range missing {
		// A Lease counts up to its very end: what the least unit of the API's times later is true is true for good.
		if end := a.Until.Add(p.ClockSkew + time.Microsecond); wake.IsZero() || end.Before(wake) {
			wake = end
		}
	}
	return wake
}

// Census counts the servers whose Leases have not ended by whether they serve the key that will sign next, or, where there
// is none, the one that signs.
func (p Params) Census(now time.Time, ring Ring, acks []Ack) (serving, others int) {
	k, ok := ring.Standby()
	if !ok {
		k, _ = ring.Active()
	}
	for _, a := range acks {
		switch {
		case !p.live(now, a):
		case a.serves(k):
			serving++
		default:
			others++
		}
	}
	return serving, others
}

// EncodeServes writes thumbprints as the value of the annotation tokenwright.dev/serves: sorted, each once.
func EncodeServes(thumbprints []string) string {
	sorted := slices.Clone(thumbprints)
	slices.Sort(sorted)
	return strings.Join(slices.Compact(sorted), " ")
}

// DecodeServes reads what EncodeServes wrote.
func DecodeServes(value string) []string { return strings.Fields(value) }
