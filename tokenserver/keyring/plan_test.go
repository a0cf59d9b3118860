package keyring_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// life is a SigningKey's life, told step by step: at each step the parameters or the time change, and everything that is
// due is done.
type life struct {
	tb        testing.TB
	ring      keyring.Ring
	p         keyring.Params
	now       time.Time
	authority *keyring.Authority
	names     map[string]string
}

func newLife(tb testing.TB, p keyring.Params) *life {
	tb.Helper()
	authority, err := keyring.NewAuthority(rand.Reader, "registry", now)
	if err != nil {
		tb.Fatal(err)
	}
	l := &life{tb: tb, p: p, now: now, authority: authority, names: map[string]string{}}
	return l.settle()
}

func (l *life) settle() *life {
	l.tb.Helper()
	l.ring = settle(l.tb, l.ring, l.now, l.p, l.authority)
	for _, k := range l.ring.Keys {
		if _, known := l.names[k.Thumbprint]; !known {
			l.names[k.Thumbprint] = string(rune('a' + len(l.names)))
		}
	}
	return l
}

// after lets time pass.
func (l *life) after(d time.Duration) *life {
	l.tb.Helper()
	l.now = l.now.Add(d)
	return l.settle()
}

// with changes the parameters.
func (l *life) with(change func(*keyring.Params)) *life {
	l.tb.Helper()
	change(&l.p)
	return l.settle()
}

func (l *life) active() keyring.Key {
	l.tb.Helper()
	k, ok := l.ring.Active()
	if !ok {
		l.tb.Fatal("no key is Active")
	}
	return k
}

func (l *life) standby() keyring.Key {
	l.tb.Helper()
	k, ok := l.ring.Standby()
	if !ok {
		l.tb.Fatal("there is no standby")
	}
	return k
}

// states names the keys a, b, c in the order in which they were made.
func (l *life) states() map[string]v1alpha1.KeyState {
	out := map[string]v1alpha1.KeyState{}
	for _, k := range l.ring.Keys {
		out[l.names[k.Thumbprint]] = k.State
	}
	return out
}

type states = map[string]v1alpha1.KeyState

const (
	published = v1alpha1.KeyPublished
	active    = v1alpha1.KeyActive
	retired   = v1alpha1.KeyRetired
	revoked   = v1alpha1.KeyRevoked
)

func TestLifeOfKeys(t *testing.T) {
	ready := 2*time.Hour + time.Minute                 // publishAhead and the skew
	kept := time.Hour + 15*time.Minute + 2*time.Minute // L, the token's lifetime, twice the skew
	interval := 720 * time.Hour
	rotate := func(value string) func(*keyring.Params) { return func(p *keyring.Params) { p.Rotate = value } }
	automatic, manual, never := params(v1alpha1.RotationAutomatic), params(v1alpha1.RotationManual), params(v1alpha1.RotationNever)
	cases := map[string]struct {
		reason string
		p      keyring.Params
		live   func(*life)
		want   states
	}{
		"the first key signs at once": {
			reason: "nobody can hold an older JWKS", p: automatic, live: func(*life) {},
			want: states{"a": active, "b": published},
		},
		"the interval is not yet over": {p: automatic, live: func(l *life) { l.after(interval - time.Nanosecond) }, want: states{"a": active, "b": published}},
		"the interval is over":         {p: automatic, live: func(l *life) { l.after(interval) }, want: states{"a": retired, "b": active, "c": published}},
		"a retired key stays for its last token": {
			p: automatic, live: func(l *life) { l.after(interval).after(kept - time.Nanosecond) },
			want: states{"a": retired, "b": active, "c": published},
		},
		"a retired key goes after its last token": {p: automatic, live: func(l *life) { l.after(interval).after(kept) }, want: states{"b": active, "c": published}},
		"a request waits until the standby is old enough": {
			reason: "publish before use", p: automatic, live: func(l *life) { l.with(rotate("1")).after(ready - time.Nanosecond) },
			want: states{"a": active, "b": published},
		},
		"a request is answered": {p: automatic, live: func(l *life) { l.after(ready).with(rotate("1")) }, want: states{"a": retired, "b": active, "c": published}},
		"a request is answered once": {
			p: automatic, live: func(l *life) { l.after(ready).with(rotate("1")).after(10 * ready) },
			want: states{"b": active, "c": published},
		},
		"a second request is another rotation": {
			p: automatic, live: func(l *life) { l.after(ready).with(rotate("1")).after(ready).with(rotate("2")) },
			want: states{"b": retired, "c": active, "d": published},
		},
		"an annotation that is taken away asks for nothing": {
			p: automatic, live: func(l *life) { l.after(ready).with(rotate("1")).after(ready).with(rotate("")) },
			want: states{"b": active, "c": published},
		},
		"an annotation that was there from the beginning asks for nothing": {
			p: func() keyring.Params { p := automatic; p.Rotate = "1"; return p }(), live: func(l *life) { l.after(ready) },
			want: states{"a": active, "b": published},
		},
		"mode Manual waits for a person": {p: manual, live: func(l *life) { l.after(interval).with(rotate("1")) }, want: states{"a": active, "b": published}},
		"mode Manual activates the standby that is named": {
			p: manual, live: func(l *life) {
				l.after(ready)
				id, err := keyring.KeyID(l.standby().Public, v1alpha1.LibTrust)
				if err != nil {
					l.tb.Fatal(err)
				}
				l.with(func(p *keyring.Params) { p.Activate = id })
			},
			want: states{"a": retired, "b": active, "c": published},
		},
		"mode Manual does not activate before its time": {
			p: manual, live: func(l *life) {
				l.with(func(p *keyring.Params) { p.Activate = l.standby().KeyID }).after(ready - time.Nanosecond)
			},
			want: states{"a": active, "b": published},
		},
		"mode Never keeps one key":               {p: never, live: func(l *life) { l.after(100 * interval) }, want: states{"a": active}},
		"mode Never rotates when it is asked to": {p: never, live: func(l *life) { l.with(rotate("1")).after(ready) }, want: states{"a": retired, "b": active}},
		"another algorithm replaces the standby": {
			p: automatic, live: func(l *life) { l.with(func(p *keyring.Params) { p.Algorithm = v1alpha1.EdDSA }) },
			want: states{"a": active, "c": published},
		},
		"another algorithm is a rotation": {
			p: automatic, live: func(l *life) { l.with(func(p *keyring.Params) { p.Algorithm = v1alpha1.EdDSA }).after(ready) },
			want: states{"a": retired, "c": active, "d": published},
		},
		"another format is a rotation": {
			p: automatic, live: func(l *life) { l.with(func(p *keyring.Params) { p.Format = v1alpha1.LibTrust }).after(ready) },
			want: states{"a": retired, "c": active, "d": published},
		},
		"the key that signs is revoked": {
			reason: "the standby signs at once, however young", p: automatic,
			live: func(l *life) { l.with(func(p *keyring.Params) { p.Revoked = []string{l.active().KeyID} }) },
			want: states{"a": revoked, "b": active, "c": published},
		},
		"a standby is revoked": {
			p: automatic, live: func(l *life) { l.with(func(p *keyring.Params) { p.Revoked = []string{l.standby().KeyID} }) },
			want: states{"a": active, "b": revoked, "c": published},
		},
		"a retired key is revoked": {
			p: automatic, live: func(l *life) {
				old := l.active().KeyID
				l.after(interval).with(func(p *keyring.Params) { p.Revoked = []string{old} })
			},
			want: states{"a": revoked, "b": active, "c": published},
		},
		"both are revoked": {
			p: automatic, live: func(l *life) {
				l.with(func(p *keyring.Params) { p.Revoked = []string{l.active().KeyID, l.standby().KeyID} })
			},
			want: states{"a": revoked, "b": revoked, "c": active, "d": published},
		},
		"the only key of mode Never is revoked": {
			p: never, live: func(l *life) { l.with(func(p *keyring.Params) { p.Revoked = []string{l.active().KeyID} }) },
			want: states{"a": revoked, "b": active},
		},
		"a revoked key does not come back when its id is taken away": {
			p: automatic, live: func(l *life) {
				l.with(func(p *keyring.Params) { p.Revoked = []string{l.active().KeyID} }).with(func(p *keyring.Params) { p.Revoked = nil })
			},
			want: states{"a": revoked, "b": active, "c": published},
		},
		"unknown ids mean nothing": {
			p: automatic, live: func(l *life) { l.with(func(p *keyring.Params) { p.Revoked = []string{"", "unknown", "*"} }) },
			want: states{"a": active, "b": published},
		},
		"a spec that contradicts itself stops rotation": {
			p: automatic, live: func(l *life) { l.with(func(p *keyring.Params) { p.Hold, p.Rotate = true, "1" }).after(interval) },
			want: states{"a": active, "b": published},
		},
		"a spec that contradicts itself does not stop revocation": {
			p: automatic, live: func(l *life) {
				l.with(func(p *keyring.Params) { p.Hold, p.Revoked = true, []string{l.active().KeyID} })
			},
			want: states{"a": revoked, "b": active, "c": published},
		},
		"a spec that contradicts itself gets no first key": {
			p: func() keyring.Params { p := automatic; p.Hold = true; return p }(), live: func(*life) {}, want: states{},
		},
		"requests beyond the bound wait": {
			reason: "the first two of a quick series fit, the third waits for room",
			p:      func() keyring.Params { p := automatic; p.PublishAhead = 0; return p }(),
			live: func(l *life) {
				for _, request := range []string{"1", "2", "3"} {
					l.after(time.Minute).with(rotate(request))
				}
			},
			want: states{"a": retired, "b": retired, "c": active, "d": published},
		},
		"activations by hand beyond the bound wait": {
			reason: "a person can be as quick as a series of requests",
			p:      func() keyring.Params { p := manual; p.PublishAhead = 0; return p }(),
			live: func(l *life) {
				for range 4 {
					l.after(time.Minute).with(func(p *keyring.Params) { p.Activate = l.standby().KeyID })
				}
			},
			want: states{"a": retired, "b": retired, "c": active, "d": published},
		},
		"requests beyond the bound are answered when there is room": {
			p: func() keyring.Params { p := automatic; p.PublishAhead = 0; return p }(),
			live: func(l *life) {
				for _, request := range []string{"1", "2", "3"} {
					l.after(time.Minute).with(rotate(request))
				}
				l.after(kept - 2*time.Minute)
			},
			want: states{"b": retired, "c": retired, "d": active, "e": published},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLife(t, c.p)
			c.live(l)
			if diff := cmp.Diff(c.want, l.states()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestActivationAndRetirementAreOneWriteThatMakesAStandby(t *testing.T) {
	l := newLife(t, params(v1alpha1.RotationAutomatic))
	plan := keyring.Plan(now.Add(720*time.Hour), l.p, l.ring, keyring.Facts{AuthorityUntil: l.authority.Until()})
	var did []keyring.Action
	for _, step := range plan {
		did = append(did, step.Do)
	}
	want := []keyring.Action{keyring.Retire, keyring.Activate, keyring.Create, keyring.Certify}
	if diff := cmp.Diff(want, did); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRevocationAndSuccessionAreOneWrite(t *testing.T) {
	l := newLife(t, params(v1alpha1.RotationAutomatic))
	dead := l.active()
	l.p.Revoked = []string{dead.KeyID}
	plan := keyring.Plan(now, l.p, l.ring, keyring.Facts{AuthorityUntil: l.authority.Until()})
	ring, err := keyring.Execute(l.ring, plan, now, l.p, rand.Reader, l.authority)
	if err != nil {
		t.Fatal(err)
	}
	if successor, ok := ring.Active(); !ok || successor.Thumbprint == dead.Thumbprint {
		t.Error("no successor signs")
	}
	set := keyring.JWKS(ring)
	if got := set.Key(dead.KeyID); len(got) > 0 {
		t.Error("the dead key is still in the JWKS")
	}
}

func TestPendingKeysDoNotSignUntilTheyAreServed(t *testing.T) {
	p := params(v1alpha1.RotationAutomatic)
	authority, err := keyring.NewAuthority(rand.Reader, "registry", now)
	if err != nil {
		t.Fatal(err)
	}
	facts := keyring.Facts{AuthorityUntil: authority.Until()}
	ring, err := keyring.Execute(keyring.Ring{}, keyring.Plan(now, p, keyring.Ring{}, facts), now, p, rand.Reader, authority)
	if err != nil {
		t.Fatal(err)
	}
	if plan := keyring.Plan(now.Add(1000*time.Hour), p, ring, facts); len(plan) > 0 {
		t.Errorf("planned %v", plan)
	}
	if got := len(keyring.JWKS(ring).Keys); got != 1 {
		t.Errorf("the JWKS has %d keys: a pending key must be served to become published", got)
	}
}

func TestKeysSignForTenIntervalsWithoutAGap(t *testing.T) {
	l := newLife(t, params(v1alpha1.RotationAutomatic))
	for range 10 {
		before := l.active()
		l.after(720 * time.Hour)
		after := l.active()
		if before.Thumbprint == after.Thumbprint || !after.Activated.Equal(l.now) || before.SignUntil.Before(after.Activated) {
			t.Fatalf("at %s: %s then %s", l.now, before.Thumbprint, after.Thumbprint)
		}
	}
	if len(l.ring.Keys) > l.p.Bound(l.ring) {
		t.Errorf("%d keys, at most %d may be", len(l.ring.Keys), l.p.Bound(l.ring))
	}
}
