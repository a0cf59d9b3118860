package controllers

import (
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
		{State: active, Activated: start, Algorithm: p.Algorithm, Format: p.Format}, {State: retired}, {State: retired},
	}})
	m.observe("gone", p, keyring.Ring{})
	m.forget("gone")

	clock.SetTime(start.Add(interval + 90*time.Second))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = metric.GetGauge().GetValue()
		}
	}
	want := map[string]float64{
		"tokenwright_key_next_rotation_timestamp_seconds registry": 1_702_592_000,
		"tokenwright_key_rotation_lateness_seconds registry":       90,
		"tokenwright_keys registry Active":                         1,
		"tokenwright_keys registry Pending":                        0,
		"tokenwright_keys registry Published":                      0,
		"tokenwright_keys registry Retired":                        2,
		"tokenwright_keys registry Revoked":                        0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
