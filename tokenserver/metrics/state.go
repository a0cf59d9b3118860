package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stateCollector reads the snapshot when somebody scrapes, so that the request path pays nothing for the gauges.
type stateCollector struct {
	state func() State
	now   func() time.Time
}

var (
	ageDesc = describe("snapshot_age_seconds",
		"Seconds since the snapshot that requests are decided by was built. It grows while nothing changes.")
	policiesDesc  = describe("policies", "Policies in the snapshot.")
	resourcesDesc = describe("protected_resources", "ProtectedResources that are served.")
	approvalsDesc = describe("approvals", "Owners of ProtectedResources, and approved PermissionRequests, that policies are asked about.")
	keysDesc      = describe("keys", "Public keys in the JWKS.")
	providersDesc = describe("identity_providers", "IdentityProviders that serve.")
	signingDesc   = describe("signing_keys", "SigningKeys, by whether anything can be signed with them.", "usable")
	keptDesc      = describe("kept_key_sets", "SigningKeys that are served from memory because their Secret is lost or damaged.")
	buildsDesc    = describe("snapshots_built_total", "Snapshots built.")
	buildTimeDesc = describe("snapshot_build_seconds", "How long the last snapshot took to build.")
	watchDesc     = describe("watch_errors_total", "Lists and watches that failed.")
	viewDesc      = describe("view_age_seconds",
		"Seconds since what the server sees of the cluster was last confirmed to be current. At --max-staleness it stops to sign.")
	fencedDesc = describe("fenced", "1 if the server does not sign because its view of the cluster is too old, 0 if not.")
	leaseDesc  = describe("lease_renewal_failures_total", "Attempts to renew the server's Lease that failed.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		ageDesc, policiesDesc, resourcesDesc, approvalsDesc, keysDesc, providersDesc, signingDesc, keptDesc, buildsDesc, buildTimeDesc, watchDesc,
		viewDesc, fencedDesc, leaseDesc, fetchesDesc, keysAgeDesc,
	} {
		out <- desc
	}
}

// Collect implements prometheus.Collector. A snapshot that was never built has no age.
func (c *stateCollector) Collect(out chan<- prometheus.Metric) {
	state := c.state()
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	if !state.BuiltAt.IsZero() {
		send(ageDesc, prometheus.GaugeValue, c.now().Sub(state.BuiltAt).Seconds())
	}
	send(policiesDesc, prometheus.GaugeValue, float64(state.Policies))
	send(resourcesDesc, prometheus.GaugeValue, float64(state.Resources))
	send(approvalsDesc, prometheus.GaugeValue, float64(state.Approvals))
	send(keysDesc, prometheus.GaugeValue, float64(state.Keys))
	send(providersDesc, prometheus.GaugeValue, float64(state.Providers))
	send(signingDesc, prometheus.GaugeValue, float64(state.UsableSigningKeys), "true")
	send(signingDesc, prometheus.GaugeValue, float64(state.UnusableSigningKeys), "false")
	send(keptDesc, prometheus.GaugeValue, float64(state.KeptKeySets))
	send(buildsDesc, prometheus.CounterValue, float64(state.Builds))
	send(buildTimeDesc, prometheus.GaugeValue, state.BuildTime.Seconds())
	send(watchDesc, prometheus.CounterValue, float64(state.WatchErrors))
	if state.Confirmed {
		send(viewDesc, prometheus.GaugeValue, state.ViewAge.Seconds())
	}
	fenced := 0.0
	if state.Fenced {
		fenced = 1
	}
	send(fencedDesc, prometheus.GaugeValue, fenced)
	send(leaseDesc, prometheus.CounterValue, float64(state.LeaseFailures))
	collectIssuers(out, state.Issuers, c.now())
}
