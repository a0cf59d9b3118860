package tokenserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/observe"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// slow is an Authenticator that waits to be released.
type slow struct {
	entered chan struct{}
	release chan struct{}
}

func (s slow) Authenticate(context.Context, *snapshot.Snapshot, identity.Credentials, time.Time) (caller.Caller, error) {
	s.entered <- struct{}{}
	<-s.release
	return caller.Anonymous(), nil
}

func (r *running) probe(t testing.TB, path string) reply {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, r.health+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.do(t, request)
}

func TestReadyWhenTheObserverIs(t *testing.T) {
	var ready atomic.Bool
	r := start(t, func(_ *Options, parts *Parts) {
		parts.Observer = observer{ready: func() error {
			if ready.Load() {
				return nil
			}
			return errors.New("AccessPolicy has not synced")
		}}
	})
	if got := r.probe(t, "/healthz"); got.status != http.StatusOK {
		t.Errorf("healthz = %d: a server that waits is alive", got.status)
	}
	if got := r.probe(t, "/readyz"); got.status != http.StatusServiceUnavailable || !strings.Contains(string(got.body), "AccessPolicy has not synced") {
		t.Errorf("readyz = %d %s", got.status, got.body)
	}
	for _, path := range []string{"/token", "/.well-known/jwks.json"} {
		got := ask{path: path, query: asking()}.send(t, r)
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("%s answered %d before everything was seen: a Deny may be missing, or a key", path, got.status)
		}
	}
	ready.Store(true)
	if got := r.probe(t, "/readyz"); got.status != http.StatusOK {
		t.Errorf("readyz = %d %s", got.status, got.body)
	}
	if got := r.get(t, "", "", asking()); got.status != http.StatusOK {
		t.Errorf("token = %d %s", got.status, got.body)
	}
}

func TestHealthSaysWhatIsWrong(t *testing.T) {
	var wrong atomic.Bool
	r := start(t, func(_ *Options, parts *Parts) {
		parts.Condition = func() error {
			if wrong.Load() {
				return errors.New("the last good manifests are in force")
			}
			return nil
		}
		parts.Collector = prometheus.NewGauge(prometheus.GaugeOpts{Name: "of_a_part"})
	})
	if got := r.probe(t, "/healthz"); got.status != http.StatusOK || string(got.body) != "ok\n" {
		t.Errorf("healthz = %d %s", got.status, got.body)
	}
	wrong.Store(true)
	if got := r.probe(t, "/healthz"); got.status != http.StatusOK || !strings.Contains(string(got.body), "the last good manifests are in force") {
		t.Errorf("healthz = %d %s: a restart would not find better ones", got.status, got.body)
	}
	if got := r.probe(t, "/readyz"); got.status != http.StatusOK {
		t.Errorf("readyz = %d: requests are answered", got.status)
	}
	if body := string(r.probe(t, "/metrics").body); !strings.Contains(body, "of_a_part 0\n") {
		t.Error("the metrics of the part are missing")
	}
}

// leaseOf is a Lease that tells what is done with it.
type leaseOf struct {
	ready func() error
	ended chan struct{}
}

func (l leaseOf) Start(ctx context.Context) error {
	<-ctx.Done()
	close(l.ended)
	return nil
}
func (l leaseOf) Ready() error   { return l.ready() }
func (leaseOf) Failures() uint64 { return 3 }

func TestReadyWhenTheLeaseIs(t *testing.T) {
	var ready atomic.Bool
	fence := snapshot.NewFence(time.Hour)
	r := start(t, func(_ *Options, parts *Parts) {
		parts.Fence, parts.Lease = fence, leaseOf{ended: make(chan struct{}), ready: func() error {
			if ready.Load() {
				return nil
			}
			return errors.New("leases is forbidden")
		}}
	})
	if got := r.probe(t, "/readyz"); got.status != http.StatusServiceUnavailable || !strings.Contains(string(got.body), "leases is forbidden") {
		t.Errorf("readyz = %d %s", got.status, got.body)
	}
	for _, path := range []string{"/token", "/.well-known/jwks.json"} {
		if got := (ask{path: path, query: asking()}).send(t, r); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "1" {
			t.Errorf("%s answered %d before anybody knew what is served here", path, got.status)
		}
	}
	if body := string(r.probe(t, "/metrics").body); strings.Contains(body, "view_age_seconds ") || !strings.Contains(body, "server_fenced 1\n") {
		t.Error("a view that was never confirmed has an age, or signs")
	}
	fence.Confirm(time.Now())
	ready.Store(true)
	if got := r.probe(t, "/readyz"); got.status != http.StatusOK {
		t.Errorf("readyz = %d %s", got.status, got.body)
	}
	if got := r.get(t, "", "", asking()); got.status != http.StatusOK {
		t.Errorf("token = %d %s", got.status, got.body)
	}
	if body := string(r.probe(t, "/metrics").body); !strings.Contains(body, "server_fenced 0\n") || !strings.Contains(body, "lease_renewal_failures_total 3\n") {
		t.Error("the metrics do not tell")
	}
}

// TestBehindTheFence is a server whose view got too old while it ran.
func TestBehindTheFence(t *testing.T) {
	fence := snapshot.NewFence(time.Hour)
	fence.Confirm(time.Now().Add(-time.Hour))
	r := start(t, func(_ *Options, parts *Parts) { parts.Fence = fence })
	got := r.get(t, "", "", asking())
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "5" || strings.Contains(string(got.body), "confirmed") {
		t.Errorf("%d, Retry-After %q, %s: the cause is for the log", got.status, got.header.Get("Retry-After"), got.body)
	}
	checkProblem(t, ask{}, got)
	if got := r.get(t, "alice", "wrong", asking()); got.status != http.StatusUnauthorized {
		t.Errorf("a wrong password is answered with %d", got.status)
	}
	if got := (ask{path: "/.well-known/jwks.json"}).send(t, r); got.status != http.StatusOK || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the keys: %d, %q", got.status, got.header.Get("Cache-Control"))
	}
	if got := r.probe(t, "/readyz"); got.status != http.StatusOK {
		t.Errorf("readyz = %d: without an API server all would be taken out, and the keys would be gone", got.status)
	}
}

func TestTheLeaseIsReleasedAfterTheLastRequest(t *testing.T) {
	s := slow{entered: make(chan struct{}), release: make(chan struct{})}
	ended := make(chan struct{})
	r := start(t, func(_ *Options, parts *Parts) {
		parts.Authenticator, parts.Lease = s, leaseOf{ready: func() error { return nil }, ended: ended}
	})
	answered := make(chan reply)
	go func() { answered <- r.get(t, "", "", asking()) }()
	<-s.entered
	r.stop()
	waitFor(t, "readyz says that the server is going", func() bool { return r.probe(t, "/readyz").status == http.StatusServiceUnavailable })
	select {
	case <-ended:
		t.Error("the Lease was given up while a request may still be signed")
	case <-time.After(50 * time.Millisecond):
	}
	close(s.release)
	<-answered
	if err := <-r.ended; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	<-ended
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	s := slow{entered: make(chan struct{}), release: make(chan struct{})}
	r := start(t, func(_ *Options, parts *Parts) { parts.Authenticator = s })
	answered := make(chan reply)
	go func() { answered <- r.get(t, "", "", asking()) }()
	<-s.entered
	r.stop()
	waitFor(t, "readyz says that the server is going", func() bool {
		got := r.probe(t, "/readyz")
		return got.status == http.StatusServiceUnavailable && strings.Contains(string(got.body), "shutting down")
	})
	waitFor(t, "new connections are refused", func() bool {
		response, err := r.client.Get(r.url + "/.well-known/jwks.json")
		if err == nil {
			response.Body.Close()
		}
		return err != nil
	})
	close(s.release)
	if got := <-answered; got.status != http.StatusOK {
		t.Errorf("the request under way got %d %s", got.status, got.body)
	}
	if err := <-r.ended; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if log := readFile(t, r.auditFile); strings.Count(log, "\n") != 1 {
		t.Errorf("audit log = %q", log)
	}
}

func TestShutdownDoesNotWaitForEver(t *testing.T) {
	s := slow{entered: make(chan struct{}), release: make(chan struct{})}
	defer close(s.release)
	r := start(t, func(options *Options, parts *Parts) {
		options.ShutdownTimeout, parts.Authenticator = 50*time.Millisecond, s
	})
	go r.client.Get(r.url + "/token?service=" + service) //nolint:errcheck // it is cut off
	<-s.entered
	r.stop()
	select {
	case err := <-r.ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Serve returned %v: that requests were cut off should be said", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server waited for a request that does not end")
	}
}

func TestAPortThatIsTakenIsAnError(t *testing.T) {
	taken := listenHere(t)
	defer taken.Close()
	options := Options{
		Namespace: "n", Issuer: issuerName, Listen: taken.Addr().String(), HealthListen: "127.0.0.1:0",
		AuditFile: filepath.Join(t.TempDir(), "audit.log"),
	}
	err := Serve(context.Background(), options, Parts{Snapshots: &snapshot.Holder{}, Observer: observer{}})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("err = %v", err)
	}
}

func TestAnObserverThatFailsEndsTheServer(t *testing.T) {
	broken := errors.New("the cache could not start")
	r := start(t, func(_ *Options, parts *Parts) { parts.Observer = failing{broken} })
	select {
	case err := <-r.ended:
		if !errors.Is(err, broken) {
			t.Errorf("Serve returned %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server went on without anything that keeps its snapshot")
	}
}

type failing struct{ err error }

func (f failing) Start(context.Context) error { return f.err }
func (f failing) Ready() error                { return f.err }
func (f failing) Stats() observe.Stats        { return observe.Stats{} }

// TestABlockedAuditLog has the audit log in a pipe that nobody reads.
func TestABlockedAuditLog(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "audit.pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	// The pipe takes some 64 KiB; what is not taken by the deadline does not fit.
	if _, err := reader.Write(bytes.Repeat([]byte{'\n'}, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the pipe took a megabyte: %v", err)
	}
	r := start(t, func(options *Options, _ *Parts) { options.AuditFile = pipe })

	began := time.Now()
	got := r.get(t, "", "", asking("repository:public/app:pull"))
	if took := time.Since(began); got.status != http.StatusServiceUnavailable || took > 10*time.Second {
		t.Errorf("status %d after %s: %s", got.status, took, got.body)
	}
	checkProblem(t, ask{}, got)
	metrics := string(r.probe(t, "/metrics").body)
	if !strings.Contains(metrics, "tokenwright_server_audit_failures_total 1\n") {
		t.Error("the failure was not counted")
	}

	drained := make(chan struct{})
	go func() {
		defer close(drained)
		buffer := make([]byte, 1<<16)
		for {
			if _, err := reader.Read(buffer); err != nil {
				return
			}
		}
	}()
	waitFor(t, "tokens are sent again when the log is read again", func() bool {
		return r.get(t, "", "", asking()).status == http.StatusOK
	})
	r.stop()
	if err := <-r.ended; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	reader.Close() // this ends the goroutine
	<-drained
}

func TestMetricsOfRequests(t *testing.T) {
	r := start(t, nil)
	r.get(t, "", "", asking())
	r.get(t, "alice", "secret", asking())
	r.get(t, "alice", "wrong", asking())
	r.get(t, "\x01"+strings.Repeat("x", 300), "wrong", asking())
	var body string
	waitFor(t, "the requests are counted", func() bool {
		body = string(r.probe(t, "/metrics").body)
		return strings.Contains(body, `requests_total{code="401",endpoint="token",grant="basic"} 2`)
	})
	for _, want := range []string{
		`tokenwright_server_requests_total{code="200",endpoint="token",grant="anonymous"} 1`,
		`tokenwright_server_requests_total{code="200",endpoint="token",grant="basic"} 1`,
		`tokenwright_server_authentications_total{method="none",result="ok"} 1`,
		`tokenwright_server_authentications_total{method="password",result="ok"} 1`,
		`tokenwright_server_authentications_total{method="unknown",result="refused"} 2`,
		fmt.Sprintf(`tokenwright_server_tokens_issued_total{audience=%q,grant="basic"} 1`, service),
		"tokenwright_server_policies 2",
		`tokenwright_server_signing_keys{usable="true"} 1`,
		`tokenwright_server_signing_keys{usable="false"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(body, "xxx") {
		t.Error("what a client sent became a label")
	}
}

func TestAKeyThatMayNotSignAnyMoreIsNotUsable(t *testing.T) {
	r := start(t, nil)
	over := fixture.Key(t, "registry", v1alpha1.KeyID, time.Now().Add(-2*time.Hour), service, "second.example.com")
	over.Ring.Keys[0].SignUntil = time.Now().Add(-time.Second)
	lasts := fixture.Key(t, "other", v1alpha1.KeyID, time.Now(), "other.example.com")
	lasts.Ring.Keys[0].SignUntil = time.Now().Add(time.Hour)
	r.snapshots.Store(snapshot.Build(snapshot.Input{Policies: policy.NewIndex(nil), Keys: []snapshot.Keys{over, lasts}, At: time.Now()}))
	if got := r.get(t, "", "", asking()).status; got != http.StatusServiceUnavailable {
		t.Errorf("the answer is %d: this test shows nothing", got)
	}
	body := string(r.probe(t, "/metrics").body)
	for _, want := range []string{`tokenwright_server_signing_keys{usable="true"} 1`, `tokenwright_server_signing_keys{usable="false"} 1`} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("an alert goes by this, and it is missing: %s", want)
		}
	}
}

func TestThePrefix(t *testing.T) {
	r := start(t, func(options *Options, _ *Parts) { options.PathPrefix = "/auth" })
	for _, path := range []string{"/token", "/token/", "/auth/token", "/auth/token/", "/.well-known/jwks.json", "/auth/.well-known/jwks.json"} {
		if got := (ask{path: path, query: asking()}).send(t, r); got.status != http.StatusOK {
			t.Errorf("%s: status %d", path, got.status)
		}
	}
	if got := (ask{path: "/auth", query: asking()}).send(t, r); got.status != http.StatusNotFound {
		t.Errorf("/auth: status %d", got.status)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Namespace: "n", Issuer: "i", PathPrefix: "auth/"}
	if err := good.Validate(); err != nil || good.PathPrefix != "/auth" || good.MaxStaleness != time.Hour || good.PodName == "" {
		t.Errorf("err = %v, %+v", err, good)
	}
	cases := map[string]func(*Options){
		"no issuer":              func(o *Options) { o.Issuer = "" },
		"no namespace":           func(o *Options) { o.Namespace = "" },
		"a key without its cert": func(o *Options) { o.TLSKeyFile = "tls.key" },
		"a cert without its key": func(o *Options) { o.TLSCertFile = "tls.crt" },
		"a negative time":        func(o *Options) { o.ShutdownTimeout = -1 },
		"a brace in the prefix":  func(o *Options) { o.PathPrefix = "/{x}" },
		"a limit below 3 s":      func(o *Options) { o.MaxStaleness = MinMaxStaleness - 1 },
		"a negative limit":       func(o *Options) { o.MaxStaleness = -time.Hour },
		"a pod name with a path": func(o *Options) { o.PodName = "../manager" },
		"a pod name too long":    func(o *Options) { o.PodName = strings.Repeat("x", 240) },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			o := good
			change(&o)
			if o.Validate() == nil {
				t.Error("it was accepted")
			}
		})
	}
}
