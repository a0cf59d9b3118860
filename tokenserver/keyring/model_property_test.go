package keyring

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// TestPlanKeepsTheInvariantsWhateverHappens is the walk with servers at random, for settings and lives that are too large to
// be walked through: three servers, any mode, a spec that people change at any time, longer lags. The oracle is the same.
func TestPlanKeepsTheInvariantsWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		minutes := func(label string, least, most int) time.Duration {
			return time.Duration(rapid.IntRange(least, most).Draw(rt, label)) * tick
		}
		skew := rapid.IntRange(0, 2).Draw(rt, "skew")
		c := &fleetWalk{
			Limits: Limits{
				JWKSMaxAge: minutes("max age", 0, 3), MaxStaleness: minutes("staleness", 1, 5), ClockSkew: time.Duration(skew) * tick,
			},
			offsets: rapid.SliceOfN(rapid.IntRange(-skew, skew), 1, 2).Draw(rt, "offsets"), prompt: rapid.Bool().Draw(rt, "prompt"),
			rotates: 20, revocations: rapid.IntRange(0, 2).Draw(rt, "revocations"),
		}
		f := c.first(Params{
			Limits: c.Limits, Algorithm: v1alpha1.ES256, Format: v1alpha1.Thumbprint, Mode: v1alpha1.RotationAutomatic,
			Identification: rapid.SampledFrom([]v1alpha1.KeyIdentification{v1alpha1.KeyID, v1alpha1.X509Chain}).Draw(rt, "identification"),
			Interval:       minutes("interval", 6, 20), TokenLifetime: minutes("lifetime", 1, 5),
		})
		f.spec.PublishAhead = minutes("ahead", 0, 3)
		if f.spec.Identification == v1alpha1.KeyID {
			// As long as the caches of verifiers want it, at times less: then rotations are held back.
			f.spec.PublishAhead = max(0, c.JWKSMaxAge+c.MaxStaleness+c.ClockSkew+minutes("more", -1, 3))
		}
		f.spec.Hold = contradicts(f.spec)
		var cut [2]cutOff
		for range rapid.IntRange(50, 600).Draw(rt, "steps") {
			next, err := c.next(f)
			if err == nil {
				next = append(next, c.people(rt, f)...)
				f = drawn(rt, f.now, next, &cut)
				err = c.observe(f)
			}
			if errors.Is(err, errNoEnd) {
				return
			}
			if err != nil {
				rt.Fatalf("%v\n%+v\n%s", err, f.spec, f.path())
			}
		}
	})
}

// cutOff is until when a server reads nothing, and until when it cannot renew its Lease.
type cutOff struct{ reading, renewing int }

// drawn is one of what can happen. Time passes often enough, the manager and the servers work more often than not, and a
// server is cut off now and then for longer than it may be.
func drawn(rt *rapid.T, now int, next []*fleet, cut *[2]cutOff) *fleet {
	if i := rapid.IntRange(0, 30).Draw(rt, "cut"); i < len(cut) {
		cut[i] = cutOff{now + rapid.IntRange(0, 8).Draw(rt, "reading"), now + rapid.IntRange(0, 8).Draw(rt, "renewing")}
	}
	var work, asked []*fleet
	for _, n := range next[1:] {
		var server int
		switch {
		case strings.HasPrefix(n.did, "the manager"), strings.HasPrefix(n.did, "the ConfigMap"):
			work = append(work, n)
		case scanned(n.did, "server %d reads the Secret", &server):
			if now >= cut[server].reading {
				work = append(work, n)
			}
		case scanned(n.did, "server %d renews its Lease", &server):
			if now >= cut[server].renewing {
				work = append(work, n)
			}
		default:
			asked = append(asked, n)
		}
	}
	switch choice := rapid.IntRange(0, 19).Draw(rt, "choice"); {
	case choice == 0 && len(asked) > 0:
		return rapid.SampledFrom(asked).Draw(rt, "asked")
	case choice < 14 && len(work) > 0:
		return rapid.SampledFrom(work).Draw(rt, "work")
	}
	return next[0] // time passes
}

// scanned says whether the text is of the form, and reads the number of it.
func scanned(text, form string, number *int) bool {
	n, err := fmt.Sscanf(text, form, number)
	return err == nil && n == 1 && text == fmt.Sprintf(form, *number)
}

// people returns what people can do to the spec, beside their requests.
func (c *fleetWalk) people(rt *rapid.T, f *fleet) []*fleet {
	edit := func(what string, change func(*Params)) *fleet {
		n := f.ago(what)
		change(&n.spec)
		n.spec.Hold = contradicts(n.spec)
		n.bounded = min(n.bounded, n.spec.Interval)
		return n
	}
	lifetime, interval := rapid.IntRange(1, 5).Draw(rt, "new lifetime"), rapid.IntRange(6, 20).Draw(rt, "new interval")
	algorithm := rapid.SampledFrom([]v1alpha1.Algorithm{v1alpha1.ES256, v1alpha1.EdDSA}).Draw(rt, "new algorithm")
	mode := rapid.SampledFrom([]v1alpha1.RotationMode{v1alpha1.RotationAutomatic, v1alpha1.RotationManual, v1alpha1.RotationNever}).Draw(rt, "new mode")
	standby, _ := f.ring.Standby()
	return []*fleet{
		edit(fmt.Sprintf("tokens live for %d", lifetime), func(p *Params) { p.TokenLifetime = time.Duration(lifetime) * tick }),
		edit(fmt.Sprintf("keys sign for %d", interval), func(p *Params) { p.Interval = time.Duration(interval) * tick }),
		edit(fmt.Sprintf("keys are for %s", algorithm), func(p *Params) { p.Algorithm = algorithm }),
		edit(fmt.Sprintf("the mode is %s", mode), func(p *Params) { p.Mode = mode }),
		edit("the standby is named", func(p *Params) { p.Activate = standby.KeyID }),
	}
}

// contradicts is what Compile says of the spec.
func contradicts(p Params) bool {
	return slices.ContainsFunc([]func(Params) *Problem{intervalInBounds, lifetimeInBounds, lifetimeWithinInterval, aheadWithinInterval, aheadCoversCaches},
		func(check func(Params) *Problem) bool { return check(p) != nil })
}
