package keyring

import (
	"slices"
	"strings"
	"time"
)

// Ack is what one server says in its Lease: it has these keys in its JWKS.
type Ack struct {
	// Until is when the Lease ends unless it is renewed. A server that is past it does not sign, by its own clock.
	Until time.Time
	// Serves are thumbprints.
	Serves []string
}

// Acknowledged says whether every server whose Lease has not ended serves the key. Where there is no server, nobody has to
// be waited for.
func (p Params) Acknowledged(now time.Time, k Key, acks []Ack) bool {
	return !slices.ContainsFunc(acks, func(a Ack) bool {
		return !now.After(a.Until.Add(p.ClockSkew)) && !slices.Contains(a.Serves, k.Thumbprint)
	})
}

// EncodeServes writes thumbprints as the value of the annotation tokenwright.dev/serves: sorted, each once.
func EncodeServes(thumbprints []string) string {
	sorted := slices.Clone(thumbprints)
	slices.Sort(sorted)
	return strings.Join(slices.Compact(sorted), " ")
}

// DecodeServes reads what EncodeServes wrote.
func DecodeServes(value string) []string { return strings.Fields(value) }
