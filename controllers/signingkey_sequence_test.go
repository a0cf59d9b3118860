package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// sequence is one life of a SigningKey, drawn at random: time passes, two managers work or not, calls fail, people change
// the spec and ask for things, Secrets and ConfigMaps are lost, damaged, forged and restored, servers are cut off.
type sequence struct {
	*world
	draw *rapid.T
	// backups are older contents of the Secret; undone mends what is damaged at present.
	backups  []map[string][]byte
	undone   map[string]func()
	requests int
	said     []string
}

// stopped ends a sequence that cannot go on.
type stopped struct{ why string }

// recorder is a test in which failures are values.
type recorder struct{ draw *rapid.T }

func (recorder) Helper()                           {}
func (recorder) Fatalf(format string, args ...any) { panic(stopped{fmt.Sprintf(format, args...)}) }
func (r recorder) Logf(format string, args ...any) {}

// live draws a life, and returns what the oracle objects to, after what was done.
func live(draw *rapid.T, break_ func(*world)) (objections, said []string) {
	s := &sequence{draw: draw, undone: map[string]func(){}}
	defer func() {
		if cause := recover(); cause != nil {
			why, ours := cause.(stopped)
			if !ours {
				panic(cause)
			}
			objections, said = append(slices.Clone(s.oracle.broken), why.why), s.said
		}
	}()
	s.begin(break_)
	names := slices.Sorted(maps.Keys(s.actions()))
	for range rapid.IntRange(8, 24).Draw(draw, "steps") {
		name := rapid.SampledFrom(names).Draw(draw, "action")
		s.say("%s", name)
		s.actions()[name]()
		if len(s.oracle.broken) > 0 {
			return s.oracle.broken, s.said
		}
	}
	s.heal()
	return s.oracle.broken, s.said
}

func (s *sequence) say(format string, args ...any) {
	s.said = append(s.said, fmt.Sprintf("%s  %s", s.now().Format(time.DateTime), fmt.Sprintf(format, args...)))
}

func (s *sequence) begin(break_ func(*world)) {
	s.world = newMemoryWorld(recorder{s.draw}, nil)
	s.staleCache, s.acks = true, rapid.Bool().Draw(s.draw, "servers keep Leases")
	s.managers = append(s.managers, &manager{w: s.world})
	// No two clocks are further apart than a minute. What they use up of it is not left to verifiers as leeway.
	apart := time.Duration(0)
	for _, offset := range []*time.Duration{
		&s.managers[0].offset, &s.managers[1].offset, &s.oracle.replicas[0].offset, &s.oracle.replicas[1].offset,
	} {
		*offset = time.Duration(rapid.IntRange(0, 4).Draw(s.draw, "clock")) * 15 * time.Second
		apart = max(apart, *offset)
	}
	s.oracle.leeway = time.Minute - apart
	if break_ != nil {
		break_(s.world)
	}
	s.start()
	s.create(func(k *v1alpha1.SigningKey) {
		k.Spec.Rotation = v1alpha1.Rotation{Interval: "24h"}
		k.Spec.KeyIdentification = rapid.SampledFrom([]v1alpha1.KeyIdentification{v1alpha1.X509Chain, v1alpha1.KeyID}).Draw(s.draw, "identification")
	})
	s.work(s.managers[0])
}

// work lets a manager work until it is at rest, or gives up.
func (s *sequence) work(m *manager) {
	if err := m.quiet(); err != nil {
		s.say("not at rest: %v", err)
	}
}

// actions are what can happen. Those that people would do by mistake only are among them.
func (s *sequence) actions() map[string]func() {
	pick := func(name string, values ...string) string { return rapid.SampledFrom(values).Draw(s.draw, name) }
	change := func(f func(*v1alpha1.SigningKeySpec)) { specified(f)(s.world) }
	return map[string]func(){
		"time passes": func() {
			d, _ := time.ParseDuration(pick("for", "30s", "10m", "59m", "61m", "2h2m", "6h", "24h", "24h1m"))
			s.say("  %s", d)
			s.advance(d)
		},
		"a day passes, and the managers work": func() {
			for i := range 4 {
				s.advance(6*time.Hour + time.Minute)
				s.work(s.managers[i%2])
			}
		},
		"an hour passes, and the managers work": func() {
			for i := range 4 {
				s.advance(16 * time.Minute)
				s.work(s.managers[i%2])
			}
		},
		"a manager is overtaken at its write": func() {
			s.advance(6*time.Hour + time.Minute)
			m, struck := s.managers[rapid.IntRange(0, 1).Draw(s.draw, "which")], false
			m.strike = func(c call) fault {
				if struck || c.verb != "update" {
					return ""
				}
				struck = true
				return overtaken
			}
			_, _, _ = m.reconcile()
			m.strike = nil
		},
		"manager A works": func() { s.work(s.managers[0]) },
		"manager B works": func() { s.work(s.managers[1]) },
		"a manager is struck": func() {
			m := s.managers[rapid.IntRange(0, 1).Draw(s.draw, "which")]
			faults := map[int]fault{}
			for range rapid.IntRange(1, 2).Draw(s.draw, "faults") {
				at := rapid.IntRange(1, 18).Draw(s.draw, "at")
				faults[at] = rapid.SampledFrom([]fault{refusal, lostAnswer, conflicting, timeout, killedBefore, killedAfter, overtaken}).Draw(s.draw, "fault")
			}
			s.say("  %v", faults)
			m.begin(faults)
			_, _, _ = m.reconcile()
			m.begin(nil)
		},
		"the lifetime changes": func() {
			d := v1alpha1.Duration(pick("lifetime", "1m", "15m", "2h"))
			change(func(spec *v1alpha1.SigningKeySpec) { spec.TokenLifetime = d })
		},
		"the interval changes": func() {
			d := v1alpha1.Duration(pick("interval", "6h", "24h", "96h"))
			change(func(spec *v1alpha1.SigningKeySpec) { spec.Rotation.Interval = d })
		},
		"publishAhead changes": func() {
			d := v1alpha1.Duration(pick("ahead", "1h", "1h6m", "2h", "4h"))
			change(func(spec *v1alpha1.SigningKeySpec) { spec.Rotation.PublishAhead = d })
		},
		"the algorithm changes": func() {
			a := v1alpha1.Algorithm(pick("algorithm", "ES256", "EdDSA"))
			change(func(spec *v1alpha1.SigningKeySpec) { spec.Algorithm = a })
		},
		"the format changes": func() {
			f := v1alpha1.KeyIDFormat(pick("format", "Thumbprint", "LibTrust"))
			change(func(spec *v1alpha1.SigningKeySpec) { spec.KeyIDFormat = f })
		},
		"the mode changes": func() {
			m := v1alpha1.RotationMode(pick("mode", "Automatic", "Automatic", "Manual", "Never"))
			change(func(spec *v1alpha1.SigningKeySpec) { spec.Rotation.Mode = m })
		},
		"a rotation is asked for": func() {
			s.requests++
			annotated(v1alpha1.AnnotationRotate, strconv.Itoa(s.requests))(s.world)
		},
		"the standby is named": func() { activateStandby(s.world) },
		"keys are revoked": func() {
			states := [][]v1alpha1.KeyState{{active}, {active, published, pending}, {published}, {retired}}[rapid.IntRange(0, 3).Draw(s.draw, "which")]
			if len(s.state().key.Spec.RevokedKeyIDs) < 20 {
				revoke(states...)(s.world)
			}
		},
		"an unknown key is revoked": func() {
			change(func(spec *v1alpha1.SigningKeySpec) { spec.RevokedKeyIDs = append(spec.RevokedKeyIDs, "unknown") })
		},
		"a server is cut off": func() {
			s.oracle.replicas[rapid.IntRange(0, 1).Draw(s.draw, "which")].away = true
		},
		"a server is cut off just before a rotation": func() {
			next, err := s.state().key.Status.NextRotationTime.Parse()
			if wait := next.Sub(s.now()); err == nil && wait > time.Minute && wait < 100*time.Hour {
				s.advance(wait - time.Minute)
			}
			s.oracle.replicas[1].away = true
			s.wakes(8)
		},
		"the managers wake when they asked to": func() { s.wakes(6) },
		"a server is started anew": func() {
			i := rapid.IntRange(0, 1).Draw(s.draw, "which")
			before := s.oracle.replicas[i]
			s.oracle.replicas[i] = &replica{offset: before.offset, away: before.away}
			s.advance(time.Second)
		},
		"the servers see again": func() {
			for _, r := range s.oracle.replicas {
				r.away, r.lag = false, 0
			}
			s.advance(time.Second)
		},
		"a server lags": func() {
			s.oracle.replicas[1].lag = time.Duration(rapid.IntRange(1, 59).Draw(s.draw, "minutes")) * time.Minute
		},
		"a backup is made": s.backUp,
		"the Secret is lost": func() {
			if s.mayLose() && s.told() {
				loseSecret(s.world)
			}
		},
		"the Secret is restored": s.restore,
		"the Secret is damaged":  s.damage,
		"the Secret is forged":   s.forge,
		"the ConfigMap is lost": func() {
			if s.mayLose() {
				loseConfigMap(s.world)
			}
		},
		"the ConfigMap is edited": s.edit,
		"the ConfigMap is taken":  s.take,
		"the authority is lost":   s.loseAuthority,
		"it is mended":            s.mend,
	}
}

// wakes lets the managers work at the very moments that they ask for, by their own clocks: the first at which something is
// due by the clock that is ahead.
func (s *sequence) wakes(times int) {
	for range times {
		next := 24 * time.Hour
		for _, m := range s.managers {
			result, _, _ := m.reconcile()
			if result.RequeueAfter > 0 {
				next = min(next, result.RequeueAfter)
			}
		}
		s.advance(next)
	}
}

func (s *sequence) backUp() {
	if now := s.state(); now.fault == nil {
		s.backups = append(s.backups, now.secret.Data)
	}
}

// restore puts an older content back. Not while tokens of a key could be out that no status knows: see docs/signing-keys.md.
func (s *sequence) restore() {
	if len(s.backups) == 0 || len(s.undone) > 0 || s.state().fault != nil || !statusTrue(s.state().key, v1alpha1.ConditionReady) {
		return
	}
	s.work(s.managers[0])
	s.overwrite(rapid.SampledFrom(s.backups).Draw(s.draw, "backup"))
}

// mayLose says whether one more of the Secret, the ConfigMap and the authority may be lost: without all three nobody knows
// what registries trust.
func (s *sequence) mayLose() bool {
	now, gone := s.state(), 0
	for _, lost := range []bool{now.fault != nil || len(now.ring.Authorities) == 0, now.home() == nil || s.oracle.mapTouched, now.authority == nil} {
		if lost {
			gone++
		}
	}
	return gone < 2
}

// told says whether the status knows the key that signs. A Secret that is lost before that takes the public half along: see
// docs/signing-keys.md.
func (s *sequence) told() bool {
	now := s.state()
	signs, ok := now.ring.Active()
	return now.fault != nil || !ok || slices.ContainsFunc(now.key.Status.Keys, func(k v1alpha1.KeyStatus) bool {
		return k.Thumbprint == signs.Thumbprint
	})
}

func (s *sequence) damage() {
	now := s.state()
	if now.fault != nil || !s.mayLose() || !s.told() {
		return
	}
	good := now.secret.Data
	bad := map[string][]byte{}
	if rapid.Bool().Draw(s.draw, "emptied") {
		for entry := range good {
			bad[entry] = []byte("{}")
		}
	}
	touched := s.oracle.touched
	s.overwrite(bad)
	s.oracle.touched = touched // a set that cannot be read changes nothing
	s.undone["Secret"] = func() {
		if held := s.state().secret; held != nil && held.UID == now.secret.UID && s.state().fault != nil {
			s.overwrite(good)
			s.oracle.touched = touched
		}
	}
}

// forge puts a Secret in the place of ours that has everything but the owner.
func (s *sequence) forge() {
	now := s.state()
	if now.fault != nil || !s.mayLose() || !s.told() {
		return
	}
	loseSecret(s.world)
	forged := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: now.secret.Namespace, Name: now.secret.Name, Labels: now.secret.Labels},
		Type:       keyring.SecretType, Data: now.secret.Data,
	}
	s.must(s.api.Create(s.ctx, forged))
	s.observe()
	s.undone["Secret"] = func() {
		if held := s.state().secret; held != nil && held.UID == forged.UID {
			loseSecret(s.world)
		}
	}
}

func (s *sequence) must(err error) {
	if err != nil {
		s.Fatalf("%v", err)
	}
}

func (s *sequence) edit() {
	home := s.state().home()
	if home == nil || !s.mayLose() {
		return
	}
	s.oracle.mapTouched = true
	home = home.DeepCopy()
	home.Data = map[string]string{keyring.EntryJWKS: `{"keys":[]}`}
	s.must(s.api.Update(s.ctx, home))
	s.observe()
}

func (s *sequence) take() {
	home := s.state().home()
	if home == nil || !s.mayLose() {
		return
	}
	loseConfigMap(s.world)
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: home.Namespace, Name: home.Name}}
	s.must(s.api.Create(s.ctx, foreign))
	s.observe()
	s.undone["ConfigMap"] = func() {
		s.must(client.IgnoreNotFound(s.api.Delete(s.ctx, foreign)))
		s.observe()
	}
}

func (s *sequence) loseAuthority() {
	held := s.state().authority
	if held == nil || !s.mayLose() {
		return
	}
	s.must(s.api.Delete(s.ctx, held.DeepCopy()))
	s.observe()
	s.undone["authority"] = func() {
		if s.state().authority != nil {
			return
		}
		again := held.DeepCopy()
		again.UID, again.ResourceVersion = "", ""
		s.must(s.api.Create(s.ctx, again))
		s.observe()
	}
}

// mend is what the messages of the conditions tell a person to do.
func (s *sequence) mend() {
	for _, what := range slices.Sorted(maps.Keys(s.undone)) {
		s.undone[what]()
	}
	s.undone = map[string]func(){}
}

// heal ends all that is wrong; then everything must come right by itself.
func (s *sequence) heal() {
	s.say("all is mended")
	s.mend()
	for _, r := range s.oracle.replicas {
		r.away, r.lag = false, 0
	}
	specified(func(spec *v1alpha1.SigningKeySpec) {
		spec.Rotation = v1alpha1.Rotation{Mode: v1alpha1.RotationAutomatic, Interval: "24h", PublishAhead: "2h"}
		spec.TokenLifetime = "15m"
	})(s.world)
	for _, d := range []time.Duration{0, 3 * time.Hour, 24 * time.Hour, 3 * time.Hour, 72 * time.Hour, 3 * time.Hour} {
		s.advance(d)
		for _, m := range s.managers {
			if err := m.quiet(); err != nil {
				s.Fatalf("after all was mended: %v", err)
			}
		}
	}
	now := s.state()
	if now.fault != nil || !statusTrue(now.key, v1alpha1.ConditionReady) || !statusTrue(now.key, v1alpha1.ConditionPublished) {
		s.Fatalf("after all was mended: %v, %v", now.fault, now.key.Status.Conditions)
	}
	if key, ok := now.ring.Active(); !ok || s.now().Sub(key.Activated) > 28*time.Hour {
		s.Fatalf("after all was mended keys do not rotate")
	}
	if s.oracle.mints == 0 || s.oracle.rotations == 0 {
		s.Fatalf("in a whole life %d tokens were signed and %d keys activated: the oracle saw nothing", s.oracle.mints, s.oracle.rotations)
	}
}
