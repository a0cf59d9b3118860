package keyring

import (
	"crypto"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// The model walk: Plan is driven through every order of what can happen within a small horizon, and an oracle that knows
// nothing of Plan's rules checks the invariants after each step. Time is counted in ticks of a minute. At any moment the
// manager may run or not (it is dead, or late), may die between its two writes (Secret, ConfigMap), and people may ask for
// rotations, revoke the key that signs, and change the lifetime of tokens. The servers are taken at their worst: one of
// them signs at every tick with every key that was Active in a view that it may still trust.

const tick = time.Minute

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type world struct {
	now  int
	ring Ring
	// served is the ring that the ConfigMap holds.
	served Ring
	// lastActive has, for each key, when it was Active in the Secret for the last time.
	lastActive map[string]int
	rotate     int
	lifetime   int
	revoked    []string
	made       int
	// tokens has, for each key, when the last token that it signed is dead.
	tokens map[string]int
	// public has, for each key, since when it is in every new JWKS.
	public map[string]int
	// spent counts what the people did, which bounds the walk.
	rotates, revocations, raises int
}

type modelMaker struct {
	w    *world
	p    Params
	made *int
}

func (m modelMaker) facts() Facts { return m.w.factsOf() }

func (m modelMaker) key(p Params, now time.Time) (Key, error) {
	*m.made++
	id := fmt.Sprintf("k%d", *m.made)
	return Key{
		Thumbprint: id, KeyID: id, Format: p.Format, Algorithm: p.Algorithm, State: v1alpha1.KeyPending,
		Private: mute{}, Created: now, TokenLifetime: p.TokenLifetime,
	}, nil
}

func (m modelMaker) certify(*Ring, *Key, time.Time, time.Time) error { return nil }

// mute stands for a private half.
type mute struct{}

func (mute) Public() crypto.PublicKey { return nil }
func (mute) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, nil
}

func (w *world) factsOf() Facts {
	facts := Facts{Public: map[string]bool{}}
	for _, k := range w.served.Keys {
		facts.Public[k.Thumbprint] = k.public()
	}
	return facts
}

func (w world) copy() world {
	w.tokens, w.public, w.lastActive = maps.Clone(w.tokens), maps.Clone(w.public), maps.Clone(w.lastActive)
	w.revoked = slices.Clone(w.revoked)
	return w
}

func at(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * tick) }

func ticks(t time.Time) int { return int(t.Sub(epoch) / tick) }

// walk is one setting of the model.
type walk struct {
	Params
	horizon, rotates, revocations, raises int
	believed                              Limits
	seen                                  map[string]bool
	rotations                             int
}

func (c *walk) params(w *world) Params {
	p := c.Params
	p.Limits = c.believed
	p.TokenLifetime = time.Duration(w.lifetime) * tick
	if w.rotate > 0 {
		p.Rotate = fmt.Sprint(w.rotate)
	}
	p.Revoked = w.revoked
	return p
}

// next returns what can happen.
func (c *walk) next(w world) []world {
	var out []world
	if w.now < c.horizon {
		n := w.copy()
		n.now++
		out = append(out, n)
	}
	if plan := Plan(at(w.now), c.params(&w), w.ring, w.factsOf()); len(plan) > 0 {
		out = append(out, c.write(w, plan))
	}
	if w.served.Generation < w.ring.Generation {
		n := w.copy()
		n.served = n.ring
		out = append(out, n)
	}
	active, signs := w.ring.Active()
	if signs && w.rotates < c.rotates {
		n := w.copy()
		n.rotate, n.rotates = n.rotate+1, n.rotates+1
		out = append(out, n)
	}
	if signs && w.revocations < c.revocations {
		n := w.copy()
		n.revoked, n.revocations = append(n.revoked, active.Thumbprint), n.revocations+1
		out = append(out, n)
	}
	if signs && w.raises < c.raises {
		n := w.copy()
		n.lifetime, n.raises = n.lifetime+1, n.raises+1
		out = append(out, n)
	}
	return out
}

// write is one write of the manager.
func (c *walk) write(w world, plan []Transition) world {
	n := w.copy()
	n.ring = n.ring.clone()
	n.ring.Generation++
	for _, t := range plan {
		n.ring, _ = execute(n.ring, t, at(n.now), c.params(&w), modelMaker{&n, c.Params, &n.made})
	}
	for _, k := range n.ring.Keys {
		if _, known := n.public[k.Thumbprint]; !known {
			n.public[k.Thumbprint] = n.now
		}
	}
	return n
}

// sign lets the servers sign whatever one of them may; it is what makes the oracle's tokens.
func (c *walk) sign(w *world) error {
	if active, signs := w.ring.Active(); signs {
		w.lastActive[active.Thumbprint] = w.now
	}
	stale, cached := int(c.MaxStaleness/tick), int(c.JWKSMaxAge/tick)
	for _, k := range w.ring.Keys {
		last, ever := w.lastActive[k.Thumbprint]
		if !ever || w.now > last+stale || !k.SignUntil.IsZero() && !at(w.now).Before(k.SignUntil) {
			continue
		}
		w.tokens[k.Thumbprint] = max(w.tokens[k.Thumbprint], w.now+min(w.lifetime, int(k.TokenLifetime/tick)))
		// Invariant 1: the oldest JWKS that a verifier may hold was fetched maxAge ago from a server that was L behind.
		exempt := k.Thumbprint == "k1" || w.revocations > 0 // the first key; an emergency whose standby is younger
		if since := w.public[k.Thumbprint]; !exempt && since > w.now-cached-stale {
			return fmt.Errorf("invariant 1: key %s signs at %d, public since %d", k.Thumbprint, w.now, since)
		}
	}
	return nil
}

// check is the rest of the oracle.
func (c *walk) check(w *world) error {
	actives, live := 0, 0
	present := map[string]Key{}
	for _, k := range w.ring.Keys {
		present[k.Thumbprint] = k
		if k.State == v1alpha1.KeyActive {
			actives++
		}
		if k.public() {
			live++
		}
		if dead := k.State == v1alpha1.KeyRetired || k.State == v1alpha1.KeyRevoked; dead != (k.Private == nil) {
			return fmt.Errorf("key %s is %s, private half present %t", k.Thumbprint, k.State, k.Private != nil)
		}
	}
	if actives > 1 {
		return fmt.Errorf("invariant 3: %d keys are Active", actives)
	}
	if len(w.ring.Keys) > 0 && live == 0 {
		return fmt.Errorf("invariant 3: the JWKS is empty")
	}
	p := c.params(w)
	if bound := p.Bound(w.ring); live > bound {
		return fmt.Errorf("invariant 8: %d keys, at most %d may be", live, bound)
	}
	for id, until := range w.tokens {
		k, ok := present[id]
		if slices.Contains(w.revoked, id) {
			continue
		}
		if w.now < until+int(c.ClockSkew/tick) && !(ok && k.public()) {
			return fmt.Errorf("invariant 2: key %s left the JWKS at %d, its last token lives until %d", id, w.now, until)
		}
	}
	return nil
}

func (c *walk) run(w world, path []string) error {
	if err := c.sign(&w); err != nil {
		return fmt.Errorf("%w\n%v", err, path)
	}
	for id, until := range w.tokens { // what is dead for long makes no difference
		if until+10 < w.now {
			delete(w.tokens, id)
		}
	}
	if err := c.check(&w); err != nil {
		return fmt.Errorf("%w\n%v", err, path)
	}
	id := w.id()
	if c.seen[id] {
		return nil
	}
	c.seen[id] = true
	c.rotations = max(c.rotations, len(w.lastActive)-1)
	for _, n := range c.next(w) {
		if err := c.run(n, append(path[:len(path):len(path)], fmt.Sprintf("%d/%d", n.now, n.ring.Generation))); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) id() string {
	out := make([]byte, 0, 256)
	ring := func(r Ring) {
		out = append(out, byte(r.Generation), '|')
		out = append(out, r.LastHandledRotate...)
		for _, k := range r.Keys {
			out = append(out, k.Thumbprint[1:]...)
			out = append(out, k.State[:2]...)
			out = append(out, k.State[len(k.State)-1], byte(ticks(k.Published)), byte(ticks(k.Activated)), byte(ticks(k.Retired)),
				byte(ticks(k.SignUntil)), byte(k.TokenLifetime/tick))
		}
	}
	ring(w.ring)
	out = append(out, byte(w.served.Generation), byte(w.now), byte(w.rotate), byte(w.lifetime), byte(w.made), byte(len(w.revoked)))
	for i := range w.made {
		id := fmt.Sprintf("k%d", i+1)
		out = append(out, byte(w.tokens[id]), byte(w.public[id]), byte(w.lastActive[id]))
	}
	return string(out)
}

func TestModelWalkKeepsTheInvariants(t *testing.T) {
	minutes := func(n int) time.Duration { return time.Duration(n) * tick }
	limits := func(maxAge, stale, skew int) Limits {
		return Limits{JWKSMaxAge: minutes(maxAge), MaxStaleness: minutes(stale), ClockSkew: minutes(skew)}
	}
	cases := map[string]struct {
		limits                                Limits
		lifetime, ahead, interval             int
		mode                                  v1alpha1.RotationMode
		horizon, rotates, revocations, raises int
		// believed is what the manager takes for the limits, where it is wrong.
		believed *Limits
		want     string
	}{
		"two rotations by interval, nobody interferes": {
			limits: limits(1, 1, 0), lifetime: 1, ahead: 2, interval: 4, mode: v1alpha1.RotationAutomatic, horizon: 11,
		},
		"clocks that differ": {
			limits: limits(0, 1, 1), lifetime: 1, ahead: 2, interval: 4, mode: v1alpha1.RotationAutomatic, horizon: 12,
		},
		"two rotations on request": {
			limits: limits(0, 1, 0), lifetime: 1, ahead: 1, interval: 100, mode: v1alpha1.RotationAutomatic, horizon: 6, rotates: 3,
		},
		"requests beside an interval that fills the set": {
			limits: limits(0, 1, 0), lifetime: 2, ahead: 1, interval: 2, mode: v1alpha1.RotationAutomatic, horizon: 7, rotates: 1,
		},
		"the key that signs is revoked, twice": {
			limits: limits(0, 1, 0), lifetime: 1, ahead: 1, interval: 3, mode: v1alpha1.RotationAutomatic, horizon: 5, revocations: 2,
		},
		"the lifetime of tokens is raised while they are out": {
			limits: limits(0, 1, 0), lifetime: 1, ahead: 1, interval: 3, mode: v1alpha1.RotationAutomatic, horizon: 7, raises: 2,
		},
		"a key for ever, replaced on request": {
			limits: limits(0, 1, 0), lifetime: 1, ahead: 1, interval: 100, mode: v1alpha1.RotationNever, horizon: 7, rotates: 2,
		},
		"the oracle sees a key that signs too early": {
			limits: limits(1, 1, 0), lifetime: 1, ahead: 1, interval: 100, mode: v1alpha1.RotationAutomatic, horizon: 5,
			rotates: 1, want: "invariant 1",
		},
		"the oracle sees a key that leaves too early": {
			limits: limits(0, 1, 0), lifetime: 1, ahead: 1, interval: 4, mode: v1alpha1.RotationAutomatic, horizon: 11,
			believed: &Limits{}, want: "invariant 2",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &walk{
				Params: Params{
					Limits: c.limits, Algorithm: v1alpha1.ES256, Format: v1alpha1.Thumbprint, Identification: v1alpha1.KeyID,
					Mode: c.mode, Interval: minutes(c.interval), PublishAhead: minutes(c.ahead),
				},
				believed: c.limits,
				horizon:  c.horizon, rotates: c.rotates, revocations: c.revocations, raises: c.raises, seen: map[string]bool{},
			}
			if c.believed != nil {
				m.believed = *c.believed
			}
			err := m.run(world{
				lifetime: c.lifetime, tokens: map[string]int{}, public: map[string]int{}, lastActive: map[string]int{},
			}, nil)
			t.Logf("%d states, %d rotations", len(m.seen), m.rotations)
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want == "" && m.rotations < 2:
				t.Error("fewer than two rotations show nothing")
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("the oracle says %v, want %s", err, c.want)
			}
		})
	}
}
