package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// maxAuthorities is how many authorities ca.crt has at most: the one that issues, the next, and two that were replaced.
const maxAuthorities = 4

// Trust is one certificate authority that registries trust, as far as they have the latest ca.crt.
type Trust struct {
	// Certificate is DER.
	Certificate []byte `json:"certificate"`
	// Replaced is when the Active key had a leaf of another authority for the first time; zero while the authority is in
	// use: it issues leaves, or it is the next to do so.
	Replaced time.Time `json:"replaced,omitzero"`
}

func (t Trust) inUse() bool { return t.Replaced.IsZero() }

// ID is that of the authority.
func (t Trust) ID() string {
	certificate, err := parseAuthority(t.Certificate)
	if err != nil {
		return "unknown"
	}
	return (&Authority{Certificate: certificate}).ID()
}

// is says whether the entry of ca.crt is the authority.
func (a *Authority) is(t Trust) bool {
	return a != nil && bytes.Equal(t.Certificate, a.Certificate.Raw)
}

// NextAuthority is the authority that is published and waits for somebody to confirm it, if there is one.
func (r Ring) NextAuthority() (Trust, bool) {
	if len(r.Authorities) > 1 && r.Authorities[1].inUse() {
		return r.Authorities[1], true
	}
	return Trust{}, false
}

// AuthorityAsked says whether the annotation tokenwright.dev/rotate-ca has a value that was not answered yet.
func (p Params) AuthorityAsked(ring Ring) bool {
	return p.RotateCA != "" && p.RotateCA != ring.LastHandledRotateCA
}

// ConfirmedAhead says whether the request for an authority is confirmed before it was answered. It is not answered then:
// no registry can trust what is not made yet. It also keeps the annotations of a replacement that is over from beginning
// another one where an older key set was restored, which does not know that it answered them.
func (p Params) ConfirmedAhead() bool { return p.RotateCA == p.ConfirmCA }

// AuthorityRoom says whether ca.crt has room for one more.
func (p Params) AuthorityRoom(now time.Time, ring Ring) bool {
	return len(p.living(now, ring)) < maxAuthorities
}

// TrustEnd is when the last token is dead that carries a leaf of a replaced authority: servers may have signed under it
// for as long as their view may be old. Zero while it is in use.
func (p Params) TrustEnd(ring Ring, t Trust) time.Time {
	if t.inUse() {
		return time.Time{}
	}
	return t.Replaced.Add(p.window(ring))
}

// living are the authorities under which a token can still be alive. While no key is Active none goes: servers may sign
// with a key that was lost until there is another.
func (p Params) living(now time.Time, ring Ring) []Trust {
	_, signs := ring.Active()
	return slices.DeleteFunc(slices.Clone(ring.Authorities), func(t Trust) bool {
		return signs && !t.inUse() && !now.Before(p.TrustEnd(ring, t))
	})
}

// ConfirmFlags are those of `tokenwright keys rotate` that confirm the next authority. What the manager says of an authority
// that waits holds them, whatever else it says in the same message: that is how the command knows that one waits.
const ConfirmFlags = "--certificate-authority --confirm"

// AuthorityStep is what has to be done to the Secret of the certificate authority.
type AuthorityStep string

// The steps. Nothing to do is the empty one.
const (
	// MakeNext puts a new authority beside the one that issues.
	MakeNext AuthorityStep = "MakeNext"
	// PromoteNext makes the next authority the one that issues, and erases the private half of the other.
	PromoteNext AuthorityStep = "PromoteNext"
)

// AuthorityStep decides by what the Secret holds, which CheckHeld must have let pass, and by the certificates that the
// home ConfigMap holds. It must be carried out, compared and swapped, before the ring that Revise returns is written: a
// ring that speaks of an authority whose private half nobody kept could not be helped, an authority that the ring does not
// know yet is adopted.
func (p Params) AuthorityStep(now time.Time, ring Ring, held Held, published [][]byte) AuthorityStep {
	if p.Identification != v1alpha1.X509Chain || held.Current == nil || len(ring.Authorities) == 0 {
		return ""
	}
	if held.Next != nil {
		next, known := ring.NextAuthority()
		public := slices.ContainsFunc(published, func(der []byte) bool { return bytes.Equal(der, next.Certificate) })
		confirmed := p.ConfirmCA != "" && p.ConfirmCA == ring.LastHandledRotateCA && !p.AuthorityAsked(ring)
		if known && public && held.Next.is(next) && confirmed {
			return PromoteNext
		}
		return ""
	}
	// One that was promoted is not yet first: the ring has to say so before it can have another next.
	if p.AuthorityAsked(ring) && !p.ConfirmedAhead() && p.AuthorityRoom(now, ring) && held.Current.is(ring.Authorities[0]) {
		return MakeNext
	}
	return ""
}

// TakeStep returns what the Secret of the SigningKey's certificate authority has to hold after the step.
func TakeStep(random io.Reader, signingKey string, step AuthorityStep, held Held, now time.Time) (Held, error) {
	switch step {
	case MakeNext:
		next, err := NewAuthority(random, signingKey, now)
		return Held{Current: held.Current, Next: next}, err
	case PromoteNext:
		return Held{Current: held.Next}, nil
	}
	return held, nil
}

// Revise returns the ring with the authorities in order, by what the Secret of the certificate authority holds, and says
// whether that changed anything that has to be written. Where nothing is known of that Secret, it only drops authorities
// that nobody needs any more.
func (p Params) Revise(now time.Time, ring Ring, held Held) (Ring, bool) {
	now = now.UTC().Round(0)
	next := ring.clone()
	next.Authorities = p.living(now, ring)
	if held.Current != nil {
		next.Authorities = ordered(now, next.Authorities, held)
		next.LastHandledRotateCA = p.handled(ring, next, held)
	}
	changed := next.LastHandledRotateCA != ring.LastHandledRotateCA ||
		!slices.EqualFunc(next.Authorities, ring.Authorities, func(a, b Trust) bool {
			return bytes.Equal(a.Certificate, b.Certificate) && a.inUse() == b.inUse()
		})
	if _, signs := ring.Active(); !signs {
		for i := range next.Authorities { // time runs from the write that makes a key Active: see living
			if t := &next.Authorities[i]; !t.inUse() {
				t.Replaced = now
			}
		}
	}
	return next, changed
}

// ordered has the authority that issues first, then the next one, then those that were replaced, the last of them first.
// A next whose private half is not in the Secret any more stays what it is until there is another: the Secret may come
// back.
func ordered(now time.Time, trusted []Trust, held Held) []Trust {
	promoted := len(trusted) > 0 && !held.Current.is(trusted[0])
	out := []Trust{{Certificate: held.Current.Certificate.Raw}}
	var replaced []Trust
	room := len(trusted) < maxAuthorities
	for _, t := range trusted {
		switch {
		case held.Current.is(t):
		case held.Next.is(t):
			room = true
		case t.inUse() && !promoted && held.Next == nil:
			out = append(out, t)
		case t.inUse():
			replaced = append(replaced, Trust{Certificate: t.Certificate, Replaced: now})
		default:
			replaced = append(replaced, t)
		}
	}
	if held.Next != nil && room {
		out = append(out, Trust{Certificate: held.Next.Certificate.Raw})
	}
	return append(out, replaced...)
}

// handled is the request that counts as answered. One that was there when the first authority was made asks for nothing;
// one that comes while a next authority waits is answered by that one. If nobody asks any more for an authority that was
// made, no request counts as answered: a confirmation that is still there was meant for another.
func (p Params) handled(before, after Ring, held Held) string {
	next, waits := after.NextAuthority()
	known, waited := before.NextAuthority()
	switch {
	case waits && held.Next.is(next) && p.AuthorityAsked(before) && !p.ConfirmedAhead():
		return p.RotateCA
	case waits && held.Next.is(next) && !(waited && held.Next.is(known)):
		return ""
	case len(before.Authorities) == 0 && p.RotateCA != "":
		return p.RotateCA
	}
	return before.LastHandledRotateCA
}

// CheckHeld says why the authority in the Secret must not issue, or nil. Its errors begin with what the Secret does.
func CheckHeld(ring Ring, held Held) error {
	i := slices.IndexFunc(ring.Authorities, held.Current.is)
	switch {
	case len(ring.Authorities) == 0:
		return nil
	case i < 0:
		return errors.New("holds another certificate authority than the one that is published; restore it")
	case !ring.Authorities[i].inUse():
		return fmt.Errorf("holds the certificate authority %s, which was replaced: an older Secret was restored; restore that of authority %s",
			held.Current.ID(), ring.Authorities[0].ID())
	}
	return nil
}

// CheckNext says why the next authority in the Secret must not be used, or nil.
func CheckNext(ring Ring, held Held) error {
	i := slices.IndexFunc(ring.Authorities, held.Next.is)
	if i < 0 || ring.Authorities[i].inUse() {
		return nil
	}
	return fmt.Errorf("holds as the next certificate authority %s, which was given up: an older Secret was restored; remove its entries %s and %s",
		held.Next.ID(), nextCertificateEntry, nextPrivateEntry)
}

// RecoverTrust reads the authorities of a key set that was lost from those of the home ConfigMap, which are in the order
// of ca.crt. The second may be the next one, unless it is older than the first: authorities never go back. Those behind
// were replaced, nobody knows when.
func RecoverTrust(published [][]byte, now time.Time) []Trust {
	var out []Trust
	var first time.Time
	for _, der := range published[:min(len(published), maxAuthorities)] {
		certificate, err := parseAuthority(der)
		if err != nil {
			continue
		}
		t := Trust{Certificate: der}
		switch {
		case len(out) == 0:
			first = certificate.NotBefore
		case len(out) > 1 || certificate.NotBefore.Before(first):
			t.Replaced = now.UTC().Round(0)
		}
		out = append(out, t)
	}
	return out
}

// Vouched returns what RecoverTrust read with only those authorities in use whose private halves are held. The others are
// as if they were replaced now: tokens may live under them, and nothing shows that they are not somebody else's.
func Vouched(recovered []Trust, held Held, now time.Time) []Trust {
	out := slices.Clone(recovered)
	for i := range out {
		if t := &out[i]; t.inUse() && !held.Current.is(*t) && !held.Next.is(*t) {
			t.Replaced = now.UTC().Round(0)
		}
	}
	return out
}

// consistentTrust says what is wrong with the authorities of a ring.
func consistentTrust(trusted []Trust) error {
	if len(trusted) > maxAuthorities {
		return fmt.Errorf("there are more than %d certificate authorities", maxAuthorities)
	}
	for i, t := range trusted {
		if _, err := parseAuthority(t.Certificate); err != nil {
			return fmt.Errorf("a certificate authority: %w", err)
		}
		if slices.ContainsFunc(trusted[:i], func(other Trust) bool { return bytes.Equal(other.Certificate, t.Certificate) }) {
			return errors.New("a certificate authority is there twice")
		}
		if i == 0 && !t.inUse() || t.inUse() && i > 1 {
			return errors.New("it does not say which certificate authority issues, and which is the next")
		}
	}
	return nil
}
