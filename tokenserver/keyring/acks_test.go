package keyring_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

func TestStandbyWaitsForServersThatDoNotServeIt(t *testing.T) {
	skew := time.Minute
	a, p, old := "a", "p", "old"
	signing := []keyring.Key{{Thumbprint: a, State: active}, {Thumbprint: p, State: v1alpha1.KeyPending}}
	lease := func(server string, until time.Duration, serves ...string) keyring.Ack {
		return keyring.Ack{Server: server, Until: now.Add(until), Serves: serves}
	}
	cases := map[string]struct {
		reason string
		keys   []keyring.Key
		acks   []keyring.Ack
		want   []string
		wake   time.Time
	}{
		"no server": {reason: "nobody could sign with a key that others do not know", keys: signing},
		"a server that serves it": {
			reason: "it acknowledged", keys: signing, acks: []keyring.Ack{lease("one", time.Hour, a, p)},
		},
		"a server that does not": {
			reason: "a verifier may ask this one", keys: signing, acks: []keyring.Ack{lease("one", time.Hour, a)},
			want: []string{"one"}, wake: now.Add(time.Hour + skew + time.Microsecond),
		},
		"a server that says nothing": {
			reason: "it may be new, or read nothing yet", keys: signing, acks: []keyring.Ack{lease("one", time.Hour)},
			want: []string{"one"}, wake: now.Add(time.Hour + skew + time.Microsecond),
		},
		"a Lease that ends now by our clock": {
			reason: "the server's may be behind", keys: signing, acks: []keyring.Ack{lease("one", -skew, a)},
			want: []string{"one"}, wake: now.Add(time.Microsecond),
		},
		"a Lease that has ended": {
			reason: "its server signs no more", keys: signing, acks: []keyring.Ack{lease("one", -skew-time.Nanosecond, a)},
		},
		"several servers": {
			reason: "the first to end is the next thing that time changes", keys: signing,
			acks: []keyring.Ack{lease("one", 2*time.Hour, a), lease("two", time.Hour, a, p), lease("three", time.Hour, old), lease("four", -time.Hour)},
			want: []string{"one", "three"}, wake: now.Add(time.Hour + skew + time.Microsecond),
		},
		"no key signs": {
			reason: "waiting would do more harm", keys: signing[1:], acks: []keyring.Ack{lease("one", time.Hour)},
		},
		"the standby is public": {
			reason: "what servers start later does not take that back",
			keys:   []keyring.Key{{Thumbprint: a, State: active}, {Thumbprint: p, State: published}}, acks: []keyring.Ack{lease("one", time.Hour)},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			params := keyring.Params{Limits: keyring.Limits{ClockSkew: skew}}
			_, missing := params.Waiting(now, keyring.Ring{Keys: c.keys}, c.acks)
			var got []string
			for _, m := range missing {
				got = append(got, m.Server)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: waits for (-want +got):\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.wake, params.AckWake(missing)); diff != "" {
				t.Errorf("%s: looks again (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestStandbyIsPublishedWhenItsWaitIsOver(t *testing.T) {
	l := newLife(t, params(v1alpha1.RotationAutomatic))
	ring := l.ring
	for i, k := range ring.Keys {
		if k.State == published {
			ring.Keys[i].State, ring.Keys[i].Published = v1alpha1.KeyPending, time.Time{}
		}
	}
	standby := l.standby().Thumbprint
	facts := func(acks ...keyring.Ack) keyring.Facts {
		return keyring.Facts{Public: map[string]bool{standby: true}, AuthorityUntil: l.authority.Until(), Acks: acks}
	}
	lagging := keyring.Ack{Server: "one", Until: now.Add(time.Hour)}
	serving := keyring.Ack{Server: "one", Until: now.Add(time.Hour), Serves: []string{standby}}
	end := l.p.AckWake([]keyring.Ack{lagging})
	cases := map[string]struct {
		now   time.Time
		facts keyring.Facts
		want  []keyring.Transition
	}{
		"nothing before the acknowledgement": {now: end.Add(-time.Microsecond), facts: facts(lagging)},
		"at the acknowledgement": {
			now: now, facts: facts(serving), want: []keyring.Transition{{Do: keyring.Publish, Thumbprint: standby, Because: "it is public"}},
		},
		"when the Lease has ended, at the time that was foretold": {
			now: end, facts: facts(lagging), want: []keyring.Transition{{Do: keyring.Publish, Thumbprint: standby, Because: "it is public"}},
		},
		"not while the ConfigMap lacks it, whoever serves it": {
			now: now, facts: keyring.Facts{AuthorityUntil: l.authority.Until(), Acks: []keyring.Ack{serving}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, keyring.Plan(c.now, l.p, ring, c.facts)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCensusCountsLiveServersByWhatTheyServe(t *testing.T) {
	p := keyring.Params{Limits: keyring.Limits{ClockSkew: time.Minute}}
	acks := []keyring.Ack{
		{Until: now.Add(time.Hour), Serves: []string{"a"}}, {Until: now.Add(time.Hour), Serves: []string{"a", "b"}},
		{Until: now.Add(time.Hour)}, {Until: now.Add(-time.Hour), Serves: []string{"a", "b"}},
	}
	cases := map[string]struct {
		keys []keyring.Key
		want [2]int
	}{
		"the standby counts":                    {keys: []keyring.Key{{Thumbprint: "a", State: active}, {Thumbprint: "b", State: published}}, want: [2]int{1, 2}},
		"without a standby, the key that signs": {keys: []keyring.Key{{Thumbprint: "a", State: active}}, want: [2]int{2, 1}},
		"without any key, nobody serves it":     {want: [2]int{0, 3}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			serving, others := p.Census(now, keyring.Ring{Keys: c.keys}, acks)
			if diff := cmp.Diff(c.want, [2]int{serving, others}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestServesIsReadAsItWasWritten(t *testing.T) {
	text := keyring.EncodeServes([]string{"b", "a", "b"})
	if diff := cmp.Diff("a b", text); diff != "" {
		t.Errorf("the annotation (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b"}, keyring.DecodeServes(text)); diff != "" {
		t.Errorf("what is read (-want +got):\n%s", diff)
	}
	if got := keyring.DecodeServes(keyring.EncodeServes(nil)); len(got) > 0 {
		t.Errorf("read %q of nothing", got)
	}
}
