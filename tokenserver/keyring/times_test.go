package keyring_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// leaf reads the certificate of the key.
func leaf(t *testing.T, k keyring.Key) *x509.Certificate {
	t.Helper()
	if len(k.Chain) != 1 {
		t.Fatalf("key %s has %d certificates", k.Thumbprint, len(k.Chain))
	}
	certificate, err := x509.ParseCertificate(k.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestCertificateLastsAsLongAsTheLastToken(t *testing.T) {
	l := newLife(t, params(v1alpha1.RotationAutomatic))
	k := l.active()
	if diff := cmp.Diff(now.Add(1440*time.Hour), k.SignUntil); diff != "" {
		t.Errorf("signUntil is two intervals on (-want +got):\n%s", diff)
	}
	want := k.SignUntil.Add(15*time.Minute + 2*time.Minute).Truncate(time.Second)
	if diff := cmp.Diff(want, leaf(t, k).NotAfter); diff != "" {
		t.Errorf("NotAfter (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(now.Add(-2*time.Hour).Truncate(time.Second), leaf(t, k).NotBefore); diff != "" {
		t.Errorf("NotBefore (-want +got):\n%s", diff)
	}
	if len(l.standby().Chain) > 0 {
		t.Error("a standby has a certificate before it is activated")
	}
}

func TestLifetimeRaisedOnALiveKeyRaisesItsEnd(t *testing.T) {
	l := newLife(t, params(v1alpha1.RotationAutomatic)).with(func(p *keyring.Params) { p.TokenLifetime = 2 * time.Hour })
	k := l.active()
	if diff := cmp.Diff(2*time.Hour, k.TokenLifetime); diff != "" {
		t.Errorf("lifetime (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(k.SignUntil.Add(2*time.Hour+2*time.Minute).Truncate(time.Second), leaf(t, k).NotAfter); diff != "" {
		t.Errorf("certificate (-want +got):\n%s", diff)
	}
	l.with(func(p *keyring.Params) { p.TokenLifetime = time.Minute }).after(720 * time.Hour)
	for _, old := range l.ring.Keys {
		if old.State == v1alpha1.KeyRetired {
			if diff := cmp.Diff(l.now.Add(3*time.Hour+2*time.Minute), l.p.RemovalTime(old)); diff != "" {
				t.Errorf("a lowered lifetime must not shorten what is out already (-want +got):\n%s", diff)
			}
		}
	}
}

func TestNothingIsAllowedMoreThanItsCertificate(t *testing.T) {
	l := newLife(t, params(v1alpha1.RotationAutomatic))
	longer := l.p
	longer.TokenLifetime, longer.Interval = 2*time.Hour, 2000*time.Hour
	for _, step := range keyring.Plan(now, longer, l.ring, keyring.Facts{}) {
		if step.Thumbprint == l.active().Thumbprint {
			t.Errorf("without an authority: %v", step)
		}
	}
}

func TestIntervalRaisedOnALiveKeyLetsItSignLonger(t *testing.T) {
	l := newLife(t, params(v1alpha1.RotationAutomatic)).with(func(p *keyring.Params) { p.Interval = 2000 * time.Hour })
	if diff := cmp.Diff(now.Add(4000*time.Hour), l.active().SignUntil); diff != "" {
		t.Errorf("raised (-want +got):\n%s", diff)
	}
	l.with(func(p *keyring.Params) { p.Interval = 10 * time.Hour })
	if diff := cmp.Diff(now.Add(4000*time.Hour), l.active().SignUntil); diff != "" {
		t.Errorf("it is never shortened (-want +got):\n%s", diff)
	}
}

func TestModeNeverHasNoEnd(t *testing.T) {
	l := newLife(t, params(v1alpha1.RotationNever))
	if !l.active().SignUntil.IsZero() {
		t.Errorf("signUntil is %s", l.active().SignUntil)
	}
	if diff := cmp.Diff(l.authority.Until(), leaf(t, l.active()).NotAfter); diff != "" {
		t.Errorf("certificate (-want +got):\n%s", diff)
	}
	later := newLife(t, params(v1alpha1.RotationAutomatic)).with(func(p *keyring.Params) { p.Mode = v1alpha1.RotationNever })
	if !later.active().SignUntil.IsZero() {
		t.Errorf("changed to Never: signUntil is %s", later.active().SignUntil)
	}
}

func TestChainForAKeyThatHadNone(t *testing.T) {
	p := params(v1alpha1.RotationAutomatic)
	p.Identification = v1alpha1.KeyID
	l := newLife(t, p)
	if len(l.active().Chain) > 0 {
		t.Error("KeyID needs no certificate")
	}
	l.with(func(p *keyring.Params) { p.Identification = v1alpha1.X509Chain })
	leaf(t, l.active())
}

func TestNothingSignsPastTheAuthority(t *testing.T) {
	p := params(v1alpha1.RotationAutomatic)
	p.Interval = 99999 * time.Hour
	l := newLife(t, p)
	if end := l.active().SignUntil.Add(17 * time.Minute); end.After(l.authority.Until()) {
		t.Errorf("tokens may live until %s, the authority until %s", end, l.authority.Until())
	}
	l.now = l.authority.Until().Add(-15 * time.Minute)
	before := l.active().Thumbprint
	l.settle()
	if l.active().Thumbprint != before {
		t.Error("a key was activated under an authority that ends before its tokens")
	}
	plan := keyring.Plan(now.Add(200000*time.Hour), p, l.ring, keyring.Facts{})
	for _, step := range plan {
		if step.Do == keyring.Activate {
			t.Error("a key was activated without an authority")
		}
	}
}

func TestTimesForStatus(t *testing.T) {
	l := newLife(t, params(v1alpha1.RotationAutomatic))
	due := now.Add(720 * time.Hour)
	if diff := cmp.Diff(due, l.p.NextRotation(l.now, l.ring)); diff != "" {
		t.Errorf("next rotation (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(now.Add(2*time.Hour+time.Minute), l.p.Wake(l.now, l.ring)); diff != "" {
		t.Errorf("first the standby is ready (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(due, l.p.Wake(now.Add(3*time.Hour), l.ring)); diff != "" {
		t.Errorf("then the interval is over (-want +got):\n%s", diff)
	}
	asked := l.p
	asked.Rotate = "1"
	if diff := cmp.Diff(now.Add(2*time.Hour+time.Minute), asked.NextRotation(l.now, l.ring)); diff != "" {
		t.Errorf("a request moves the next rotation (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(due, l.p.Due(l.ring)); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
	for _, mode := range []v1alpha1.RotationMode{v1alpha1.RotationManual, v1alpha1.RotationNever} {
		l := newLife(t, params(mode))
		if next := l.p.NextRotation(l.now, l.ring); !next.IsZero() {
			t.Errorf("mode %s rotates next at %s", mode, next)
		}
		if due := l.p.Due(l.ring); !due.IsZero() {
			t.Errorf("mode %s is due at %s", mode, due)
		}
	}
}

// A rotation that was asked for and cannot happen must not make the status say another time each minute.
func TestNextRotationDoesNotMoveWithTheTime(t *testing.T) {
	crowded := params(v1alpha1.RotationNever)
	crowded.PublishAhead = 0
	full := newLife(t, crowded)
	for _, request := range []string{"1", "2", "3"} {
		full.after(time.Minute).with(func(p *keyring.Params) { p.Rotate = request })
	}
	unserved := newLife(t, params(v1alpha1.RotationNever))
	unserved.p.Rotate = "1"
	waiting := newLife(t, params(v1alpha1.RotationAutomatic))
	waiting.p.Rotate = "1"
	often := params(v1alpha1.RotationAutomatic)
	often.PublishAhead = 0
	busy := newLife(t, often)
	for _, request := range []string{"1", "2", "3"} {
		busy.after(time.Minute).with(func(p *keyring.Params) { p.Rotate = request })
	}
	for name, c := range map[string]struct {
		l    *life
		want time.Time
	}{
		"no room":                    {l: full, want: full.p.RemovalTime(full.ring.Keys[0])},
		"no room beside an interval": {l: busy, want: busy.p.RemovalTime(busy.ring.Keys[0])},
		"no standby":                 {l: unserved},
		"a standby that is waiting":  {l: waiting, want: now.Add(2*time.Hour + time.Minute)},
	} {
		for _, later := range []time.Duration{0, time.Minute, 3 * time.Hour} {
			at := c.l.now.Add(later)
			if later > 0 && (c.l == full || c.l == busy) {
				at = c.l.now.Add(time.Second)
			}
			if diff := cmp.Diff(c.want, c.l.p.NextRotation(at, c.l.ring)); diff != "" {
				t.Errorf("%s, %s later (-want +got):\n%s", name, later, diff)
			}
		}
	}
}

// What a status says of a request that waits for room is when it is answered: not before, and not later.
func TestRequestThatWaitsForRoomIsAnsweredWhenItIsSaid(t *testing.T) {
	p := params(v1alpha1.RotationAutomatic)
	p.PublishAhead = 0
	l := newLife(t, p)
	for _, request := range []string{"1", "2", "3"} {
		l.after(time.Minute).with(func(p *keyring.Params) { p.Rotate = request })
	}
	before, said := l.active().Thumbprint, l.p.NextRotation(l.now, l.ring)
	if l.after(said.Sub(l.now) - time.Nanosecond); l.active().Thumbprint != before {
		t.Errorf("it was answered before %s", said)
	}
	if l.after(time.Nanosecond); l.active().Thumbprint == before {
		t.Errorf("it was not answered at %s", said)
	}
}
