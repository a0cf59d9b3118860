package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// acksTimeout is how long a scrape waits for the cache of Leases.
const acksTimeout = time.Second

// keyMetrics tells of the keys. What grows with time, and what servers say, is computed when it is asked for, so that it is
// right though the controller is stuck. Times come from the keys themselves, so that a new manager tells the same.
type keyMetrics struct {
	clock                                                                clock.PassiveClock
	lateness, last, next, signUntil, authorityExpiry, keys, serverLeases *prometheus.Desc

	mu      sync.Mutex
	figures map[string]keyFigures
	acks    func(context.Context) ([]keyring.Ack, error)
}

type keyFigures struct {
	params          keyring.Params
	due, last, next time.Time
	signUntil       time.Time
	authorityUntil  time.Time
	states          map[v1alpha1.KeyState]int
	// ring has of each key its thumbprint and state, and no more.
	ring keyring.Ring
}

// registerKeyMetrics registers the metrics, or returns those that are registered already.
func registerKeyMetrics(registry prometheus.Registerer, c clock.PassiveClock) (*keyMetrics, error) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"signing_key"}, labels...), nil)
	}
	m := &keyMetrics{
		clock: c,
		lateness: desc("tokenwright_key_rotation_lateness_seconds",
			"By how much the rotation by interval is overdue."),
		last: desc("tokenwright_key_last_rotation_timestamp_seconds",
			"When a key began to sign for the last time."),
		next: desc("tokenwright_key_next_rotation_timestamp_seconds",
			"When the next key will sign, as far as it is known."),
		signUntil: desc("tokenwright_key_sign_until_timestamp_seconds",
			"When servers stop to sign with the Active key unless it is replaced before; absent if it has no end."),
		authorityExpiry: desc("tokenwright_certificate_authority_expiry_timestamp_seconds",
			"When the certificate authority ends that certifies keys; absent without one."),
		keys: desc("tokenwright_keys",
			"The number of keys by state.", "state"),
		serverLeases: desc("tokenwright_server_leases",
			"The number of servers whose Leases have not ended, by whether they serve the standby, or without one the Active key.", "acknowledged"),
		figures: map[string]keyFigures{},
	}
	err := registry.Register(m)
	var registered prometheus.AlreadyRegisteredError
	if errors.As(err, &registered) {
		if known, ok := registered.ExistingCollector.(*keyMetrics); ok {
			return known, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("register the metrics of keys: %w", err)
	}
	return m, nil
}

// ask tells where to learn what the servers say.
func (m *keyMetrics) ask(acks func(context.Context) ([]keyring.Ack, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acks = acks
}

func (m *keyMetrics) observe(name string, p keyring.Params, ring keyring.Ring, authorityUntil time.Time) {
	f := keyFigures{
		params: p, due: p.Due(ring), next: p.NextRotation(m.clock.Now(), ring), authorityUntil: authorityUntil,
		states: map[v1alpha1.KeyState]int{
			v1alpha1.KeyPending: 0, v1alpha1.KeyPublished: 0, v1alpha1.KeyActive: 0, v1alpha1.KeyRetired: 0, v1alpha1.KeyRevoked: 0,
		},
	}
	for _, k := range ring.Keys {
		f.states[k.State]++
		if k.Activated.After(f.last) {
			f.last = k.Activated
		}
		f.ring.Keys = append(f.ring.Keys, keyring.Key{Thumbprint: k.Thumbprint, State: k.State})
	}
	active, _ := ring.Active()
	f.signUntil = active.SignUntil
	m.mu.Lock()
	defer m.mu.Unlock()
	m.figures[name] = f
	if p.Deleting {
		m.ends(name)
	}
}

// end says that the SigningKey is being deleted, whatever its keys are. No key follows, and nobody misses one.
func (m *keyMetrics) end(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ends(name)
}

func (m *keyMetrics) ends(name string) {
	if f, ok := m.figures[name]; ok {
		m.figures[name] = keyFigures{params: f.params, last: f.last, states: f.states}
	}
}

func (m *keyMetrics) forget(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.figures, name)
}

// Describe implements prometheus.Collector.
func (m *keyMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.lateness, m.last, m.next, m.signUntil, m.authorityExpiry, m.keys, m.serverLeases} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *keyMetrics) Collect(out chan<- prometheus.Metric) {
	acks, known := m.servers()
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	for name, f := range m.figures {
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{name}, labels...)...)
		}
		late := time.Duration(0)
		if !f.due.IsZero() {
			late = max(0, now.Sub(f.due))
		}
		gauge(m.lateness, late.Seconds())
		for d, at := range map[*prometheus.Desc]time.Time{
			m.last: f.last, m.next: f.next, m.signUntil: f.signUntil, m.authorityExpiry: f.authorityUntil,
		} {
			if !at.IsZero() {
				gauge(d, float64(at.Unix()))
			}
		}
		for state, count := range f.states {
			gauge(m.keys, float64(count), string(state))
		}
		if known && len(f.ring.Keys) > 0 {
			serving, others := f.params.Census(now, f.ring, acks)
			gauge(m.serverLeases, float64(serving), "true")
			gauge(m.serverLeases, float64(others), "false")
		}
	}
}

// servers asks what the servers say, unless this manager does not lead or there is no SigningKey. What is not known is not
// told.
func (m *keyMetrics) servers() ([]keyring.Ack, bool) {
	m.mu.Lock()
	ask, idle := m.acks, len(m.figures) == 0
	m.mu.Unlock()
	if ask == nil || idle {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), acksTimeout)
	defer cancel()
	acks, err := ask(ctx)
	return acks, err == nil
}
