package keyring

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// The walk with servers: two replicas with views of their own, which may lag or be cut off, and Leases in which each says
// what it serves; Plan has its acknowledgements from nowhere else. In any order, at any time: a replica reads the Secret,
// or does not; renews its Lease, or does not; stops in order; the manager writes the Secret, or the ConfigMap, or is dead;
// people ask for rotations and revoke the key that signs. Times are kept relative and what makes no difference any more is
// forgotten, so that the walk ends by itself, when it has seen every state that can be reached: it has no horizon.
//
// The oracle knows what verifiers know: each JWKS that a replica serves while it may, cached for as long as is allowed.
// How a server decides whether it may sign is written down here, in replica.may and replica.signs: that servers do so is for
// the tests of the fence. What is checked here of invariant 5 is that it suffices.

// maxModelKeys bounds how many keys a walk can make.
const maxModelKeys = 64

// forEver is later than any walk.
const forEver = 10_000

// keySet is a set of keys by their numbers.
type keySet uint64

func (s keySet) has(n int) bool { return s&(1<<n) != 0 }

// number is that of the key: its name in the model is k and the number.
func number(k Key) int {
	n := 0
	for _, digit := range k.Thumbprint[1:] {
		n = n*10 + int(digit-'0')
	}
	return n
}

// view is what a server has of the Secret.
type view struct {
	jwks   keySet
	active int
	// until is the Active key's signUntil, certified is when its certificate ends.
	until, certified, lifetime int
}

func viewOf(ring Ring) view {
	v := view{active: -1}
	for _, k := range ring.Keys {
		if k.public() {
			v.jwks |= 1 << number(k)
		}
		if k.State == v1alpha1.KeyActive {
			v.active, v.lifetime, v.until, v.certified = number(k), int(k.TokenLifetime/tick), forEver, ticks(k.CertifiedUntil)
			if !k.SignUntil.IsZero() {
				v.until = ticks(k.SignUntil)
			}
		}
	}
	return v
}

// replica is one server. Its clock is ahead of the others by offset.
type replica struct {
	view   view
	synced bool
	held   bool
	serves keySet
	// confirmed and renewed are when it saw last that its view is the newest, and when it renewed its Lease last.
	confirmed, renewed, offset int
}

// may says whether the server may sign: it has read the Secret and renewed its Lease within L.
func (r replica) may(now, stale int) bool {
	return r.synced && r.held && now-r.confirmed <= stale && now-r.renewed <= stale
}

// caches says whether what the server serves may be cached. All that happens within a tick happens at one moment here; at
// the very moment at which L is over, the server counts as one that signs, and not as one that is asked for keys.
func (r replica) caches(now, stale int) bool {
	return r.may(now, stale) && now-r.confirmed < stale
}

// signs returns the number of the key that the server signs with; negative if it does not.
func (r replica) signs(now, stale int) int {
	if !r.may(now, stale) || now+r.offset >= r.view.until {
		return -1
	}
	return r.view.active
}

// fleet is a state of the world.
type fleet struct {
	now  int
	ring Ring
	// spec is what people ask for, without their requests. The limits are what the manager believes.
	spec                         Params
	public                       keySet // what the home ConfigMap holds
	publishedGeneration          int64
	replicas                     [3]replica
	revoked                      []string
	rotate, revocations, rotated int
	made                         int
	// exempt keys were activated before their time, because there was no other.
	exempt keySet
	// tokens has when the last token of a key is dead, lacked when somebody could last fetch a JWKS without it.
	tokens, lacked [maxModelKeys]int16
	// bounded is the shortest interval that there was: more keys may be left from that time.
	bounded time.Duration
	parent  *fleet
	did     string
}

func (f *fleet) ago(what string) *fleet {
	n := *f
	n.parent, n.did = f, what
	return &n
}

// path tells how the state came about.
func (f *fleet) path() string {
	var steps []string
	for at := f; at.parent != nil; at = at.parent {
		steps = append(steps, fmt.Sprintf("%d: %s", at.now, at.did))
	}
	slices.Reverse(steps)
	return strings.Join(steps, "\n")
}

// fleetMaker makes keys as modelMaker does, and certificates that are dates.
type fleetMaker struct {
	modelMaker
	known Facts
}

func (m fleetMaker) facts() Facts { return m.known }

func (m fleetMaker) certify(_ *Ring, k *Key, _, until time.Time) error {
	k.CertifiedUntil = until
	return nil
}

// errNoEnd says that a walk made more keys than it can tell apart.
var errNoEnd = errors.New("the walk has no end")

type fleetWalk struct {
	// Limits are the true ones.
	Limits
	rotates, revocations int
	offsets              []int // one for each server that may lag
	// prompt adds a server that never lags, whose clock is ahead as far as it may: it signs with each key as early as can be.
	prompt   bool
	deaf     bool // the manager does not hear what servers say
	overtime int  // by how much tokens live longer than they may
	seen     map[string]bool
	rotated  int
}

func (c *fleetWalk) stale() int { return int(c.MaxStaleness / tick) }

func (c *fleetWalk) skew() int { return int(c.ClockSkew / tick) }

func (c *fleetWalk) params(f *fleet) Params {
	p := f.spec
	p.Revoked = f.revoked
	if f.rotate > 0 {
		p.Rotate = fmt.Sprint(f.rotate)
	}
	return p
}

func (c *fleetWalk) facts(f *fleet) Facts {
	facts := Facts{Public: map[string]bool{}, AuthorityUntil: at(2 * forEver)}
	for _, k := range f.ring.Keys {
		facts.Public[k.Thumbprint] = f.public.has(number(k))
	}
	for _, r := range f.replicas {
		if !r.held || c.deaf {
			continue
		}
		ack := Ack{Until: at(r.renewed + r.offset).Add(c.MaxStaleness)}
		for _, k := range f.ring.Keys {
			if r.serves.has(number(k)) {
				ack.Serves = append(ack.Serves, k.Thumbprint)
			}
		}
		facts.Acks = append(facts.Acks, ack)
	}
	return facts
}

// next returns what can happen.
func (c *fleetWalk) next(f *fleet) ([]*fleet, error) {
	later := f.ago("time passes")
	later.now++
	out := []*fleet{later}
	wrote, err := c.manager(f)
	if err != nil {
		return nil, err
	}
	out = append(out, wrote...)
	for i := range c.offsets {
		out = append(out, f.server(i)...)
	}
	active, signs := f.ring.Active()
	if signs && f.rotate < c.rotates {
		n := f.ago("a rotation is asked for")
		n.rotate++
		out = append(out, n)
	}
	if signs && f.revocations < c.revocations {
		n := f.ago("the key is revoked")
		n.revoked, n.revocations = append(slices.Clone(f.revoked), active.Thumbprint), f.revocations+1
		out = append(out, n)
	}
	return out, nil
}

// server returns what server i can do.
func (f *fleet) server(i int) []*fleet {
	var out []*fleet
	r := f.replicas[i]
	if newest := viewOf(f.ring); !r.synced || r.confirmed < f.now || r.view != newest {
		n := f.ago(fmt.Sprintf("server %d reads the Secret", i))
		n.replicas[i].view, n.replicas[i].confirmed, n.replicas[i].synced = newest, f.now, true
		out = append(out, n)
	}
	if r.synced && (!r.held || r.renewed < f.now || r.serves != r.view.jwks) {
		n := f.ago(fmt.Sprintf("server %d renews its Lease", i))
		n.replicas[i].held, n.replicas[i].renewed, n.replicas[i].serves = true, f.now, r.view.jwks
		out = append(out, n)
	}
	if r.held {
		n := f.ago(fmt.Sprintf("server %d stops", i))
		n.replicas[i] = replica{offset: r.offset}
		out = append(out, n)
	}
	return out
}

// manager returns what the manager can do: write the Secret, or the ConfigMap.
func (c *fleetWalk) manager(f *fleet) ([]*fleet, error) {
	var out []*fleet
	plan := Plan(at(f.now), c.params(f), f.ring, c.facts(f))
	if err := c.patience(f, plan); err != nil {
		return nil, err
	}
	if len(plan) > 0 {
		n, err := c.write(f, plan)
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, n.path())
		}
		out = append(out, n)
	}
	if f.publishedGeneration < f.ring.Generation {
		n := f.ago("the ConfigMap is written")
		n.public, n.publishedGeneration = viewOf(f.ring).jwks, f.ring.Generation
		out = append(out, n)
	}
	return out, nil
}

// patience holds that a server that is cut off holds a standby up for no longer than L, by the clocks.
func (c *fleetWalk) patience(f *fleet, plan []Transition) error {
	pending, waits := f.ring.first(v1alpha1.KeyPending)
	if !waits || !f.public.has(number(pending)) || slices.ContainsFunc(plan, func(t Transition) bool { return t.Thumbprint == pending.Thumbprint }) {
		return nil
	}
	for _, r := range f.replicas {
		if r.held && !r.serves.has(number(pending)) && f.now-r.renewed <= c.stale()+2*c.skew() {
			return nil
		}
	}
	return fmt.Errorf("patience: key %s is public and nobody is there to be waited for, but the plan is %v\n%s", pending.Thumbprint, plan, f.path())
}

// write is one write of the Secret, and what is checked of it: who is told to be public, and who signs early.
func (c *fleetWalk) write(f *fleet, plan []Transition) (*fleet, error) {
	n := f.ago(fmt.Sprintf("the manager does %v", plan))
	n.ring = f.ring.clone()
	n.ring.Generation++
	for _, t := range plan {
		_, signed := n.ring.Active()
		n.ring, _ = execute(n.ring, t, at(f.now), c.params(f), fleetMaker{modelMaker{made: &n.made}, c.facts(f)})
		switch t.Do {
		case Publish:
			for i, r := range f.replicas {
				if k := (Key{Thumbprint: t.Thumbprint}); signed && r.may(f.now, c.stale()) && !r.view.jwks.has(number(k)) {
					return n, fmt.Errorf("acknowledgement: key %s counts as published, and server %d does not serve it", t.Thumbprint, i)
				}
			}
		case Activate:
			if !slices.ContainsFunc(plan, func(t Transition) bool { return t.Do == Retire }) {
				n.exempt |= 1 << number(Key{Thumbprint: t.Thumbprint}) // the first, or after a revocation
				continue
			}
			n.rotated++
			if k := n.ring.Keys[n.ring.index(t.Thumbprint)]; at(f.now).Before(k.Published.Add(f.spec.PublishAhead + c.ClockSkew)) {
				return n, fmt.Errorf("invariant 1: key %s is activated before its time", t.Thumbprint)
			}
		}
	}
	if n.made >= maxModelKeys {
		return n, errNoEnd
	}
	return n, nil
}

// observe lets the servers serve and sign whatever they may, and is the oracle.
func (c *fleetWalk) observe(f *fleet) error {
	if c.prompt {
		v := viewOf(f.ring)
		f.replicas[len(c.offsets)] = replica{
			view: v, synced: true, held: true, serves: v.jwks, confirmed: f.now, renewed: f.now, offset: c.skew(),
		}
	}
	for _, r := range f.replicas {
		if !r.caches(f.now, c.stale()) {
			continue
		}
		for _, k := range f.ring.Keys {
			if k.public() && !r.view.jwks.has(number(k)) {
				f.lacked[number(k)] = int16(f.now)
			}
		}
	}
	for _, r := range f.replicas {
		n := r.signs(f.now, c.stale())
		if n < 0 {
			continue
		}
		until := f.now + r.offset + r.view.lifetime + c.overtime
		f.tokens[n] = max(f.tokens[n], int16(until))
		if err := c.signed(f, n); err != nil {
			return err
		}
		if f.spec.Identification == v1alpha1.X509Chain && r.view.certified < until+c.skew() {
			return fmt.Errorf("a token of key k%d lives until %d, and its certificate until %d only", n, until, r.view.certified)
		}
	}
	return c.keeps(f)
}

// signed checks the signature that a server makes now.
func (c *fleetWalk) signed(f *fleet, n int) error {
	i := f.ring.index(fmt.Sprintf("k%d", n))
	if i < 0 {
		return fmt.Errorf("invariant 5: a server signs with key k%d, which the Secret has forgotten", n)
	}
	k := f.ring.Keys[i]
	if k.State != v1alpha1.KeyActive && f.now-ticks(k.Retired) > c.stale() {
		return fmt.Errorf("invariant 5: a server signs with key k%d, which is %s since %d", n, k.State, ticks(k.Retired))
	}
	cached := int(c.JWKSMaxAge / tick)
	if f.spec.Identification == v1alpha1.KeyID && !f.exempt.has(n) && int(f.lacked[n]) >= f.now-cached {
		return fmt.Errorf("invariant 1: a server signs with key k%d, and a verifier may have a JWKS without it since %d", n, f.lacked[n])
	}
	return nil
}

// keeps is the part of the oracle that looks at what is kept.
func (c *fleetWalk) keeps(f *fleet) error {
	actives, live := 0, 0
	for _, k := range f.ring.Keys {
		if k.State == v1alpha1.KeyActive {
			actives++
		}
		if k.public() {
			live++
		}
	}
	jwks := viewOf(f.ring).jwks
	switch {
	case actives > 1:
		return fmt.Errorf("invariant 3: %d keys are Active", actives)
	case len(f.ring.Keys) > 0 && jwks == 0:
		return fmt.Errorf("invariant 3: the JWKS is empty")
	}
	p := f.spec
	p.Interval = f.bounded
	if bound := p.Bound(f.ring); live > bound {
		return fmt.Errorf("invariant 8: %d keys, at most %d may be", live, bound)
	}
	for n := 1; n <= f.made; n++ {
		if f.now >= int(f.tokens[n])+c.skew() || slices.Contains(f.revoked, fmt.Sprintf("k%d", n)) {
			continue
		}
		if !jwks.has(n) {
			return fmt.Errorf("invariant 2: key k%d left the Secret, its last token lives until %d", n, f.tokens[n])
		}
		for i, r := range f.replicas {
			if f.spec.Identification == v1alpha1.KeyID && !f.exempt.has(n) && r.caches(f.now, c.stale()) && !r.view.jwks.has(n) {
				return fmt.Errorf("invariant 2: server %d serves a JWKS without key k%d, whose last token lives until %d", i, n, f.tokens[n])
			}
		}
	}
	return nil
}

// id tells states apart, but for what makes no difference any more: absolute times, numbers of keys, and how long ago
// things are whose time is over.
func (c *fleetWalk) id(f *fleet) string {
	out := make([]byte, 0, 128)
	ago := func(then, most int) byte { return byte(min(f.now-then, most)) }
	left := func(until int) byte { return byte(max(until-f.now, -1-c.skew())) }
	place := map[int]int{}
	for i, k := range f.ring.Keys {
		n := number(k)
		place[n] = i
		removal := c.stale() + int(k.TokenLifetime/tick) + 2*c.skew()
		out = append(out, k.State[0], k.State[2], ago(ticks(k.Published), int(f.spec.PublishAhead/tick)+c.skew()), ago(ticks(k.Activated), int(f.spec.Interval/tick)),
			left(ticks(k.SignUntil)), ago(ticks(k.Retired), removal), left(int(f.tokens[n])), ago(int(f.lacked[n]), int(c.JWKSMaxAge/tick)+1))
		if f.exempt.has(n) {
			out = append(out, '!')
		}
	}
	places := func(s keySet) byte {
		var there byte
		for rest := s; rest != 0; rest &= rest - 1 {
			if i, ok := place[bits.TrailingZeros64(uint64(rest))]; ok {
				there |= 1 << i
			}
		}
		return there
	}
	changed := byte(0)
	if f.publishedGeneration < f.ring.Generation {
		changed = 1
	}
	asked := byte(0)
	if c.params(f).Asked(f.ring) {
		asked = 1
	}
	out = append(out, '|', places(f.public), changed, asked, byte(f.rotate), byte(f.revocations), byte(min(f.rotated, 2)))
	var servers []string
	for _, r := range f.replicas[:len(c.offsets)] {
		one := []byte{byte(r.offset)}
		if r.synced {
			signer, known := place[r.view.active]
			if !known {
				signer = 9
			}
			one = append(one, 's', places(r.view.jwks), byte(signer), left(r.view.until-r.offset), ago(r.confirmed, c.stale()+1))
		}
		if r.held && f.now-r.renewed <= c.stale()+2*c.skew() {
			one = append(one, 'h', places(r.serves), ago(r.renewed, c.stale()+2*c.skew()))
		}
		servers = append(servers, string(one))
	}
	slices.Sort(servers)
	return string(out) + strings.Join(servers, "/")
}

// first is the world before there was a key.
func (c *fleetWalk) first(spec Params) *fleet {
	f := &fleet{spec: spec, bounded: spec.Interval}
	for i, offset := range c.offsets {
		f.replicas[i].offset = offset
	}
	for i := range f.lacked {
		f.lacked[i], f.tokens[i] = -forEver, -forEver
	}
	return f
}

// run walks breadth first, so that the path to a fault is as short as can be.
func (c *fleetWalk) run(spec Params) error {
	for queue := []*fleet{c.first(spec)}; len(queue) > 0; {
		f := queue[0]
		queue[0] = nil
		queue = queue[1:]
		next, err := c.next(f)
		if err != nil {
			return err
		}
		for _, n := range next {
			if err := c.observe(n); err != nil {
				return fmt.Errorf("%w\n%s", err, n.path())
			}
			if id := c.id(n); !c.seen[id] {
				if len(c.seen) > 300_000 {
					return errNoEnd
				}
				c.seen[id] = true
				c.rotated = max(c.rotated, n.rotated)
				queue = append(queue, n)
			}
		}
	}
	return nil
}

func TestModelWalkWithServers(t *testing.T) {
	minutes := func(n int) time.Duration { return time.Duration(n) * tick }
	limits := func(maxAge, stale, skew int) Limits {
		return Limits{JWKSMaxAge: minutes(maxAge), MaxStaleness: minutes(stale), ClockSkew: minutes(skew)}
	}
	cases := map[string]struct {
		limits               Limits
		believed             *Limits
		ahead, interval      int
		rotates, revocations int
		offsets              []int // of the servers that may lag; where there is but one, another is prompt
		deaf                 bool
		overtime             int
		want                 string
	}{
		"rotations by interval": {limits: limits(0, 1, 0), ahead: 1, interval: 2, offsets: []int{0, 0}},
		"verifiers that cache, servers that lag for longer": {
			limits: limits(1, 2, 0), ahead: 3, interval: 3, offsets: []int{0},
		},
		"a server whose clock is behind": {limits: limits(0, 1, 1), ahead: 2, interval: 3, offsets: []int{-1}},
		"a server whose clock is ahead":  {limits: limits(0, 1, 1), ahead: 2, interval: 3, offsets: []int{1}},
		"a rotation that is asked for":   {limits: limits(0, 1, 0), ahead: 1, interval: 3, rotates: 1, offsets: []int{0}},
		"the key that signs is revoked":  {limits: limits(0, 1, 0), ahead: 1, interval: 2, revocations: 1, offsets: []int{0}},
		"the oracle sees a manager that does not hear": {
			limits: limits(0, 1, 0), ahead: 1, interval: 2, deaf: true, offsets: []int{0}, want: "acknowledgement",
		},
		"the oracle sees a manager that does not know that clocks differ": {
			limits: limits(0, 1, 1), believed: &Limits{MaxStaleness: tick}, ahead: 3, interval: 3, offsets: []int{-1}, want: "acknowledgement",
		},
		"the oracle sees a manager that waits too long": {
			limits: limits(0, 1, 0), believed: &Limits{MaxStaleness: tick, ClockSkew: tick}, ahead: 1, interval: 2, offsets: []int{0}, want: "patience",
		},
		"the oracle sees a key that is activated too early": {
			limits: limits(0, 1, 1), believed: &Limits{MaxStaleness: tick}, ahead: 2, interval: 3, offsets: []int{0}, want: "invariant 1",
		},
		"the oracle sees a key that signs before verifiers know it": {
			limits: limits(2, 1, 0), ahead: 1, interval: 2, offsets: []int{0}, want: "invariant 1: a server signs",
		},
		"the oracle sees a key that leaves too early": {
			limits: limits(0, 1, 0), ahead: 1, interval: 2, overtime: 1, offsets: []int{0}, want: "invariant 2",
		},
		"the oracle sees a manager that does not know how long servers sign": {
			limits: limits(0, 2, 0), believed: &Limits{}, ahead: 2, interval: 2, offsets: []int{0}, want: "invariant 5",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			spec := Params{
				Limits: c.limits, Algorithm: v1alpha1.ES256, Format: v1alpha1.Thumbprint, Identification: v1alpha1.KeyID,
				Mode: v1alpha1.RotationAutomatic, Interval: minutes(c.interval), PublishAhead: minutes(c.ahead), TokenLifetime: tick,
			}
			if c.believed != nil {
				spec.Limits = *c.believed
			}
			m := &fleetWalk{
				Limits: c.limits, rotates: c.rotates, revocations: c.revocations, offsets: c.offsets, deaf: c.deaf, overtime: c.overtime, prompt: len(c.offsets) == 1, seen: map[string]bool{},
			}
			err := m.run(spec)
			t.Logf("%d states, %s", len(m.seen), time.Since(began))
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want == "" && m.rotated < 2:
				t.Error("fewer than two rotations show nothing")
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("the oracle says %v, want %s", err, c.want)
			}
		})
	}
}
