package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/util/cache"
)

const (
	// timeout is how long a call of the store takes at most, with all that is tried again.
	timeout = 5 * time.Second
	// attempts bounds how often a write is tried, and backoff is how long is waited after the first; then twice as long.
	attempts = 8
	backoff  = 50 * time.Millisecond
	// observedWithin is how long a write waits until this server has seen it, so that what comes next goes by it.
	observedWithin = time.Second
	observedPoll   = 2 * time.Millisecond
)

// Options are what a Store needs.
type Options struct {
	// Client leads to the API server; nil: there is none, and no records.
	Client Client
	// Namespace is the system namespace.
	Namespace string
	// Index is what was observed.
	Index *Index
	// Random is where ids come from.
	Random io.Reader
	// Now is the clock.
	Now func() time.Time
	Log logr.Logger
}

// Store reads and writes records. It may be used by many at once.
type Store struct {
	options Options
	// reads is the budget for records that were not observed, flight makes equal reads one, and known remembers for a
	// short time what they found: a record, or that there is none.
	reads  *rate.Limiter
	flight singleflight.Group
	known  *cache.LRUExpireCache
	uses   *uses
}

// clock is Options.Now for the cache.
type clock func() time.Time

// Now implements cache.Clock.
func (c clock) Now() time.Time { return c() }

// New returns a Store. Run must run for Used to have an effect.
func New(o Options) *Store {
	return &Store{
		options: o, reads: rate.NewLimiter(readsPerSecond, readsAtOnce),
		known: cache.NewLRUExpireCacheWithClock(mostKnown, clock(o.Now)), uses: newUses(),
	}
}

// Index is what was observed.
func (s *Store) Index() *Index { return s.options.Index }

// write calls until it succeeds, fails for good, or has no time left.
func (s *Store) write(ctx context.Context, what string, call func(context.Context) error) error {
	wait := backoff
	for n := 1; ; n++ {
		err := call(ctx)
		if err == nil {
			return nil
		}
		failure := failed(what, err)
		if n == attempts || !errors.Is(failure, ErrUnavailable) || !sleep(ctx, wait) {
			return failure
		}
		wait *= 2
	}
}

// sleep returns false if the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// await waits until what was written is observed. It is stored in any case, and counts on every other server as soon as
// it is seen there.
func (s *Store) await(ctx context.Context, what string, seen func() bool) {
	ctx, cancel := context.WithTimeout(ctx, observedWithin)
	defer cancel()
	for !seen() {
		if !sleep(ctx, observedPoll) {
			s.options.Log.Info("Stored, but this server has not seen it yet", "object", what)
			return
		}
	}
}

// noRecords is the answer of a server without a cluster.
func (s *Store) noRecords() error {
	if s.options.Client == nil {
		return fmt.Errorf("%w: this server runs without a cluster, and keeps none", ErrRefused)
	}
	return nil
}
