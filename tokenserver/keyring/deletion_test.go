package keyring_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

func TestKeysOfASigningKeyThatIsBeingDeleted(t *testing.T) {
	interval, kept := 720*time.Hour, time.Hour+15*time.Minute+2*time.Minute
	deleting := func(p *keyring.Params) { p.Deleting = true }
	cases := map[string]struct {
		reason string
		live   func(*life)
		want   states
	}{
		"the key that signs is retired, the standby dropped": {
			reason: "only tokens of the first are out",
			live:   func(l *life) { l.with(deleting) },
			want:   states{"a": retired},
		},
		"a key stays until its last token is dead": {
			reason: "as after any rotation",
			live:   func(l *life) { l.with(deleting).after(kept - time.Second) },
			want:   states{"a": retired},
		},
		"and not longer": {
			reason: "nothing is left to verify",
			live:   func(l *life) { l.with(deleting).after(kept) },
			want:   states{},
		},
		"no rotation comes any more": {
			reason: "nothing signs",
			live: func(l *life) {
				l.after(interval).with(deleting).with(func(p *keyring.Params) { p.Rotate = "now" }).after(time.Minute)
			},
			want: states{"a": retired, "b": retired},
		},
		"a key can still be revoked": {
			reason: "it may have leaked",
			live: func(l *life) {
				l.with(deleting).with(func(p *keyring.Params) { p.Revoked = []string{l.ring.Keys[0].KeyID} })
			},
			want: states{"a": revoked},
		},
		"a lifetime that is raised now means nothing": {
			reason: "it would be held for longer, and no token lives so long",
			live: func(l *life) {
				l.with(deleting).with(func(p *keyring.Params) { p.TokenLifetime = 10 * time.Hour }).after(kept)
			},
			want: states{},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLife(t, params(v1alpha1.RotationAutomatic))
			c.live(l)
			if diff := cmp.Diff(c.want, l.states()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			for _, k := range l.ring.Keys {
				if k.Private != nil {
					t.Errorf("key %s is %s and can sign", k.Thumbprint, k.State)
				}
			}
		})
	}
}

func TestNoFirstKeyIsMadeWhileDeleting(t *testing.T) {
	p := params(v1alpha1.RotationAutomatic)
	p.Deleting = true
	if l := newLife(t, p); len(l.ring.Keys) > 0 {
		t.Errorf("keys %v", l.states())
	}
}

func TestAllEndsInOneWrite(t *testing.T) {
	l := newLife(t, params(v1alpha1.RotationAutomatic))
	l.p.Deleting = true
	plan := keyring.Plan(l.now, l.p, l.ring, keyring.Facts{})
	if len(plan) != 2 {
		t.Fatalf("the plan is %v", plan)
	}
	next, err := keyring.Execute(l.ring, plan, l.now, l.p, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := keyring.Encode(next)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != 1 {
		t.Errorf("the Secret has %d entries: a private half is left", len(data))
	}
	if _, err := keyring.Decode(data); err != nil {
		t.Errorf("the manager could not read it again: %v", err)
	}
	if len(keyring.JWKS(next).Keys) != 1 {
		t.Error("the JWKS does not have the key that signed")
	}
}

func TestCompileSeesTheDeletion(t *testing.T) {
	key := &v1alpha1.SigningKey{}
	if p, _ := keyring.Compile(key, limits); p.Deleting {
		t.Error("it is not being deleted")
	}
	key.DeletionTimestamp = &metav1.Time{Time: now}
	if p, _ := keyring.Compile(key, limits); !p.Deleting {
		t.Error("it is being deleted")
	}
}

func TestHowLongASigningKeyIsHeld(t *testing.T) {
	p := params(v1alpha1.RotationAutomatic)
	key := func(state v1alpha1.KeyState, lifetime, retiredAgo time.Duration) keyring.Key {
		return keyring.Key{State: state, TokenLifetime: lifetime, Retired: now.Add(-retiredAgo)}
	}
	fixed := time.Hour + 2*time.Minute // L and twice the skew
	cases := map[string]struct {
		reason      string
		keys        []keyring.Key
		until, most time.Duration // from the deletion; until 0: not at all
	}{
		"nothing was ever signed": {
			reason: "the spec's lifetime is all there is to go by", most: fixed + 15*time.Minute,
		},
		"a key that was retired with the deletion": {
			keys:  []keyring.Key{key(retired, 10*time.Minute, 0)},
			until: fixed + 10*time.Minute, most: fixed + 10*time.Minute,
		},
		"a manager that came late": {
			reason: "servers stopped with the deletion, whenever the manager saw it",
			keys:   []keyring.Key{key(retired, 10*time.Minute, -time.Hour)},
			until:  fixed + 10*time.Minute, most: fixed + 10*time.Minute,
		},
		"a key that was retired before": {
			keys:  []keyring.Key{key(retired, 10*time.Minute, 30*time.Minute)},
			until: fixed - 20*time.Minute, most: fixed + 10*time.Minute,
		},
		"the last of several": {
			reason: "a long lifetime that is over for long says nothing",
			keys:   []keyring.Key{key(retired, 24*time.Hour, 24*time.Hour), key(retired, 10*time.Minute, 0)},
			until:  fixed + 10*time.Minute, most: fixed + 24*time.Hour,
		},
		"a key that could not be retired": {
			keys:  []keyring.Key{key(active, 10*time.Minute, 0), key(retired, 24*time.Hour, 24*time.Hour)},
			until: fixed + 24*time.Hour, most: fixed + 24*time.Hour,
		},
		"a revoked key": {
			reason: "nobody shall accept its tokens", keys: []keyring.Key{key(revoked, 10*time.Minute, 0)}, most: fixed + 10*time.Minute,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ring := keyring.Ring{Keys: c.keys}
			want := time.Time{}
			if c.until > 0 {
				want = now.Add(c.until)
			}
			if diff := cmp.Diff(want, p.HeldUntil(now, ring)); diff != "" {
				t.Errorf("%s: until (-want +got):\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(now.Add(c.most), p.HeldAtMost(now, ring)); diff != "" {
				t.Errorf("%s: at most (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
