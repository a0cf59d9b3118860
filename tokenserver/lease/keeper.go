package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const (
	// longestPeriod is how often the Lease is renewed, unless the limit asks for more.
	longestPeriod = 10 * time.Second
	// longestCall bounds each request to the API server, unless the limit asks for less.
	longestCall = 5 * time.Second
	// firstRetry and lastRetry are between attempts that fail.
	firstRetry, lastRetry = 100 * time.Millisecond, 2 * time.Second
	// debounce is how long changes of the keys are gathered.
	debounce = 10 * time.Millisecond
	// releaseTimeout bounds what a server that stops does with its Lease.
	releaseTimeout = 3 * time.Second
)

// View is what the server knows of the cluster; observe.Observer is the one.
type View interface {
	// Fresh returns a time at which the view was current, now at the latest, or why it is not known to be.
	Fresh(ctx context.Context) (time.Time, error)
}

// Options are what a Keeper needs. All are required but PodUID.
type Options struct {
	Client coordinationclient.LeaseInterface
	// PodName names the Lease; PodUID makes the Pod its owner.
	PodName, PodUID string
	// MaxStaleness is how long the Lease lasts, and the limit of the fence.
	MaxStaleness time.Duration
	View         View
	Snapshots    *snapshot.Holder
	Fence        *snapshot.Fence
	Log          logr.Logger
}

// NewClient returns a client for the Leases of the namespace. Nothing is sent yet.
func NewClient(config *rest.Config, namespace string) (coordinationclient.LeaseInterface, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // the Keeper paces itself
	client, err := coordinationclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for Leases: %w", err)
	}
	return client.Leases(namespace), nil
}

// Keeper keeps the Lease of one server.
type Keeper struct {
	options Options
	// identity is the holder: a process, not a Pod, whose container may have been started again.
	identity string
	stored   <-chan struct{}

	// held is the Lease as it was written last; only the goroutine of Start uses it, and the fields to telling.
	held *coordinationv1.Lease
	// tried says that a write was sent, and acquired when the first one had succeeded.
	tried    bool
	acquired time.Time
	ousted   map[string]bool
	// failed counts the cycles since one succeeded; stale says that the view was the reason.
	failed  int
	stale   bool
	telling telling

	confirmed atomic.Bool
	problem   atomic.Pointer[string]
	failures  atomic.Uint64
}

// New returns a Keeper. It sends nothing yet.
func New(o Options) (*Keeper, error) {
	if o.Client == nil || o.View == nil || o.Snapshots == nil || o.Fence == nil || o.PodName == "" || o.MaxStaleness <= 0 {
		return nil, errors.New("a Lease needs a client, a view, snapshots, a fence, a pod name and a duration")
	}
	return &Keeper{
		options: o, identity: o.PodName + "_" + rand.Text(), stored: o.Snapshots.Stored(), ousted: map[string]bool{},
		telling: telling{log: o.Log.WithValues("lease", Name(o.PodName)), fence: o.Fence},
	}, nil
}

// Start renews the Lease until the context ends, and then releases it. It may be called once.
func (k *Keeper) Start(ctx context.Context) error {
	for {
		err := k.cycle(ctx)
		if ctx.Err() != nil {
			break
		}
		k.account(err)
		if !k.pause(ctx) {
			break
		}
	}
	k.release(context.WithoutCancel(ctx))
	return nil
}

// Ready returns nil once the view was confirmed and the Lease written; then for ever. The error says what failed.
func (k *Keeper) Ready() error {
	if k.confirmed.Load() {
		return nil
	}
	if problem := k.problem.Load(); problem != nil {
		return errors.New(*problem)
	}
	return errors.New("the server's Lease was not written yet")
}

// Failures is how often the Lease could not be renewed.
func (k *Keeper) Failures() uint64 { return k.failures.Load() }

// cycle confirms the view to the fence, if it is fresh and the Lease says so. A server that may not say it does not sign
// for long: the manager would stop to wait for it.
func (k *Keeper) cycle(ctx context.Context) error {
	asOf, err := k.fresh(ctx)
	if err != nil {
		return &notFresh{err}
	}
	// What requests are answered by from now on. It is read after the check, so it is no older than what was checked.
	if err := k.renew(ctx, k.options.Snapshots.Load().Serves, asOf); err != nil {
		return err
	}
	k.options.Fence.Confirm(asOf)
	return nil
}

// notFresh is why the Lease was not to be renewed.
type notFresh struct{ cause error }

func (e *notFresh) Error() string { return "the view is not known to be current: " + e.cause.Error() }

func (e *notFresh) Unwrap() error { return e.cause }

func (k *Keeper) fresh(ctx context.Context) (time.Time, error) {
	ctx, cancel := k.call(ctx)
	defer cancel()
	return k.options.View.Fresh(ctx)
}

// call bounds a request: one that hangs must leave time for others before the Lease ends.
func (k *Keeper) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, min(longestCall, k.options.MaxStaleness/5))
}

// account counts and tells what came of a cycle.
func (k *Keeper) account(err error) {
	var view *notFresh
	k.stale = errors.As(err, &view)
	if err == nil {
		k.failed = 0
		k.confirmed.Store(true)
		k.telling.renewed()
		return
	}
	k.failed++
	problem := err.Error()
	k.problem.Store(&problem)
	if k.stale && !k.confirmed.Load() {
		return // a server that starts has not seen everything yet, and says so elsewhere
	}
	k.failures.Add(1)
	k.telling.failed(err)
}

// pause waits for the next cycle: the period, less if the last one failed, and until there is something new to say.
func (k *Keeper) pause(ctx context.Context) bool {
	length := min(longestPeriod, k.options.MaxStaleness/4)
	if k.failed > 0 {
		length = min(length, lastRetry, firstRetry<<min(k.failed-1, 10))
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	stored := k.stored
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-stored:
			if k.news() {
				timer.Reset(debounce)
				stored = nil
			}
		}
	}
}

// news says whether the current snapshot is a reason for a cycle now. While the API server refuses the Lease it is none.
func (k *Keeper) news() bool {
	if k.failed > 0 {
		return k.stale
	}
	return !slices.Equal(served(k.held), k.options.Snapshots.Load().Serves)
}
