package controllers

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// keyMetrics tells of the keys. Lateness is computed when it is asked for, so that it grows though the controller is
// stuck.
type keyMetrics struct {
	clock                clock.PassiveClock
	lateness, next, keys *prometheus.Desc

	mu      sync.Mutex
	figures map[string]keyFigures
}

type keyFigures struct {
	due, next time.Time
	states    map[v1alpha1.KeyState]int
}

// registerKeyMetrics registers the metrics, or returns those that are registered already.
func registerKeyMetrics(registry prometheus.Registerer, c clock.PassiveClock) (*keyMetrics, error) {
	m := &keyMetrics{
		clock: c,
		lateness: prometheus.NewDesc("tokenwright_key_rotation_lateness_seconds",
			"By how much the rotation by interval is overdue.", []string{"signing_key"}, nil),
		next: prometheus.NewDesc("tokenwright_key_next_rotation_timestamp_seconds",
			"When the next key will sign, as far as it is known.", []string{"signing_key"}, nil),
		keys: prometheus.NewDesc("tokenwright_keys",
			"The number of keys by state.", []string{"signing_key", "state"}, nil),
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

func (m *keyMetrics) observe(name string, p keyring.Params, ring keyring.Ring) {
	f := keyFigures{due: p.Due(ring), next: p.NextRotation(m.clock.Now(), ring), states: map[v1alpha1.KeyState]int{
		v1alpha1.KeyPending: 0, v1alpha1.KeyPublished: 0, v1alpha1.KeyActive: 0, v1alpha1.KeyRetired: 0, v1alpha1.KeyRevoked: 0,
	}}
	for _, k := range ring.Keys {
		f.states[k.State]++
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.figures[name] = f
}

func (m *keyMetrics) forget(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.figures, name)
}

// Describe implements prometheus.Collector.
func (m *keyMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.lateness
	out <- m.next
	out <- m.keys
}

// Collect implements prometheus.Collector.
func (m *keyMetrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, f := range m.figures {
		late := time.Duration(0)
		if !f.due.IsZero() {
			late = max(0, m.clock.Now().Sub(f.due))
		}
		out <- prometheus.MustNewConstMetric(m.lateness, prometheus.GaugeValue, late.Seconds(), name)
		if !f.next.IsZero() {
			out <- prometheus.MustNewConstMetric(m.next, prometheus.GaugeValue, float64(f.next.Unix()), name)
		}
		for state, count := range f.states {
			out <- prometheus.MustNewConstMetric(m.keys, prometheus.GaugeValue, float64(count), name, string(state))
		}
	}
}
