package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func TestMetrics(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	m := New("v1", func() State {
		return State{BuiltAt: now.Add(-time.Minute), Policies: 7, Resources: 6, Approvals: 8, Keys: 2, Providers: 1, UsableSigningKeys: 3, UnusableSigningKeys: 1,
			KeptKeySets: 1, Builds: 5, BuildTime: 250 * time.Millisecond, WatchErrors: 2,
			ViewAge: 90 * time.Second, Confirmed: true, Fenced: true, LeaseFailures: 4,
			Issuers: []Issuer{{Provider: "gitlab", Fetches: 3, Failures: 1, Fetched: now.Add(-2 * time.Minute)}, {Provider: "down", Failures: 5}}}
	}, func() time.Time { return now })
	m.Request("token", "anonymous", 200, time.Millisecond)
	m.Request("token", "none", 413, time.Millisecond)
	m.Panic("token")
	m.Token("anonymous", "registry.example.com")
	m.Authentication("none", AuthenticationOK)
	m.ExpressionFailures("budget", 3)
	m.AuditFailure()
	m.AuditDropped()

	want := `
tokenwright_server_approvals 8
tokenwright_server_audit_dropped_total 1
tokenwright_server_audit_failures_total 1
tokenwright_server_authentications_total{method="none",result="ok"} 1
tokenwright_server_authentications_total{method="unknown",result="limited"} 0
tokenwright_server_fenced 1
tokenwright_server_identity_providers 1
tokenwright_server_issuer_key_fetches_total{identity_provider="down",result="failed"} 5
tokenwright_server_issuer_key_fetches_total{identity_provider="down",result="ok"} 0
tokenwright_server_issuer_key_fetches_total{identity_provider="gitlab",result="failed"} 1
tokenwright_server_issuer_key_fetches_total{identity_provider="gitlab",result="ok"} 3
tokenwright_server_issuer_keys_age_seconds{identity_provider="gitlab"} 120
tokenwright_server_kept_key_sets 1
tokenwright_server_keys 2
tokenwright_server_lease_renewal_failures_total 4
tokenwright_server_panics_total{endpoint="token"} 1
tokenwright_server_policies 7
tokenwright_server_policy_expression_failures_total{reason="budget"} 3
tokenwright_server_policy_expression_failures_total{reason="cost_limit"} 0
tokenwright_server_policy_expression_failures_total{reason="error"} 0
tokenwright_server_protected_resources 6
tokenwright_server_requests_total{code="200",endpoint="token",grant="anonymous"} 1
tokenwright_server_requests_total{code="413",endpoint="token",grant="none"} 1
tokenwright_server_signing_keys{usable="false"} 1
tokenwright_server_signing_keys{usable="true"} 3
tokenwright_server_snapshot_age_seconds 60
tokenwright_server_snapshot_build_seconds 0.25
tokenwright_server_snapshots_built_total 5
tokenwright_server_tokens_issued_total{audience="registry.example.com",grant="anonymous"} 1
tokenwright_server_view_age_seconds 90
tokenwright_server_watch_errors_total 2
`
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), scrape(t, m)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASnapshotThatWasNeverBuiltHasNoAge(t *testing.T) {
	m := New("v1", func() State { return State{} }, time.Now)
	if got := scrape(t, m); strings.Contains(got, "_age_seconds") {
		t.Errorf("an age of 50 years raises every alert:\n%s", got)
	}
}

func TestLatencyIsCountedForEachEndpoint(t *testing.T) {
	m := New("v1", func() State { return State{} }, time.Now)
	m.Request("token", "basic", http.StatusOK, 3*time.Millisecond)
	m.Request("token", "basic", http.StatusUnauthorized, 5*time.Millisecond)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`tokenwright_server_request_duration_seconds_count{endpoint="token"} 2`,
		`tokenwright_server_request_duration_seconds_sum{endpoint="token"} 0.008`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("no line %q in\n%s", want, w.Body)
		}
	}
}

// scrape returns the server's own metrics without what describes them, and without the histogram.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var own strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, namespace) && !strings.HasPrefix(line, namespace+"_request_duration") {
			own.WriteString(line)
		}
	}
	return own.String()
}
