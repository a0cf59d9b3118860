// Package observe owns the only informers of the server: objects in, snapshots out. Handlers of events only note what has
// changed; one goroutine compiles it, composes a snapshot and puts it into the holder. It decides which Secrets are
// believed, and what is kept when one is lost. It writes nothing, and it does not own what a snapshot means (package
// snapshot) nor who asks for one.
//
// When the API server is away the last view stays.
package observe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Options are what an Observer needs.
type Options struct {
	// Config leads to the API server, with the rights of the server's ServiceAccount. Source is used instead of one: exactly
	// one of the two must be given.
	Config *rest.Config
	Source Source
	// Namespace is the system namespace: where SigningKeys, IdentityProviders and their Secrets are.
	Namespace string
	// Holder gets the snapshots.
	Holder *snapshot.Holder
	// Records gets the records of tokens and the revocations as they are seen; nil: they are not watched.
	Records Records
	// UMA says that ProtectedResources and PermissionRequests are watched, in all namespaces. Without it no right to them is
	// needed.
	UMA bool
	// Requests gets the PermissionRequests; nil: nobody does.
	Requests Requests
	Log      logr.Logger
	// Pause is how long changes are gathered before a snapshot is composed; 0: 20 ms.
	Pause time.Duration
	// KeyPatience is how long Ready waits for a key set that the manager says it has made; 0: 30 s.
	KeyPatience time.Duration
	// MaxStaleness is the age from which the view may not be signed by. Watches are kept short enough for it, and Fresh
	// goes by it. 0: there is none.
	MaxStaleness time.Duration
}

// Observer turns the objects of a cluster into snapshots.
type Observer struct {
	options Options
	cache   cache.Cache
	changes *changes
	builder *builder
	hearing *hearing
	secrets metadata.Getter

	synced      atomic.Pointer[[]registration]
	latched     atomic.Bool
	notReady    atomic.Pointer[string]
	stats       atomic.Pointer[Stats]
	watchErrors atomic.Uint64
	away        atomic.Bool
	// keysSeen is what the current snapshot was made of.
	keysSeen atomic.Pointer[keyVersions]
}

// Stats are for metrics.
type Stats struct {
	// Builds is how many snapshots were composed; the last took BuildTime and was ready at LastBuild.
	Builds    uint64
	LastBuild time.Time
	BuildTime time.Duration
	// KeySetsKept is how many SigningKeys are served from memory because their Secret is lost or damaged.
	KeySetsKept int
	// WatchErrors is how often a list or watch failed, an outage of the API server counting once.
	WatchErrors uint64
	// Away says that the API server cannot be reached, so that the snapshot may be behind it.
	Away bool
}

// registration is a handler of one kind and whether it has seen the first list.
type registration struct {
	kind   string
	synced func() bool
}

// New returns an Observer. It sends nothing yet, so that a server can start while the API server is away.
func New(o Options) (*Observer, error) {
	if (o.Config == nil) == (o.Source == nil) || o.Holder == nil || o.Namespace == "" {
		return nil, errors.New("an observer needs a configuration or a source, a namespace and a holder")
	}
	if o.Pause <= 0 {
		o.Pause = 20 * time.Millisecond
	}
	if o.KeyPatience <= 0 {
		o.KeyPatience = 30 * time.Second
	}
	observer := &Observer{options: o, changes: newChanges(), hearing: newHearing(o.MaxStaleness, o.watches())}
	c, err := newCache(observer.config(), o, observer.watchFailed)
	if err != nil {
		return nil, fmt.Errorf("make the cache: %w", err)
	}
	observer.cache = c
	observer.builder = newBuilder(o, c)
	if o.Source != nil {
		return observer, nil
	}
	if observer.secrets, err = newSecrets(o.Config); err != nil {
		return nil, fmt.Errorf("make a client for Secrets: %w", err)
	}
	return observer, nil
}

// Start observes until the context ends. It may be called once.
func (o *Observer) Start(ctx context.Context) error {
	registrations, err := o.register(ctx)
	if err != nil {
		return err
	}
	o.synced.Store(&registrations)
	ended := make(chan error, 1)
	go func() { ended <- o.cache.Start(ctx) }()
	o.run(ctx, registrations)
	if err := <-ended; err != nil {
		return fmt.Errorf("run the cache: %w", err)
	}
	return nil
}

// Ready returns nil once every kind has synced and every SigningKey is usable or known not to be; then for ever. The
// error says what is missing.
func (o *Observer) Ready() error {
	if o.latched.Load() {
		return nil
	}
	registrations := o.synced.Load()
	if registrations == nil {
		return errors.New("the observer has not started")
	}
	for _, r := range *registrations {
		if !r.synced() {
			return fmt.Errorf("%s have not synced", r.kind)
		}
	}
	if missing := o.notReady.Load(); missing != nil {
		return errors.New(*missing)
	}
	return errors.New("the first snapshot is not there")
}

// Stats returns the numbers as of now.
func (o *Observer) Stats() Stats {
	var s Stats
	if last := o.stats.Load(); last != nil {
		s = *last
	}
	s.WatchErrors, s.Away = o.watchErrors.Load(), o.away.Load()
	return s
}

// config is the configuration with our own way of waiting for an API server that is away.
func (o *Observer) config() *rest.Config {
	if o.options.Source != nil {
		return nowhere()
	}
	config := rest.CopyConfig(o.options.Config)
	config.QPS = -1 // a handful of lists and watches need no limit
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &patient{next: &listener{next: next, hearing: o.hearing}, away: &o.away,
			lost: func(err error) {
				o.watchErrors.Add(1)
				o.options.Log.Error(err, "Lost the API server, the last view stays")
			},
			found: func() { o.options.Log.Info("Reached the API server again") },
		}
	})
	return config
}

// watchFailed counts and logs. Errors of lists and watches hold no content of objects.
func (o *Observer) watchFailed(_ context.Context, r *toolscache.Reflector, err error) {
	if ended(err) {
		return
	}
	o.watchErrors.Add(1)
	o.options.Log.Error(err, "Could not watch, the last view stays", "kind", r.TypeDescription())
}
