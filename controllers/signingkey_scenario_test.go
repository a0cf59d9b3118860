package controllers

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// scenario is something that happens to a SigningKey and what the manager has to make of it. After each step the manager
// works until it is at rest.
type scenario struct {
	spec func(*v1alpha1.SigningKey)
	// before is what happened without faults, with the first key made; nil and with raw: not even that.
	raw    bool
	before []step
	// act is where faults strike.
	act []step
	// acks says that two servers keep Leases, which the standby waits for. Without, one server is cut off, and none is
	// waited for.
	acks bool
	// not are faults that change what happens, and not only how.
	not []fault
	// spares says that a fault may leave more Retired keys than there are without: a manager that could not read the
	// ConfigMap does not know that the Secret is an older one, and rotates.
	spares bool
	// want are the states of the keys in the end.
	want []v1alpha1.KeyState
}

// step is what happens to the world.
type step func(w *world)

// scenarios are all that the manager does. A feature that writes something else adds its own here, and is then struck by
// every fault at every call.
func scenarios() map[string]scenario {
	return map[string]scenario{
		"the first key": {
			raw: true, act: []step{nothing}, want: []v1alpha1.KeyState{active, published},
		},
		"the first key, KeyID": {
			raw: true, spec: keyID, act: []step{nothing}, want: []v1alpha1.KeyState{active, published},
		},
		"rotation by interval": {
			act: []step{later(interval)}, want: []v1alpha1.KeyState{retired, active, published},
		},
		"rotation by interval, KeyID": {
			spec: keyID, act: []step{later(interval)}, want: []v1alpha1.KeyState{retired, active, published},
		},
		"rotation by interval, acknowledged": {
			spec: keyID, acks: true, act: []step{later(interval)}, want: []v1alpha1.KeyState{retired, active, published},
		},
		"a standby that a server does not serve": {
			acks: true, act: []step{cutOff, later(time.Minute), annotatedFormat},
			want: []v1alpha1.KeyState{active, pending},
		},
		"removal of what is dead": {
			before: []step{later(interval)}, act: []step{later(3 * time.Hour)},
			want: []v1alpha1.KeyState{active, published},
		},
		"rotation that was asked for": {
			before: []step{later(3 * time.Hour)}, act: []step{annotated(v1alpha1.AnnotationRotate, "1")},
			want: []v1alpha1.KeyState{retired, active, published},
		},
		"activation by hand": {
			spec:   func(k *v1alpha1.SigningKey) { k.Spec.Rotation.Mode = v1alpha1.RotationManual },
			before: []step{later(3 * time.Hour)}, act: []step{activateStandby},
			want: []v1alpha1.KeyState{retired, active, published},
		},
		"revocation of the key that signs": {
			act: []step{revoke(active)}, want: []v1alpha1.KeyState{revoked, active, published},
		},
		"revocation of all keys": {
			act:  []step{revoke(active, published)},
			want: []v1alpha1.KeyState{revoked, revoked, active, published},
		},
		"a lost Secret": {
			act: []step{loseSecret}, want: []v1alpha1.KeyState{retired, retired, active, published},
		},
		"a lost Secret after a rotation": {
			before: []step{later(interval)}, act: []step{loseSecret},
			want: []v1alpha1.KeyState{retired, retired, retired, active, published},
		},
		"a Secret restored from before a rotation": {
			spares: true, act: []step{restoredFromBefore(later(interval))},
			want: []v1alpha1.KeyState{retired, active, retired, published},
		},
		"a Secret restored from before two rotations": {
			spares: true, act: []step{restoredFromBefore(later(interval), later(interval))}, //nolint:gocritic // two rotations, not an option given twice
			want: []v1alpha1.KeyState{retired, retired, retired, retired, active, published},
		},
		"a Secret restored from before a revocation that is not in the spec any more": {
			spares: true, act: []step{restoredFromBefore(revoke(active), specified(func(s *v1alpha1.SigningKeySpec) { s.RevokedKeyIDs = nil }))},
			want: []v1alpha1.KeyState{revoked, active, retired, published},
		},
		"a Secret that is lost before the status told of a rotation": {
			not:  []fault{overtaken, lostAnswer, killedAfter}, // with these a status is written after all
			act:  []step{both(withoutStatus(interval), loseSecret)},
			want: []v1alpha1.KeyState{retired, retired, active, published},
		},
		"another certificate authority is asked for": {
			act: []step{annotated(v1alpha1.AnnotationRotateCA, "1")}, want: []v1alpha1.KeyState{active, published},
		},
		"another certificate authority is confirmed": {
			before: []step{annotated(v1alpha1.AnnotationRotateCA, "1"), registriesRestarted},
			act:    []step{annotated(v1alpha1.AnnotationConfirmCA, "1")}, want: []v1alpha1.KeyState{active, published},
		},
		"deletion": {
			act: []step{deleteKey}, want: []v1alpha1.KeyState{retired},
		},
		"the end of a deletion": {
			before: []step{deleteKey}, act: []step{later(2 * time.Hour)}, want: []v1alpha1.KeyState{"there"},
		},
		"a lost ConfigMap": {
			act: []step{loseConfigMap}, want: []v1alpha1.KeyState{active, published},
		},
		"a copy is added": {
			act: []step{copies("tenant")}, want: []v1alpha1.KeyState{active, published},
		},
		"rotation with a copy": {
			before: []step{copies("tenant")}, act: []step{later(interval)}, want: []v1alpha1.KeyState{retired, active, published},
		},
		"a copy is taken away": {
			before: []step{copies("tenant")}, act: []step{copies()}, want: []v1alpha1.KeyState{active, published},
		},
		"the ConfigMap is renamed": {
			act:  []step{specified(func(s *v1alpha1.SigningKeySpec) { s.Publish.ConfigMapName = "other" })},
			want: []v1alpha1.KeyState{active, published},
		},
		"the ConfigMap is renamed, and the name is taken": {
			before: []step{foreignConfigMap("other")},
			act:    []step{specified(func(s *v1alpha1.SigningKeySpec) { s.Publish.ConfigMapName = "other" })},
			want:   []v1alpha1.KeyState{active, published},
		},
		"another format of key ids": {
			act:  []step{specified(func(s *v1alpha1.SigningKeySpec) { s.KeyIDFormat = v1alpha1.LibTrust })},
			want: []v1alpha1.KeyState{active, published},
		},
		"another algorithm": {
			act:  []step{specified(func(s *v1alpha1.SigningKeySpec) { s.Algorithm = v1alpha1.EdDSA }), later(3 * time.Hour)},
			want: []v1alpha1.KeyState{retired, active, published},
		},
		"longer tokens": {
			act:  []step{specified(func(s *v1alpha1.SigningKeySpec) { s.TokenLifetime = "2h" })},
			want: []v1alpha1.KeyState{active, published},
		},
	}
}

func nothing(*world) {}

// registriesRestarted lets registries read ca.crt again.
func registriesRestarted(w *world) { w.oracle.anchors = map[string][]*x509.Certificate{} }

func deleteKey(w *world) {
	if err := w.api.Delete(w.ctx, w.state().key.DeepCopy()); err != nil {
		w.Fatalf("delete the SigningKey: %v", err)
	}
	w.observe()
}

func keyID(k *v1alpha1.SigningKey) { k.Spec.KeyIdentification = v1alpha1.KeyID }

func later(d time.Duration) step { return func(w *world) { w.advance(d) } }

func annotated(name, value string) step {
	return func(w *world) {
		w.author(func(k *v1alpha1.SigningKey) { metav1.SetMetaDataAnnotation(&k.ObjectMeta, name, value) })
	}
}

func specified(change func(*v1alpha1.SigningKeySpec)) step {
	return func(w *world) { w.author(func(k *v1alpha1.SigningKey) { change(&k.Spec) }) }
}

// cutOff leaves a server with what it has seen. Its Lease counts for another hour.
func cutOff(w *world) { w.oracle.replicas[1].away = true }

func annotatedFormat(w *world) {
	specified(func(s *v1alpha1.SigningKeySpec) { s.KeyIDFormat = v1alpha1.LibTrust })(w)
}

func activateStandby(w *world) {
	standby, _ := w.state().ring.Standby()
	annotated(v1alpha1.AnnotationActivate, standby.KeyID)(w)
}

// revoke names the keys that are in these states now.
func revoke(states ...v1alpha1.KeyState) step {
	return func(w *world) {
		for _, k := range w.state().ring.Keys {
			if slices.Contains(states, k.State) {
				specified(func(s *v1alpha1.SigningKeySpec) { s.RevokedKeyIDs = append(s.RevokedKeyIDs, k.KeyID) })(w)
			}
		}
	}
}

func loseSecret(w *world) {
	if secret := w.state().secret; secret != nil {
		if err := w.api.Delete(w.ctx, secret.DeepCopy()); err != nil {
			w.Fatalf("delete the Secret: %v", err)
		}
	}
	w.observe()
}

func loseConfigMap(w *world) {
	if home := w.state().home(); home != nil {
		w.oracle.mapTouched = true
		if err := w.api.Delete(w.ctx, home.DeepCopy()); err != nil {
			w.Fatalf("delete the ConfigMap: %v", err)
		}
	}
	w.observe()
}

func foreignConfigMap(name string) step {
	return func(w *world) {
		foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.o.Namespace, Name: name}}
		if err := w.api.Create(w.ctx, foreign); err != nil {
			w.Fatalf("create a ConfigMap: %v", err)
		}
	}
}

// overwrite is what a person does who writes the Secret.
func (w *world) overwrite(data map[string][]byte) {
	secret := w.state().secret
	if secret == nil {
		return
	}
	w.oracle.touched = true
	secret = secret.DeepCopy()
	secret.Data = maps.Clone(data)
	if err := w.api.Update(w.ctx, secret); err != nil {
		w.Fatalf("overwrite the Secret: %v", err)
	}
	w.observe()
}

// restoredFromBefore restores the Secret from before what happened then, which no fault strikes.
func restoredFromBefore(then ...step) step {
	return func(w *world) {
		backup, faults := w.state().secret.Data, w.managers[0].faults
		w.managers[0].begin(nil)
		defer w.managers[0].begin(faults)
		for _, s := range then {
			s(w)
			w.settle()
		}
		w.overwrite(backup)
	}
}

// both happens before the manager looks.
func both(one, other step) step { return func(w *world) { one(w); other(w) } }

// withoutStatus lets time pass and the manager do what is due then, but for the status: it is killed before.
func withoutStatus(d time.Duration) step {
	return func(w *world) {
		w.advance(d)
		m := w.managers[0]
		m.strike = func(c call) fault {
			if c.verb == "apply status" {
				return killedBefore
			}
			return ""
		}
		for range 3 {
			_, _, _ = m.reconcile()
		}
		m.strike = nil
	}
}

func copies(namespaces ...string) step {
	return specified(func(s *v1alpha1.SigningKeySpec) { s.Publish.Namespaces = namespaces })
}

// begin makes the world in memory in which a scenario begins, up to where faults strike.
func (c scenario) begin(t tb) *world {
	w := newMemoryWorld(t, nil)
	w.acks = c.acks
	w.start()
	c.prepare(w)
	return w
}

// prepare makes the SigningKey, and what has happened to it before.
func (c scenario) prepare(w *world) {
	w.create(func(k *v1alpha1.SigningKey) {
		if c.spec != nil {
			c.spec(k)
		}
	})
	if !c.raw {
		w.settle()
	}
	for _, s := range c.before {
		s(w)
		w.settle()
	}
	w.holds()
}

// from is a world in memory that goes on from there, with processes that know nothing yet. One of the servers has just
// been cut off: it signs with what it has for as long as it may.
func (c scenario) from(t tb, before *world) *world {
	w := newMemoryWorld(t, before)
	w.acks = c.acks
	w.start()
	w.oracle.replicas[1].away = !c.acks
	return w
}

// play acts, with the faults, which count from the first call on. It returns what there is in the end.
func (c scenario) play(w *world, faults map[int]fault) outcomeOf {
	w.managers[0].begin(faults)
	for _, s := range c.act {
		s(w)
		w.settle()
	}
	w.holds()
	return w.summary()
}

// holds fails the test if an invariant was broken.
func (w *world) holds() {
	w.Helper()
	if len(w.oracle.broken) > 0 {
		w.Fatalf("the oracle objects:\n%s", strings.Join(w.oracle.broken, "\n"))
	}
}

// outcomeOf is what there is in the end, without ids and times: what two runs of a scenario have in common.
type outcomeOf struct {
	Keys, Status, Conditions, Published []string
	Handled, Active                     string
	Places                              []string
	Authorities                         int
}

// withoutSpares leaves out the Retired keys.
func (o outcomeOf) withoutSpares() outcomeOf {
	is := func(line string) bool { return strings.HasPrefix(line, string(retired)) }
	o.Keys, o.Status = slices.DeleteFunc(slices.Clone(o.Keys), is), slices.DeleteFunc(slices.Clone(o.Status), is)
	return o
}

// summary also holds what was published, and what is said, to what the Secret holds.
func (w *world) summary() outcomeOf {
	s := w.state()
	if s.fault != nil {
		return outcomeOf{Keys: []string{s.fault.Error()}}
	}
	out := outcomeOf{Handled: s.ring.LastHandledRotate + "/" + s.key.Status.LastHandledRotate + "/" + s.key.Status.LastHandledRotateCA, Authorities: len(s.ring.Authorities)}
	said := map[string]v1alpha1.KeyState{}
	for _, k := range s.key.Status.Keys {
		said[k.Thumbprint] = k.State
	}
	for _, k := range s.ring.Keys {
		out.Status = append(out.Status, string(said[k.Thumbprint]))
		out.Keys = append(out.Keys, fmt.Sprintf("%s %s %s private=%t chain=%d lifetime=%s signs=%t", k.State, k.Algorithm, k.Format,
			k.Private != nil, len(k.Chain), k.TokenLifetime, !k.SignUntil.IsZero()))
	}
	slices.Sort(out.Keys) // a fault changes what comes first
	slices.Sort(out.Status)
	key, _ := s.ring.Active()
	out.Active = fmt.Sprintf("the same=%t", key.KeyID == s.key.Status.ActiveKeyID)
	for _, c := range s.key.Status.Conditions {
		out.Conditions = append(out.Conditions, fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Reason))
	}
	want, err := keyring.PublicData(s.ring)
	if err != nil {
		w.Fatalf("%v", err)
	}
	for place, m := range s.configMaps {
		said := place.Namespace + "/" + place.Name + ": "
		said += fmt.Sprintf("the set=%t generation=%t", maps.Equal(want, m.Data),
			m.Annotations[v1alpha1.AnnotationGeneration] == strconv.FormatInt(s.ring.Generation, 10))
		out.Published = append(out.Published, said)
	}
	slices.Sort(out.Published)
	for _, place := range s.ring.Publications {
		out.Places = append(out.Places, place.Namespace+"/"+place.Name)
	}
	slices.Sort(out.Places)
	return out
}
