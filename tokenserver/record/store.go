package record

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/util/cache"

	"github.com/tokenwright/tokenwright/tokenserver/attempt"
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
	// spending are those who use up one token.
	spending turns
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

// await waits a moment until this server goes by what was written.
func (s *Store) await(ctx context.Context, what string, seen func() bool) {
	if !attempt.Observed(ctx, seen) {
		s.options.Log.Info("Stored, but this server has not seen it yet", "object", what)
	}
}

// noRecords is the answer of a server without a cluster.
func (s *Store) noRecords() error {
	if s.options.Client == nil {
		return fmt.Errorf("%w: this server runs without a cluster, and keeps none", ErrRefused)
	}
	return nil
}
