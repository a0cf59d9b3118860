package controllers

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

func TestKeyMetricsTellOfLatenessThoughNothingReconciles(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	clock := clocktesting.NewFakePassiveClock(start)
	registry := prometheus.NewRegistry()
	m, err := registerKeyMetrics(registry, clock)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := registerKeyMetrics(registry, clock); err != nil || again != m {
		t.Fatalf("registered twice: %v", err)
	}
	p, _ := keyring.Compile(&v1alpha1.SigningKey{}, keyring.Limits{})
	m.observe("registry", p, keyring.Ring{Keys: []keyring.Key{
		{State: retired, Activated: start.Add(-interval)}, {State: retired},
		{State: active, Activated: start, SignUntil: start.Add(2 * interval), Algorithm: p.Algorithm, Format: p.Format},
	}}, start.Add(20*interval))
	m.observe("gone", p, keyring.Ring{}, time.Time{})
	m.forget("gone")

	clock.SetTime(start.Add(interval + 90*time.Second))
	got := gathered(t, registry)
	want := map[string]float64{
		"tokenwright_certificate_authority_expiry_timestamp_seconds registry": 1_751_840_000,
		"tokenwright_key_last_rotation_timestamp_seconds registry":            1_700_000_000,
		"tokenwright_key_next_rotation_timestamp_seconds registry":            1_702_592_000,
		"tokenwright_key_rotation_lateness_seconds registry":                  90,
		"tokenwright_key_sign_until_timestamp_seconds registry":               1_705_184_000,
		"tokenwright_keys registry Active":                                    1,
		"tokenwright_keys registry Pending":                                   0,
		"tokenwright_keys registry Published":                                 0,
		"tokenwright_keys registry Retired":                                   2,
		"tokenwright_keys registry Revoked":                                   0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// gathered are the values of all gauges and counters by their names and the values of their labels.
func gathered(t *testing.T, registry prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			out[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue() // a metric is one of them
		}
	}
	return out
}

func TestMetricsTellWhoServesTheStandby(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	clock := clocktesting.NewFakePassiveClock(start)
	registry := prometheus.NewRegistry()
	m, err := registerKeyMetrics(registry, clock)
	if err != nil {
		t.Fatal(err)
	}
	var failure error
	m.ask(func(context.Context) ([]keyring.Ack, error) {
		return []keyring.Ack{
			{Until: start.Add(time.Hour), Serves: []string{"a", "b"}}, {Until: start.Add(2 * time.Hour), Serves: []string{"a"}},
			{Until: start.Add(2 * time.Hour)},
		}, failure
	})
	serving := func() map[string]float64 {
		got := gathered(t, registry)
		maps.DeleteFunc(got, func(name string, _ float64) bool { return !strings.HasPrefix(name, "tokenwright_server_leases") })
		return got
	}
	if got := serving(); len(got) > 0 {
		t.Errorf("without a SigningKey: %v", got)
	}
	m.observe("registry", keyring.Params{}, keyring.Ring{Keys: []keyring.Key{
		{Thumbprint: "a", State: active}, {Thumbprint: "b", State: pending},
	}}, time.Time{})
	want := map[string]float64{"tokenwright_server_leases false registry": 2, "tokenwright_server_leases true registry": 1}
	if diff := cmp.Diff(want, serving()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	clock.SetTime(start.Add(90 * time.Minute))
	want["tokenwright_server_leases true registry"] = 0
	if diff := cmp.Diff(want, serving()); diff != "" {
		t.Errorf("once a Lease has ended, though nothing reconciles (-want +got):\n%s", diff)
	}
	failure = errors.New("the cache is not there")
	if got := serving(); len(got) > 0 {
		t.Errorf("what is not known is not told: %v", got)
	}
}

// A manager that has just started knows nothing but what the Secrets say.
func TestMetricsAreTheSameAfterARestart(t *testing.T) {
	b := newKeyBench(t, "metrics")
	key := b.signingKey("registry")
	b.reconcile(key)
	b.after(interval, key)
	b.clock.SetTime(b.clock.Now().Add(time.Hour))
	figures := func() map[string]float64 {
		registry := prometheus.NewRegistry()
		var err error
		if b.r.metrics, err = registerKeyMetrics(registry, b.clock); err != nil {
			t.Fatal(err)
		}
		b.reconcile(key)
		return gathered(t, registry)
	}
	first := figures()
	at := func(d time.Duration) float64 {
		return float64(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(d).Unix())
	}
	want := map[string]float64{
		"tokenwright_key_last_rotation_timestamp_seconds registry": at(interval),
		"tokenwright_key_next_rotation_timestamp_seconds registry": at(2 * interval),
		"tokenwright_key_sign_until_timestamp_seconds registry":    at(3 * interval),
		"tokenwright_keys registry Published":                      1,
	}
	for name, value := range want {
		if diff := cmp.Diff(value, first[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if first["tokenwright_certificate_authority_expiry_timestamp_seconds registry"] < at(10*365*24*time.Hour) {
		t.Error("the authority's end is not told")
	}
	b.clock.SetTime(b.clock.Now().Add(time.Minute))
	if diff := cmp.Diff(first, figures()); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
}
