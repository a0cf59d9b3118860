package issue

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// asking is a policy that lets alice pull from team-a if the expression holds.
func asking(name, expression string) *v1alpha1.ClusterAccessPolicy {
	return fixture.Cluster(name, users("alice"), fixture.Repositories("team-a/**", "pull"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
		spec.When = &v1alpha1.When{Expression: expression}
	})
}

// counted returns the counter's lines as Prometheus reads them.
func counted(i *Issuer) string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(i.Metrics.Registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var lines strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if rest, ok := strings.CutPrefix(line, "tokenwright_server_policy_expression_failures_total"); ok {
			lines.WriteString(rest)
		}
	}
	return lines.String()
}

// logging returns a log and what was written to it.
func logging() (logr.Logger, func() []string) {
	var lines []string
	log := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	return logr.New(log.GetSink()), func() []string { return lines }
}

// TestFailedExpressionsAreFound shows where a person sees that the expression of a policy gives no answer, and of which.
func TestFailedExpressionsAreFound(t *testing.T) {
	const dear = "subject.groups.all(g, g != 'x' && g != 'y')"
	policies := []*v1alpha1.ClusterAccessPolicy{
		asking("answers", "false"), asking("fails", "subject.extra['ref'][0] == 'x'"), asking("loops", dear+" && "+dear+" && "+dear),
	}
	for n := range 5 {
		policies = append(policies, asking(fmt.Sprint("spends-", n), dear+fmt.Sprintf(" && audience != 'x%d'", n)))
	}
	from := world(t, policies...)
	i, read := issuer(t)
	log, lines := logging()
	i.Explain, i.Log = true, log
	if _, err := i.Registry(request(t, from, crowd(), "repository:team-a/app:pull")); err != nil {
		t.Fatal(err)
	}
	want := `{reason="budget"} 2
{reason="cost_limit"} 1
{reason="error"} 1
`
	if diff := cmp.Diff(want, counted(i)); diff != "" {
		t.Errorf("metric (-want +got):\n%s", diff)
	}
	said := func(name, reason, more string) string {
		return fmt.Sprintf(`"level"=0 "msg"="The expression of a policy gave no answer" "policy"=%q "reason"=%q "requestID"="r1"%s`,
			"ClusterAccessPolicy/"+name, reason, more)
	}
	// loops was given up at 10,000 units: it is the dearest.
	wantLines := []string{
		said("fails", "error", ""), said("loops", "cost_limit", ""),
		said("spends-3", "budget", ` "dearest"="ClusterAccessPolicy/loops"`), said("spends-4", "budget", ` "dearest"="ClusterAccessPolicy/loops"`),
	}
	if diff := cmp.Diff(wantLines, lines()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	wantFailed := []audit.Failed{
		{Policy: "ClusterAccessPolicy/fails", Reason: "error"}, {Policy: "ClusterAccessPolicy/loops", Reason: "cost_limit"},
		{Policy: "ClusterAccessPolicy/spends-3", Reason: "budget"}, {Policy: "ClusterAccessPolicy/spends-4", Reason: "budget"},
	}
	if diff := cmp.Diff(wantFailed, read().Failed); diff != "" {
		t.Errorf("audit record (-want +got):\n%s", diff)
	}
}

// TestAuditRecordNamesNoFailureUnasked holds that the record stays as it is without --audit-explain.
func TestAuditRecordNamesNoFailureUnasked(t *testing.T) {
	from := world(t, asking("fails", "subject.extra['ref'][0] == 'x'"))
	i, read := issuer(t)
	if _, err := i.Registry(request(t, from, alice(), "repository:team-a/app:pull")); err != nil {
		t.Fatal(err)
	}
	if got := read().Failed; got != nil {
		t.Errorf("the record names %v", got)
	}
}

// TestFailuresDoNotFloodTheLog is the caller who asks again and again, and the tenant who has a thousand such policies.
func TestFailuresDoNotFloodTheLog(t *testing.T) {
	log, lines := logging()
	i, _ := issuer(t)
	i.Log = log
	tell := func(at time.Time, names ...string) {
		var policies []*v1alpha1.ClusterAccessPolicy
		for _, name := range names {
			policies = append(policies, asking(name, "subject.extra['"+name+"'][0] == 'x'"))
		}
		r := request(t, world(t, policies...), alice(), "repository:team-a/app:pull")
		r.Time = at
		if _, err := i.decide(r, registryToken{}); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		reason string
		at     time.Duration
		names  []string
		want   int
	}{
		{"the first time", 0, []string{"a"}, 1},
		{"the same again", time.Second, []string{"a"}, 1},
		{"another", time.Second, []string{"a", "b"}, 2},
		{"after a while", tellAgain + time.Second, []string{"a"}, 3},
	}
	for _, s := range steps {
		tell(now.Add(s.at), s.names...)
		if got := len(lines()); got != s.want {
			t.Errorf("%s: %d lines, want %d: %v", s.reason, got, s.want, lines())
		}
	}
	for n := range 2 * maxTold {
		tell(now.Add(tellAgain+time.Minute), fmt.Sprint("n", n))
	}
	if got := len(lines()); got > maxTold+3 {
		t.Errorf("%d lines within %s", got, tellAgain)
	}
	if got := len(i.told.at); got > maxTold {
		t.Errorf("%d policies are remembered", got)
	}
	before := len(lines())
	tell(now.Add(3*tellAgain), "late")
	if len(lines()) != before+1 {
		t.Errorf("after the flood nobody is told any more")
	}
}

// TestNamesOfPoliciesTellKindsApart is a tenant's policy with the name of one of the platform's.
func TestNamesOfPoliciesTellKindsApart(t *testing.T) {
	got := []string{
		refText(policy.Ref{Kind: policy.KindClusterAccessPolicy, Name: "a"}),
		refText(policy.Ref{Kind: policy.KindAccessPolicy, Namespace: "team-a", Name: "a"}),
	}
	if diff := cmp.Diff([]string{"ClusterAccessPolicy/a", "AccessPolicy/team-a/a"}, got); diff != "" {
		t.Error(diff)
	}
}
