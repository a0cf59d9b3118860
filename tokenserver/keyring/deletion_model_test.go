package keyring_test

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// A second, smaller walk: a SigningKey is deleted at any moment of its life, and the manager comes at any moment or never.
// Of the servers there is one for every age that a view may have, up to L, and each signs at every minute with what is
// Active in its view; one that sees the deletion signs no more. The oracle knows every token. Keys are real.

type ending struct {
	now  int
	ring keyring.Ring
	// deleted is when it was deleted, -1 before; released is that the finalizer is gone, and all public keys with it.
	deleted  int
	released bool
	// names are the thumbprints in the order in which the keys were made.
	names []string
	// signable has each key as it was when it could last be seen as Active by a new view, and that time.
	signable map[string]keyring.Key
	last     map[string]int
	// dead has, for each key, when its last token is dead.
	dead                map[string]int
	lifetime            int
	raises, revocations int
	revoked             []string
}

func (w ending) copy() ending {
	w.names, w.revoked = slices.Clone(w.names), slices.Clone(w.revoked)
	w.signable, w.last, w.dead = maps.Clone(w.signable), maps.Clone(w.last), maps.Clone(w.dead)
	return w
}

type endings struct {
	keyring.Params
	believed                     keyring.Limits
	horizon, raises, revocations int
	seen                         map[string]bool
	releases, signed             int
}

func minute(n int) time.Time { return now.Add(time.Duration(n) * time.Minute) }

func (c *endings) params(w *ending) keyring.Params {
	p := c.Params
	p.Limits, p.TokenLifetime, p.Revoked = c.believed, time.Duration(w.lifetime)*time.Minute, w.revoked
	p.Deleting = w.deleted >= 0
	return p
}

func (c *endings) plan(w *ending) []keyring.Transition {
	facts := keyring.Facts{Public: map[string]bool{}}
	for _, k := range w.ring.Keys {
		facts.Public[k.Thumbprint] = true
	}
	return keyring.Plan(minute(w.now), c.params(w), w.ring, facts)
}

// next returns what can happen.
func (c *endings) next(t *testing.T, w ending) []ending {
	t.Helper()
	var out []ending
	add := func(change func(*ending)) {
		n := w.copy()
		change(&n)
		out = append(out, n)
	}
	if w.now < c.horizon {
		add(func(n *ending) { n.now++ })
	}
	if w.released {
		return out
	}
	if plan := c.plan(&w); len(plan) > 0 {
		add(func(n *ending) {
			var err error
			if n.ring, err = keyring.Execute(n.ring, plan, minute(n.now), c.params(n), rand.Reader, nil); err != nil {
				t.Fatal(err)
			}
			for _, k := range n.ring.Keys {
				if !slices.Contains(n.names, k.Thumbprint) {
					n.names = append(n.names, k.Thumbprint)
				}
			}
		})
	}
	active, signs := w.ring.Active()
	switch {
	case w.deleted < 0 && len(w.ring.Keys) > 0:
		add(func(n *ending) { n.deleted = n.now })
	case w.deleted >= 0 && !minute(w.now).Before(c.params(&w).HeldUntil(minute(w.deleted), w.ring)):
		add(func(n *ending) { n.released = true })
	}
	if signs && w.revocations < c.revocations {
		add(func(n *ending) { n.revoked, n.revocations = append(n.revoked, active.Thumbprint), n.revocations+1 })
	}
	if signs && w.raises < c.raises {
		add(func(n *ending) { n.lifetime, n.raises = n.lifetime+2, n.raises+1 })
	}
	return out
}

// sign lets every server sign with what it may.
func (c *endings) sign(w *ending) {
	if active, ok := w.ring.Active(); ok && w.deleted < 0 {
		w.signable[active.Thumbprint], w.last[active.Thumbprint] = active, w.now
	}
	for id, k := range w.signable {
		if w.now > w.last[id]+int(c.MaxStaleness/time.Minute) || !minute(w.now).Before(k.SignUntil) {
			continue
		}
		c.signed++
		w.dead[id] = max(w.dead[id], w.now+min(w.lifetime, int(k.TokenLifetime/time.Minute)))
	}
}

func (c *endings) check(w *ending) error {
	public := map[string]bool{}
	for _, k := range w.ring.Keys {
		public[k.Thumbprint] = k.State != revoked && !w.released
	}
	longest := 0
	for id, dead := range w.dead {
		longest = max(longest, int(w.signable[id].TokenLifetime/time.Minute))
		if w.now < dead+int(c.ClockSkew/time.Minute) && !public[id] && !slices.Contains(w.revoked, id) {
			return fmt.Errorf("invariant 2: a token of %d lives until %d, and at %d its key is gone (deleted at %d, released %t)",
				slices.Index(w.names, id), dead, w.now, w.deleted, w.released)
		}
	}
	if w.deleted < 0 || w.released {
		return nil
	}
	if len(c.plan(w)) == 0 {
		for _, k := range w.ring.Keys {
			if k.Private != nil {
				return fmt.Errorf("key %d is %s and can sign after the deletion", slices.Index(w.names, k.Thumbprint), k.State)
			}
		}
	}
	bound := minute(w.deleted).Add(c.believed.MaxStaleness + 2*c.believed.ClockSkew + time.Duration(max(longest, w.lifetime))*time.Minute)
	if until := c.params(w).HeldUntil(minute(w.deleted), w.ring); until.After(bound) {
		return fmt.Errorf("it is held until %s, past the bound %s", until, bound)
	}
	return nil
}

func (c *endings) run(t *testing.T, w ending) error {
	t.Helper()
	c.sign(&w)
	if err := c.check(&w); err != nil {
		return err
	}
	id := w.id()
	if c.seen[id] {
		return nil
	}
	c.seen[id] = true
	if w.released {
		c.releases++
	}
	maps.DeleteFunc(w.dead, func(_ string, dead int) bool { return dead+2 < w.now }) // what is dead for long makes no difference
	for _, n := range c.next(t, w) {
		if err := c.run(t, n); err != nil {
			return err
		}
	}
	return nil
}

// id tells worlds apart by what happens next, whatever the keys are called.
func (w *ending) id() string {
	var out strings.Builder
	fmt.Fprint(&out, w.now, w.deleted, w.released, w.lifetime, w.raises, w.revocations, "|")
	for _, k := range w.ring.Keys {
		fmt.Fprint(&out, slices.Index(w.names, k.Thumbprint), k.State, k.Published.Unix(), k.Activated.Unix(), k.Retired.Unix(), k.SignUntil.Unix(), k.TokenLifetime, ";")
	}
	for i, name := range w.names {
		fmt.Fprint(&out, "|", i, w.last[name], w.dead[name], slices.Contains(w.revoked, name))
	}
	return out.String()
}

func TestModelWalkOfDeletions(t *testing.T) {
	limits := func(stale, skew time.Duration) keyring.Limits {
		return keyring.Limits{MaxStaleness: stale * time.Minute, ClockSkew: skew * time.Minute}
	}
	cases := map[string]struct {
		limits                      keyring.Limits
		lifetime, interval, horizon int
		raises, revocations         int
		// believed is what the manager takes for the limits, where it is wrong.
		believed *keyring.Limits
		want     string
	}{
		"while keys rotate":                           {limits: limits(1, 0), lifetime: 1, interval: 3, horizon: 8},
		"with replicas that lag far behind":           {limits: limits(3, 0), lifetime: 1, interval: 3, horizon: 8},
		"with clocks that differ":                     {limits: limits(1, 1), lifetime: 1, interval: 4, horizon: 8},
		"with tokens that outlive an interval":        {limits: limits(0, 0), lifetime: 3, interval: 2, horizon: 6},
		"after a key was revoked":                     {limits: limits(1, 0), lifetime: 1, interval: 3, horizon: 5, revocations: 1},
		"after tokens were allowed to live longer":    {limits: limits(1, 0), lifetime: 1, interval: 4, horizon: 6, raises: 1},
		"the oracle sees a SigningKey gone too early": {limits: limits(2, 0), lifetime: 1, interval: 3, horizon: 8, believed: &keyring.Limits{}, want: "invariant 2"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := &endings{
				Params: keyring.Params{
					Limits: c.limits, Algorithm: v1alpha1.EdDSA, Format: v1alpha1.Thumbprint, Identification: v1alpha1.KeyID,
					Mode: v1alpha1.RotationAutomatic, Interval: time.Duration(c.interval) * time.Minute,
				},
				believed: c.limits, horizon: c.horizon, raises: c.raises, revocations: c.revocations, seen: map[string]bool{},
			}
			if c.believed != nil {
				m.believed = *c.believed
			}
			err := m.run(t, ending{
				deleted: -1, lifetime: c.lifetime,
				signable: map[string]keyring.Key{}, last: map[string]int{}, dead: map[string]int{},
			})
			t.Logf("%d states, %d releases, %d signatures", len(m.seen), m.releases, m.signed)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want == "" && (m.releases == 0 || m.signed == 0):
				t.Error("nothing was signed, or nothing was let go: this shows nothing")
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("the oracle says %v, want %s", err, c.want)
			}
		})
	}
}
