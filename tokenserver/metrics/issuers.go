package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Issuer is how the keys of an external issuer are had.
type Issuer struct {
	// Provider is the IdentityProvider that names the issuer.
	Provider string
	// Fetches is how often the keys were fetched, and Failures how often they could not be, since the provider changed last.
	Fetches, Failures uint64
	// Fetched is when they last were; zero if they never were.
	Fetched time.Time
}

var (
	fetchesDesc = describe("issuer_key_fetches_total",
		"Fetches of an external issuer's keys, by IdentityProvider and result.", "identity_provider", "result")
	keysAgeDesc = describe("issuer_keys_age_seconds",
		"Seconds since an external issuer's keys were fetched, by IdentityProvider. After an hour they do not count any more.", "identity_provider")
)

// Results of fetches.
const (
	fetchOK     = "ok"
	fetchFailed = "failed"
)

// collectIssuers tells of providers that are there: one that is gone takes its series along.
func collectIssuers(out chan<- prometheus.Metric, issuers []Issuer, now time.Time) {
	for _, i := range issuers {
		out <- prometheus.MustNewConstMetric(fetchesDesc, prometheus.CounterValue, float64(i.Fetches), i.Provider, fetchOK)
		out <- prometheus.MustNewConstMetric(fetchesDesc, prometheus.CounterValue, float64(i.Failures), i.Provider, fetchFailed)
		if !i.Fetched.IsZero() {
			out <- prometheus.MustNewConstMetric(keysAgeDesc, prometheus.GaugeValue, now.Sub(i.Fetched).Seconds(), i.Provider)
		}
	}
}
