// Package metrics counts what the token server does. It owns the names of the server's metrics and keeps every label
// within a fixed set: what a client sends never becomes a label. It does not own the manager's metrics, such as the
// lateness of rotations.
package metrics

import (
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

const namespace = "tokenwright_server"

// Results of authentications.
const (
	AuthenticationOK          = "ok"
	AuthenticationRefused     = "refused"
	AuthenticationLimited     = "limited"
	AuthenticationUnavailable = "unavailable"
)

// Metrics are the server's counters, in a registry of their own.
type Metrics struct {
	Registry *prometheus.Registry

	requests        *prometheus.CounterVec
	latency         *prometheus.HistogramVec
	panics          *prometheus.CounterVec
	tokens          *prometheus.CounterVec
	authentications *prometheus.CounterVec
	expressions     *prometheus.CounterVec
	auditFailures   prometheus.Counter
	auditDropped    prometheus.Counter

	knownRequests        known[requestLabels, prometheus.Counter]
	knownLatencies       known[string, prometheus.Observer]
	knownTokens          known[pair, prometheus.Counter]
	knownAuthentications known[pair, prometheus.Counter]
}

// State is what the gauges read, at the time of a scrape.
type State struct {
	// BuiltAt is when the snapshot was built; zero before the first.
	BuiltAt time.Time
	// Policies, Keys in the JWKS and Providers are what the snapshot holds.
	Policies, Keys, Providers int
	// Resources are the ProtectedResources that are served, Approvals what owners and those who asked them have by that.
	Resources, Approvals int
	// UsableSigningKeys can sign; UnusableSigningKeys cannot.
	UsableSigningKeys, UnusableSigningKeys int
	// KeptKeySets are served from memory, because their Secret is lost or damaged.
	KeptKeySets int
	// Builds is how many snapshots were built, and BuildTime how long the last took.
	Builds    uint64
	BuildTime time.Duration
	// WatchErrors is how often a list or watch failed.
	WatchErrors uint64
	// ViewAge is how long ago the view of the cluster was last confirmed, if Confirmed; Fenced says that it is too long.
	ViewAge   time.Duration
	Confirmed bool
	Fenced    bool
	// LeaseFailures is how often the server's Lease could not be renewed.
	LeaseFailures uint64
	// Issuers are those that providers of type jwt name.
	Issuers []Issuer
}

// New returns metrics whose gauges read the state, at the time that now returns.
func New(version string, state func() State, now func() time.Time) *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		requests: counters("requests_total", "Requests, by endpoint, grant and HTTP status.", "endpoint", "grant", "code"),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "request_duration_seconds", Help: "Time from the header to the answer, by endpoint.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"endpoint"}),
		panics:          counters("panics_total", "Requests that ended in a panic, by endpoint.", "endpoint"),
		tokens:          counters("tokens_issued_total", "Tokens sent, by grant and audience.", "grant", "audience"),
		authentications: counters("authentications_total", "Attempts to prove who asks, by method and result.", "method", "result"),
		expressions: counters("policy_expression_failures_total",
			"Expressions of policies that gave no answer, so that an Allow did not match and a Deny did, by reason.", "reason"),
		auditFailures: counter("audit_failures_total", "Tokens that were not sent because their audit record could not be written."),
		auditDropped:  counter("audit_dropped_total", "Audit records of refusals that were dropped."),
	}
	for _, reason := range policy.FailureReasons() {
		m.expressions.WithLabelValues(string(reason)) // a counter that begins with its first failure has no increase
	}
	m.authentications.WithLabelValues("unknown", AuthenticationLimited) // likewise
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "tokenwright", Name: "build_info", Help: "Always 1; the labels say what was built.",
	}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.Registry.MustRegister(m.requests, m.latency, m.panics, m.tokens, m.authentications, m.expressions, m.auditFailures,
		m.auditDropped, build,
		&stateCollector{state: state, now: now},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

// Request counts one request that has been answered.
func (m *Metrics) Request(endpoint, grant string, status int, took time.Duration) {
	m.knownRequests.get(requestLabels{endpoint, grant, status}, func() prometheus.Counter {
		return m.requests.WithLabelValues(endpoint, grant, strconv.Itoa(status))
	}).Inc()
	m.knownLatencies.get(endpoint, func() prometheus.Observer { return m.latency.WithLabelValues(endpoint) }).Observe(took.Seconds())
}

type requestLabels struct {
	endpoint, grant string
	status          int
}

type pair struct{ first, second string }

// Panic counts a request whose handler panicked.
func (m *Metrics) Panic(endpoint string) { m.panics.WithLabelValues(endpoint).Inc() }

// Token counts a token that was sent. The audience is one that a SigningKey holds.
func (m *Metrics) Token(grant, audience string) {
	m.knownTokens.get(pair{grant, audience}, func() prometheus.Counter { return m.tokens.WithLabelValues(grant, audience) }).Inc()
}

// Authentication counts an attempt to prove who asks. The method of a failed attempt is not known.
func (m *Metrics) Authentication(method, result string) {
	m.knownAuthentications.get(pair{method, result}, func() prometheus.Counter {
		return m.authentications.WithLabelValues(method, result)
	}).Inc()
}

// ExpressionFailures counts evaluations of policies' expressions that gave no answer.
func (m *Metrics) ExpressionFailures(reason policy.FailureReason, n int) {
	m.expressions.WithLabelValues(string(reason)).Add(float64(n))
}

// AuditFailure counts a token that was not sent because its record could not be written.
func (m *Metrics) AuditFailure() { m.auditFailures.Inc() }

// AuditDropped counts a record of a refusal that was dropped.
func (m *Metrics) AuditDropped() { m.auditDropped.Inc() }
