package keyring

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// The walk through the replacement of certificate authorities: every order of requests, confirmations, restarts of the
// registries, a manager that dies between any two of its writes, an older Secret of the authority that is restored or one
// that is lost, and a key set that is lost. The oracle knows which leaves servers may still sign under, at their worst,
// and what the registries trust: what was in ca.crt when they were started last, and, as any of them may be started anew
// at any time, what is in it now.

// authorityPool has the authorities in the order in which a walk makes them.
type authorityPool struct {
	made  []*Authority
	index map[string]int
}

func newAuthorityPool(t *testing.T, n int) authorityPool {
	t.Helper()
	pool := authorityPool{index: map[string]int{}}
	for i := range n {
		a, err := NewAuthority(rand.Reader, "registry", epoch.Add(time.Duration(i)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		pool.made = append(pool.made, a)
		pool.index[string(a.Certificate.Raw)], pool.index[a.ID()] = i, i
	}
	return pool
}

// custody is what the authority's Secret holds: places in the pool, next is -1 without one, and current is when it is lost.
type custody struct{ current, next int }

type authorityWorld struct {
	now, made, keys int
	held            custody
	// past has what the Secret held before.
	past []custody
	// ring is the key set; lost says that its Secret does not exist. status and served are what was said and published last.
	ring, status, served Ring
	lost                 bool
	rotate, confirm      int
	// saw is the request that somebody read in the status before the registries were restarted.
	saw int
	// trusted is the ca.crt that the registries were started with.
	trusted []Trust
	// leaves has, for each authority, when a key with its leaf was Active for the last time; memory is the authority of the
	// leaf that servers have in memory.
	leaves [8]int
	memory int
	// spent bounds the walk.
	rotates, aheads, restores, caLosses, ringLosses int
	promoted                                        int
}

func (w authorityWorld) copy() authorityWorld {
	w.past = slices.Clone(w.past)
	return w
}

type authorityWalk struct {
	Params
	pool     authorityPool
	believed Limits
	horizon  int
	// what people and faults may do, and how often
	rotates, aheads, restores, caLosses, ringLosses int
	// blind people confirm without restarting a registry.
	blind bool
	// seen are the states that were looked at, sound those from which a manager comes to an end.
	seen, sound         map[string]bool
	promotions, stalled int
}

func (c *authorityWalk) params(w *authorityWorld) Params {
	p := c.Params
	p.Limits = c.believed
	if w.rotate > 0 {
		p.RotateCA = fmt.Sprint(w.rotate)
	}
	if w.confirm > 0 {
		p.ConfirmCA = fmt.Sprint(w.confirm)
	}
	return p
}

type authorityMaker struct {
	w         *authorityWorld
	authority *Authority
}

func (m authorityMaker) facts() Facts {
	return Facts{AuthorityUntil: m.authority.Until(), Authority: m.authority.ID()}
}

func (m authorityMaker) key(p Params, now time.Time) (Key, error) {
	m.w.keys++
	id := fmt.Sprintf("k%d", m.w.keys)
	return Key{
		Thumbprint: id, KeyID: id, Format: p.Format, Algorithm: p.Algorithm, State: v1alpha1.KeyPending,
		Private: mute{}, Created: now, TokenLifetime: p.TokenLifetime,
	}, nil
}

func (m authorityMaker) certify(ring *Ring, k *Key, _, until time.Time) error {
	if !slices.ContainsFunc(ring.Authorities, m.authority.is) {
		return errors.New("a leaf of an authority that the key set does not know")
	}
	k.CertifiedUntil, k.CertifiedBy = until, m.authority.ID()
	return nil
}

// load is what a manager that begins anew makes of what there is, and why it cannot do more.
func (c *authorityWalk) load(w *authorityWorld) (Ring, Held, error) {
	ring := w.ring
	if w.lost {
		ring = Ring{Generation: w.served.Generation, LastHandledRotateCA: w.status.LastHandledRotateCA}
		for _, k := range w.status.Keys {
			if !k.standby() {
				k.State, k.Private, k.Retired = v1alpha1.KeyRetired, nil, latest(k.Retired, at(w.now))
				ring.Keys = append(ring.Keys, k)
			}
		}
		ring.Authorities = RecoverTrust(certificates(w.served), at(w.now))
	}
	if w.held.current < 0 {
		return ring, Held{}, errors.New("lost")
	}
	held := Held{Current: c.pool.made[w.held.current]}
	if w.held.next >= 0 {
		held.Next = c.pool.made[w.held.next]
	}
	if err := CheckHeld(ring, held); err != nil {
		return ring, Held{}, err
	}
	if err := CheckNext(ring, held); err != nil {
		return ring, Held{Current: held.Current}, err
	}
	return ring, held, nil
}

func certificates(ring Ring) [][]byte {
	var out [][]byte
	for _, t := range ring.Authorities {
		out = append(out, t.Certificate)
	}
	return out
}

// write is the next write of the manager, if one is due: the authority's Secret, the key set, the ConfigMap, the status,
// in this order.
func (c *authorityWalk) write(w authorityWorld) (authorityWorld, bool, error) {
	n := w.copy()
	p := c.params(&w)
	ring, held, refused := c.load(&n)
	if refused == nil {
		switch p.AuthorityStep(at(n.now), ring, held, certificates(n.served)) {
		case MakeNext:
			n.past = append(n.past, n.held)
			n.held.next, n.made = n.made, n.made+1
			return n, true, nil
		case PromoteNext:
			n.past = append(n.past, n.held)
			n.held, n.promoted = custody{n.held.next, -1}, n.promoted+1
			return n, true, nil
		}
	}
	revised, changed := p.Revise(at(n.now), ring, held)
	facts := authorityMaker{&n, held.Current}.facts()
	facts.Public = map[string]bool{}
	for _, k := range n.served.Keys {
		facts.Public[k.Thumbprint] = true
	}
	plan := Plan(at(n.now), p, revised, facts)
	if len(plan) > 0 || changed {
		var err error
		for _, t := range plan {
			if revised, err = execute(revised, t, at(n.now), p, authorityMaker{&n, held.Current}); err != nil {
				return n, false, fmt.Errorf("%s: %w", t.Do, err)
			}
		}
		revised.Generation++
		n.ring, n.lost = revised, false
		return n, true, nil
	}
	switch {
	case !n.lost && n.served.Generation < n.ring.Generation:
		n.served = n.ring
	case !n.lost && n.status.Generation < n.ring.Generation:
		n.status = n.ring
	default:
		return n, false, nil
	}
	return n, true, nil
}

// people and faults return what else can happen.
func (c *authorityWalk) people(w authorityWorld) []authorityWorld {
	var out []authorityWorld
	can := func(possible bool, do func(*authorityWorld)) {
		if possible {
			n := w.copy()
			do(&n)
			out = append(out, n)
		}
	}
	answered := w.status.LastHandledRotateCA == fmt.Sprint(w.rotate)
	_, waits := w.served.NextAuthority()
	can(w.now < c.horizon, func(n *authorityWorld) { n.now++ })
	can(w.rotates < c.rotates, func(n *authorityWorld) { n.rotate, n.rotates = n.rotate+1, n.rotates+1 })
	// What is confirmed once the manager has answered counts, sensible or not.
	ahead := w.ring.LastHandledRotateCA != fmt.Sprint(w.rotate)
	can(ahead && w.aheads < c.aheads, func(n *authorityWorld) { n.confirm, n.aheads = n.rotate, n.aheads+1 })
	can(answered && waits && w.saw != w.rotate, func(n *authorityWorld) {
		n.saw = n.rotate
		if !c.blind {
			n.trusted = n.served.Authorities
		}
	})
	can(w.saw > 0 && w.confirm != w.saw, func(n *authorityWorld) { n.confirm = n.saw })
	return out
}

func (c *authorityWalk) faults(w authorityWorld) []authorityWorld {
	var out []authorityWorld
	if w.restores < c.restores {
		for _, past := range w.past {
			n := w.copy()
			n.past = append(n.past, n.held)
			n.held, n.restores = past, n.restores+1
			out = append(out, n)
		}
	}
	if w.caLosses < c.caLosses && w.held.current >= 0 {
		n := w.copy()
		n.past = append(n.past, n.held)
		n.held, n.caLosses = custody{-1, -1}, n.caLosses+1
		out = append(out, n)
	}
	if w.ringLosses < c.ringLosses && !w.lost {
		n := w.copy()
		n.lost, n.ringLosses = true, n.ringLosses+1
		out = append(out, n)
	}
	return out
}

// sign notes which leaves the servers may have: the Active key's, and as long as there is none, that of the key that they
// have in memory.
func (c *authorityWalk) sign(w *authorityWorld) {
	if active, signs := w.ring.Active(); signs && !w.lost {
		w.memory = c.pool.index[active.CertifiedBy]
	}
	w.leaves[w.memory] = w.now
}

func (c *authorityWalk) check(w *authorityWorld) error {
	for i, last := range w.leaves {
		if last < 0 || w.now >= last+int((c.MaxStaleness+c.TokenLifetime)/tick) {
			continue
		}
		a := c.pool.made[i]
		if !slices.ContainsFunc(w.served.Authorities, a.is) {
			return fmt.Errorf("authority %d left ca.crt at %d, a leaf of it was used until %d", i, w.now, last)
		}
		if !slices.ContainsFunc(w.trusted, a.is) {
			return fmt.Errorf("a leaf of authority %d is used at %d, and no registry trusts it", i, last)
		}
	}
	for _, t := range w.ring.Authorities {
		i := c.pool.index[string(t.Certificate)]
		if kept := i == w.held.current || i == w.held.next; kept && !t.inUse() && w.restores == 0 {
			return fmt.Errorf("the private half of authority %d is there, and it was replaced", i)
		}
	}
	if w.made-1 > w.rotates && w.restores == 0 {
		return fmt.Errorf("%d authorities for %d requests", w.made-1, w.rotates)
	}
	return consistentTrust(w.ring.Authorities)
}

// settles says whether a manager that is left alone comes to an end, and what is wrong with it.
func (c *authorityWalk) settles(w authorityWorld) error {
	for range 12 {
		id := c.id(&w)
		if c.sound[id] {
			return nil
		}
		c.sound[id] = true // or the walk fails
		next, wrote, err := c.write(w)
		if err != nil {
			return err
		}
		if w = next; wrote {
			continue
		}
		_, held, refused := c.load(&w)
		active, signs := w.ring.Active()
		if held.Current == nil {
			c.stalled++
			return nil
		}
		if !signs || active.CertifiedBy != held.Current.ID() || !held.Current.is(w.ring.Authorities[0]) {
			return errors.Join(errors.New("it came to an end without a leaf of the authority that issues"), refused)
		}
		return nil
	}
	return errors.New("the manager does not come to an end")
}

func (c *authorityWalk) run(w authorityWorld, path []string) error {
	c.sign(&w)
	id := c.id(&w)
	if c.seen[id] {
		return nil
	}
	c.seen[id] = true
	c.promotions = max(c.promotions, w.promoted)
	if err := errors.Join(c.check(&w), c.settles(w)); err != nil {
		return fmt.Errorf("%w\n%s", err, strings.Join(path, "\n"))
	}
	next := append(c.people(w), c.faults(w)...)
	n, wrote, err := c.write(w)
	if err != nil {
		return err
	}
	if wrote {
		next = append(next, n)
	}
	for _, n := range next {
		if err := c.run(n, append(path[:len(path):len(path)], c.id(&n))); err != nil {
			return err
		}
	}
	return nil
}

func (c *authorityWalk) id(w *authorityWorld) string {
	trusted := func(all []Trust) string {
		var out strings.Builder
		for _, t := range all {
			out.WriteByte('A' + byte(c.pool.index[string(t.Certificate)]))
			if !t.inUse() {
				fmt.Fprint(&out, ticks(t.Replaced))
			}
		}
		return out.String()
	}
	ring := func(r Ring) string {
		var out strings.Builder
		fmt.Fprint(&out, r.Generation, trusted(r.Authorities), r.LastHandledRotateCA, ",")
		for _, k := range r.Keys {
			fmt.Fprint(&out, k.Thumbprint, k.State[:2], ticks(k.Retired), c.pool.index[k.CertifiedBy])
		}
		return out.String()
	}
	leaves := slices.Clone(w.leaves[:])
	for i, last := range leaves { // what is dead makes no difference
		if last+int((c.MaxStaleness+c.TokenLifetime)/tick) <= w.now {
			leaves[i] = -1
		}
	}
	return fmt.Sprint(w.now, " ca", w.held, w.past, " ring", w.lost, ring(w.ring), " map", w.served.Generation, trusted(w.served.Authorities),
		" status", w.status.Generation, " asks", w.rotate, w.confirm, w.saw, " trusts", trusted(w.trusted), leaves, w.memory,
		" spent", w.rotates, w.aheads, w.restores, w.caLosses, w.ringLosses)
}

// begun is a world in which the first key signs under the first authority, and the registries trust it.
func (c *authorityWalk) begun(t *testing.T) authorityWorld {
	t.Helper()
	w := authorityWorld{held: custody{0, -1}, made: 1}
	for i := range w.leaves {
		w.leaves[i] = -100
	}
	for {
		next, wrote, err := c.write(w)
		if err != nil {
			t.Fatal(err)
		}
		if w = next; !wrote {
			break
		}
	}
	w.trusted = w.served.Authorities
	if _, signs := w.ring.Active(); !signs || len(w.trusted) != 1 {
		t.Fatalf("the walk does not begin: %s", c.id(&w))
	}
	return w
}

func TestWalkThroughReplacementsOfTheAuthority(t *testing.T) {
	cases := map[string]struct {
		walk               authorityWalk
		interval, lifetime int
		believed           *Limits
		promotions         int
		stalls             bool
		want               string
	}{
		"two replacements, and a manager that dies at any time": {walk: authorityWalk{horizon: 4, rotates: 3}, promotions: 3},
		"keys rotate meanwhile":                                 {walk: authorityWalk{horizon: 6, rotates: 1}, interval: 2, promotions: 1},
		"requests that are confirmed ahead":                     {walk: authorityWalk{horizon: 3, rotates: 2, aheads: 2}, promotions: 2},
		"an older Secret of the authority is restored":          {walk: authorityWalk{horizon: 3, rotates: 2, restores: 1}, promotions: 2, stalls: true},
		"the authority is lost, and an older one is restored": {
			walk: authorityWalk{horizon: 2, rotates: 2, caLosses: 1, restores: 1}, promotions: 2, stalls: true,
		},
		"the key set is lost": {walk: authorityWalk{horizon: 4, rotates: 1, ringLosses: 1}, promotions: 1},
		"the key set is lost, and an older authority restored": {
			walk: authorityWalk{horizon: 3, rotates: 1, ringLosses: 1, restores: 1}, promotions: 1, stalls: true,
		},
		"the oracle sees an authority that leaves too early": {
			walk: authorityWalk{horizon: 4, rotates: 1}, believed: &Limits{}, want: "left ca.crt",
		},
		"the oracle sees an authority that nobody trusts": {
			walk: authorityWalk{horizon: 2, rotates: 1, blind: true}, want: "no registry trusts it",
		},
	}
	pool := newAuthorityPool(t, 8)
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		t.Run(name, func(t *testing.T) {
			walk := c.walk
			walk.pool, walk.seen, walk.sound = pool, map[string]bool{}, map[string]bool{}
			walk.Params = Params{
				Limits: Limits{MaxStaleness: tick}, Algorithm: v1alpha1.ES256, Format: v1alpha1.Thumbprint, TokenLifetime: tick,
				Identification: v1alpha1.X509Chain, Mode: v1alpha1.RotationNever, Interval: 1000 * tick,
			}
			if c.interval > 0 {
				walk.Mode, walk.Interval = v1alpha1.RotationAutomatic, time.Duration(c.interval)*tick
			}
			walk.believed = walk.Limits
			if c.believed != nil {
				walk.believed = *c.believed
			}
			err := walk.run(walk.begun(t), nil)
			t.Logf("%d states, %d promotions, stalled in %d", len(walk.seen), walk.promotions, walk.stalled)
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want == "" && (walk.promotions < c.promotions || (walk.stalled > 0) != c.stalls):
				t.Errorf("%d promotions, stalled in %d states: that shows nothing", walk.promotions, walk.stalled)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("the oracle says %v, want %s", err, c.want)
			}
		})
	}
}
