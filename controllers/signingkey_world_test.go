package controllers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// tb is what a test and a property have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// state is all that the API server holds of one SigningKey at one moment.
type state struct {
	at         time.Time
	key        *v1alpha1.SigningKey
	secret     *corev1.Secret
	authority  *corev1.Secret
	configMaps map[keyring.Publication]*corev1.ConfigMap
	// ring is what the Secret holds; fault is why it holds none.
	ring  keyring.Ring
	fault error
}

// world is one SigningKey, the API server that holds it, the managers that keep it, the servers that sign with it, and
// the oracle that watches all of them.
type world struct {
	tb
	ctx   context.Context
	o     Options
	clock *clocktesting.FakePassiveClock
	// api has an administrator's rights, and as is where managers write to.
	api client.Client
	as  client.WithWatch
	// within are the namespaces where ConfigMaps of the default name are looked for, one by one: an API server that holds
	// more than this SigningKey is not listed.
	within   []string
	name     client.ObjectKey
	managers []*manager
	oracle   *oracle
	// history has the states of the last hours, the newest last.
	history []*state
	decoded map[string]*state
	// acks says that servers keep Leases, without which nobody waits for them.
	acks bool
	// staleCache says that managers' caches are one write behind.
	staleCache bool
	// tireless says that servers have no fence, for a world that is broken on purpose.
	tireless bool
	// believed changes what managers take for the settings of the installation; nil: the truth.
	believed func(Options) Options
	// bend changes a manager's client, for a world that is broken on purpose.
	bend func(w *world, c client.WithWatch) client.WithWatch
}

// manager is one process.
type manager struct {
	*injector
	w      *world
	r      *signingKeyReconciler
	offset time.Duration
	events chan string
}

// offsetClock is a clock that is wrong by always the same.
type offsetClock struct {
	*clocktesting.FakePassiveClock
	offset *time.Duration
}

func (c offsetClock) Now() time.Time                  { return c.FakePassiveClock.Now().Add(*c.offset) }
func (c offsetClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

var harnessEpoch = time.Date(2026, 3, 1, 12, 0, 0, 500, time.UTC)

// harnessOptions are the settings of the installation.
func harnessOptions(namespace, caNamespace string) Options {
	return Options{
		Namespace: namespace, CANamespace: caNamespace,
		ClockSkew: time.Minute, MaxStaleness: time.Hour, JWKSMaxAge: 5 * time.Minute,
	}
}

// newWorld has one manager and two servers.
func newWorld(t tb, api client.Client, as client.WithWatch, o Options, name string, now time.Time) *world {
	w := &world{
		tb: t, ctx: context.Background(), o: o, clock: clocktesting.NewFakePassiveClock(now), api: api, as: as,
		name: client.ObjectKey{Namespace: o.Namespace, Name: name}, decoded: map[string]*state{},
	}
	w.oracle = newOracle(w)
	w.managers = []*manager{{w: w}}
	return w
}

// newMemoryWorld is a world in memory: an empty one, or one that goes on from another.
func newMemoryWorld(t tb, before *world) *world {
	var w *world
	now := func() time.Time { return w.now() }
	api, at := newMemory(now), harnessEpoch
	if before != nil {
		held, ok := before.as.(*memory)
		if !ok {
			t.Fatalf("the world is not in memory")
		}
		api, at = held.clone(now), before.now()
	}
	w = newWorld(t, api, api, harnessOptions("system", "authorities"), "registry", at)
	return w
}

func (w *world) now() time.Time { return w.clock.Now() }

// start gives the managers what a process has when it begins: nothing.
func (w *world) start() {
	for _, m := range w.managers {
		m.restart()
	}
	w.observe()
}

// restart is a new process in place of the old one.
func (m *manager) restart() {
	if m.injector == nil {
		m.injector = &injector{}
	}
	m.wrote = m.w.observe
	m.overtake = m.overtakenByAnother
	o := m.w.o
	if m.w.believed != nil {
		o = m.w.believed(o)
	}
	o.statusLimit = rate.NewLimiter(rate.Inf, 1)
	clock := offsetClock{m.w.clock, &m.offset}
	o.Clock = clock
	figures, err := registerKeyMetrics(prometheus.NewRegistry(), clock)
	if err != nil {
		m.w.Fatalf("%v", err)
	}
	inner := m.w.as
	if m.w.bend != nil {
		inner = m.w.bend(m.w, inner)
	}
	live := m.client(inner)
	cached := live
	if m.w.staleCache {
		cached = m.w.stale(live)
	}
	recorder := events.NewFakeRecorder(10000)
	m.events = recorder.Events
	m.r = &signingKeyReconciler{
		live: live, client: cached, status: o.statusWriter(cached, "signingkey"), recorder: recorder, metrics: figures,
		clock: clock, random: rand.Reader, leases: &leaseSightings{}, Options: o,
	}
}

// overtakenByAnother lets another manager do all that there is to do, right now.
func (m *manager) overtakenByAnother() {
	other := &manager{w: m.w, offset: m.offset}
	other.restart()
	for range 4 {
		_, _, _ = other.reconcile()
	}
}

// reconcile runs the reconciler once. It says whether the manager was killed; then a new one is there.
func (m *manager) reconcile() (result ctrl.Result, dead bool, err error) {
	m.over = false
	defer func() {
		if cause := recover(); cause != nil {
			if _, on := cause.(killed); !on {
				panic(cause)
			}
			dead = true
			m.restart()
		}
	}()
	result, err = m.r.Reconcile(m.w.ctx, ctrl.Request{NamespacedName: m.w.name})
	return result, false, err
}

// errNotQuiet is what is wrong with a manager that does not come to rest.
var errNotQuiet = errors.New("the manager does not come to rest")

// quiet reconciles as a manager does, until nothing is written and nothing failed: what was written wakes it, what failed
// is tried again a second later.
func (m *manager) quiet() error {
	var last error
	for range 12 {
		writes := m.writes
		_, dead, err := m.reconcile()
		if !dead && err == nil && m.writes == writes {
			m.w.oracle.rest()
			return nil
		}
		last = err
		if dead || err != nil {
			m.w.tick(time.Second)
		}
	}
	return fmt.Errorf("%w: %w", errNotQuiet, last)
}

// settle is quiet for the first manager, where anything else is a failure.
func (w *world) settle() {
	w.Helper()
	if err := w.managers[0].quiet(); err != nil {
		w.Fatalf("%v", err)
	}
}

// advance moves the clock. It stops at each moment at which a server would stop to sign, to let it sign just before.
func (w *world) advance(d time.Duration) {
	end := w.now().Add(d)
	for _, at := range w.oracle.moments(w.now(), end) {
		w.clock.SetTime(at)
		w.oracle.step(at)
	}
	w.clock.SetTime(end)
	w.oracle.step(end)
}

func (w *world) tick(d time.Duration) { w.advance(d) }

// observe reads what the API server holds now, and shows it to the servers and the oracle.
func (w *world) observe() {
	s := &state{at: w.now(), configMaps: map[keyring.Publication]*corev1.ConfigMap{}}
	if len(w.within) > 0 {
		w.readOneByOne(s)
	} else {
		w.readAll(s)
	}
	w.decode(s)
	w.history = append(w.history, s)
	for len(w.history) > 2 && w.history[1].at.Before(w.now().Add(-2*w.o.MaxStaleness)) {
		w.history = w.history[1:]
	}
	w.oracle.see(s)
}

func (w *world) readOneByOne(s *state) {
	find := func(o client.Object, namespace, name string) bool {
		err := w.api.Get(w.ctx, client.ObjectKey{Namespace: namespace, Name: name}, o)
		if client.IgnoreNotFound(err) != nil {
			w.Fatalf("read %s: %v", name, err)
		}
		return err == nil
	}
	var key v1alpha1.SigningKey
	var secret, authority corev1.Secret
	if find(&key, w.o.Namespace, w.name.Name) {
		s.key = &key
	}
	if find(&secret, w.o.Namespace, keyring.SecretName(w.name.Name)) {
		s.secret = &secret
	}
	if find(&authority, w.o.CANamespace, keyring.CASecretName(w.name.Name)) {
		s.authority = &authority
	}
	for _, namespace := range w.within {
		var m corev1.ConfigMap
		if find(&m, namespace, w.name.Name+"-keys") {
			s.configMaps[keyring.Publication{Namespace: m.Namespace, Name: m.Name}] = &m
		}
	}
}

// readAll lists, where there is nothing else.
func (w *world) readAll(s *state) {
	var keys v1alpha1.SigningKeyList
	var secrets corev1.SecretList
	var maps corev1.ConfigMapList
	for _, list := range []client.ObjectList{&keys, &secrets, &maps} {
		if err := w.api.List(w.ctx, list); err != nil {
			w.Fatalf("list: %v", err)
		}
	}
	for i := range keys.Items {
		if client.ObjectKeyFromObject(&keys.Items[i]) == w.name {
			s.key = &keys.Items[i]
		}
	}
	for i := range secrets.Items {
		switch client.ObjectKeyFromObject(&secrets.Items[i]) {
		case client.ObjectKey{Namespace: w.o.Namespace, Name: keyring.SecretName(w.name.Name)}:
			s.secret = &secrets.Items[i]
		case client.ObjectKey{Namespace: w.o.CANamespace, Name: keyring.CASecretName(w.name.Name)}:
			s.authority = &secrets.Items[i]
		}
	}
	for i := range maps.Items {
		m := &maps.Items[i]
		s.configMaps[keyring.Publication{Namespace: m.Namespace, Name: m.Name}] = m
	}
}

// decode reads the Secret as servers do.
func (w *world) decode(s *state) {
	switch {
	case s.key == nil:
		s.fault = errors.New("there is no SigningKey")
		return
	case s.secret == nil:
		s.fault = errors.New("there is no Secret")
		return
	}
	version := string(s.secret.UID) + "/" + s.secret.ResourceVersion
	if known := w.decoded[version]; known != nil {
		s.ring, s.fault = known.ring, known.fault
		return
	}
	if s.fault = keyring.OwnedBy(s.key, s.secret, string(s.secret.Type)); s.fault == nil {
		s.ring, s.fault = keyring.Decode(s.secret.Data)
	}
	w.decoded[version] = s
}

func (w *world) state() *state { return w.history[len(w.history)-1] }

// home is the ConfigMap in the system namespace, if it is the SigningKey's.
func (s *state) home() *corev1.ConfigMap {
	if s.key == nil {
		return nil
	}
	m := s.configMaps[keyring.Publication{Namespace: s.key.Namespace, Name: keyring.ConfigMapName(s.key)}]
	if m == nil || keyring.ControlledBy(s.key, m) != nil {
		return nil
	}
	return m
}

// objects are copies of what there is.
func (s *state) objects() []client.Object {
	var out []client.Object
	if s.key != nil {
		out = append(out, s.key)
	}
	for _, secret := range []*corev1.Secret{s.secret, s.authority} {
		if secret != nil {
			out = append(out, secret)
		}
	}
	for _, m := range s.configMaps {
		out = append(out, m)
	}
	return out
}

// create makes the SigningKey.
func (w *world) create(change ...func(*v1alpha1.SigningKey)) {
	w.Helper()
	key := &v1alpha1.SigningKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.name.Namespace, Name: w.name.Name},
		Spec:       v1alpha1.SigningKeySpec{Audiences: []v1alpha1.Audience{v1alpha1.Audience("registry." + w.name.Name)}},
	}
	for _, c := range change {
		c(key)
	}
	if err := w.api.Create(w.ctx, key); err != nil {
		w.Fatalf("create the SigningKey: %v", err)
	}
	w.observe()
}

// author changes the SigningKey as a person does.
func (w *world) author(change func(*v1alpha1.SigningKey)) {
	w.Helper()
	var key v1alpha1.SigningKey
	if err := w.api.Get(w.ctx, w.name, &key); err != nil {
		w.Fatalf("read the SigningKey: %v", err)
	}
	change(&key)
	if err := w.api.Update(w.ctx, &key); err != nil {
		w.Fatalf("change the SigningKey: %v", err)
	}
	w.observe()
}
