// Package tokenserver wires the token server: listeners, TLS, endpoints, the observer and the order in which they stop.
// It is the only place where they meet. What they do is the business of the packages below it.
package tokenserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/observe"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Observer keeps the snapshot; observe.Observer is the one.
type Observer interface {
	// Start blocks until the context ends.
	Start(ctx context.Context) error
	// Ready returns why requests cannot be answered yet, and nil when they can.
	Ready() error
	// Stats are for metrics.
	Stats() observe.Stats
}

// Lease says what the server serves, and confirms its view to the fence; lease.Keeper is the one.
type Lease interface {
	// Start blocks until the context ends, and then releases the Lease.
	Start(ctx context.Context) error
	// Ready returns why the Lease was never written, and nil once it was.
	Ready() error
	// Failures is how often it could not be renewed.
	Failures() uint64
}

// Parts are what the server answers by.
type Parts struct {
	Snapshots     *snapshot.Holder
	Authenticator grant.Authenticator
	Observer      Observer
	// Records are what is recorded and revoked.
	Records *record.Store
	// Requests takes what is asked of owners of protected resources; may be nil: nobody is asked.
	Requests permission.Requests
	// Registrations are where resource servers register resources, and where owners are asked; nil: nowhere.
	Registrations *registration.Store
	// Fence keeps a server that is cut off from signing, and Lease opens it; both may be nil: it is never cut off then.
	Fence *snapshot.Fence
	Lease Lease
	// Issuers are the external issuers that callers' tokens come from, for metrics; may be nil.
	Issuers func() []metrics.Issuer
	// Background is work beside the requests, until the context ends; may be nil.
	Background func(ctx context.Context) error
	// Condition is what is wrong though the server works, for /healthz; Collector adds metrics. Both may be nil.
	Condition func() error
	Collector prometheus.Collector
}

// server is a running token server.
type server struct {
	options  Options
	parts    Parts
	audit    *audit.Log
	metrics  *metrics.Metrics
	synced   atomic.Bool
	draining atomic.Bool
}

// Serve runs the server until the context ends, and then stops it in order: not ready, no new connections, requests
// under way finished, Lease released, audit log flushed. It returns an error if anything but the context ended it.
func Serve(ctx context.Context, options Options, parts Parts) error {
	if err := options.Validate(); err != nil {
		return err
	}
	sink, err := audit.Open(options.AuditFile)
	if err != nil {
		return err
	}
	defer sink.Close() //nolint:errcheck // every line has been handed to the operating system by its own write
	s := &server{options: options, parts: parts, audit: audit.New(sink)}
	s.metrics = metrics.New(options.Version, s.state, time.Now)
	if parts.Collector != nil {
		s.metrics.Registry.MustRegister(parts.Collector)
	}
	err = s.run(ctx)

	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return errors.Join(err, s.audit.Close(flush))
}

// run starts the listeners and the observer, and waits for the first to fail or for the end.
func (s *server) run(ctx context.Context) error {
	// What serves requests outlives ctx: it ends when the last request has.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group := &group{failed: make(chan error, 1)}

	health := httpx.NewServer(serving, s.health(), s.options.Log)
	api := httpx.NewServer(serving, s.routes(), s.options.Log)
	if err := s.listen(serving, group, health, api); err != nil {
		return errors.Join(err, health.Close(), api.Close())
	}
	group.run("observer", func() error { return s.parts.Observer.Start(serving) })
	if s.parts.Lease != nil {
		group.run("lease", func() error { return s.parts.Lease.Start(serving) })
	}
	if s.parts.Background != nil {
		group.run("background", func() error { return s.parts.Background(serving) })
	}

	var failure error
	select {
	case <-ctx.Done():
		s.options.Log.Info("Began to shut down", "timeout", s.options.ShutdownTimeout.String())
	case failure = <-group.failed:
	}
	s.draining.Store(true)
	drained, cancel := context.WithTimeout(serving, s.options.ShutdownTimeout)
	defer cancel()
	if err := api.Shutdown(drained); err != nil {
		failure = errors.Join(failure, fmt.Errorf("drain requests: %w", err), api.Close())
	}
	stop()
	failure = errors.Join(failure, health.Close())
	group.wait()
	return failure
}

// heardWithin is how old the view may be for a refresh token. API servers send something about each kind about once a minute.
const heardWithin = 3 * time.Minute

// current says whether the server would have heard of a revocation.
func (s *server) current() bool {
	if s.parts.Observer.Stats().Away {
		return false
	}
	age, confirmed := s.parts.Fence.Age(time.Now())
	return s.parts.Fence == nil || confirmed && age < heardWithin
}

// handler has the form of httpx.Endpoint's Handle.
type handler = func(http.ResponseWriter, *http.Request, *httpx.Exchange) error

// whenSynced lets nobody in before everything has been seen once. Nobody should come, because the server is not ready;
// but policies that lack a Deny grant too much, and a verifier would keep a key set that lacks a key.
func (s *server) whenSynced(handle handler) handler {
	return func(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
		if !s.synced.Load() {
			if err := s.seen(); err != nil {
				return &httpx.Error{
					Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
					Message: "the server is not ready yet", RetryAfter: time.Second, Cause: err,
				}
			}
			s.synced.Store(true)
		}
		return handle(w, r, x)
	}
}

// seen says what is missing before the first request can be answered; nil once nothing was, then for ever.
func (s *server) seen() error {
	if err := s.parts.Observer.Ready(); err != nil {
		return err
	}
	if s.parts.Lease == nil {
		return nil
	}
	return s.parts.Lease.Ready()
}

func (s *server) endpoint(
	name string, methods []string,
	handle handler,
	writeError func(http.ResponseWriter, *http.Request, *httpx.Error),
) *httpx.Endpoint {
	return &httpx.Endpoint{
		Name: name, Methods: methods, Handle: handle, WriteError: writeError,
		Proxies: s.options.proxies, Recorder: s.metrics, Log: s.options.Log, Now: time.Now,
	}
}

// group is goroutines of which the first failure counts.
type group struct {
	all    sync.WaitGroup
	failed chan error
}

func (g *group) run(name string, work func() error) {
	g.all.Go(func() {
		err := work()
		if err == nil || errors.Is(err, http.ErrServerClosed) {
			return
		}
		select {
		case g.failed <- fmt.Errorf("%s: %w", name, err):
		default:
		}
	})
}

func (g *group) wait() { g.all.Wait() }
