package observe

import (
	"context"
	"fmt"
	"time"
)

const (
	// syncPoll is how often is looked whether the first lists have come.
	syncPoll = 10 * time.Millisecond
	// longestPause bounds what a slow build adds to the pause before the next.
	longestPause = time.Second
)

// run is the only goroutine that builds. It pauses before each build for as long as the one before took, so that a
// stream of changes cannot take more than half of a processor from the requests.
func (o *Observer) run(ctx context.Context, registrations []registration) {
	synced := o.whenSynced(ctx, registrations)
	var patience <-chan time.Time
	pause := o.options.Pause
	for {
		select {
		case <-ctx.Done():
			return
		case <-patience:
			o.latch(true)
			continue
		case <-synced:
			synced, patience = nil, time.After(o.options.KeyPatience)
			o.changes.note(func(p *pending) { p.keys, p.providers, p.namespaces = true, true, true })
			continue
		case <-o.changes.wake:
		}
		if !sleep(ctx, pause) {
			return
		}
		if synced != nil {
			o.compileEarly(ctx)
			continue
		}
		pause = o.build(ctx)
		o.latch(false)
	}
}

// compileEarly compiles policies and resources while the other kinds are still on their way; those are read when all are there.
func (o *Observer) compileEarly(ctx context.Context) {
	batch := o.changes.take()
	if err := o.builder.apply(ctx, pending{policies: batch.policies, resources: batch.resources, requests: batch.requests}); err != nil {
		o.options.Log.Error(err, "Could not compile policies")
	}
}

// build composes a snapshot of what has changed and returns how long to pause before the next.
func (o *Observer) build(ctx context.Context) time.Duration {
	batch := o.changes.take()
	if batch.empty() {
		return o.options.Pause
	}
	began := time.Now()
	if err := o.builder.apply(ctx, batch); err != nil {
		o.options.Log.Error(err, "Could not build a snapshot, the last one stays")
		o.changes.note(func(p *pending) { p.keys, p.providers, p.namespaces = true, true, true })
		return longestPause
	}
	s := o.builder.compose(began)
	seen := o.builder.keyVersions
	o.options.Holder.Store(s)
	o.builder.resources.tell(o.options.Requests)
	o.keysSeen.Store(&seen)
	took := time.Since(began)
	last := Stats{LastBuild: began.Add(took), BuildTime: took, KeySetsKept: o.builder.keys.kept(), Builds: 1}
	if before := o.stats.Load(); before != nil {
		last.Builds += before.Builds
	}
	o.stats.Store(&last)
	o.options.Log.V(1).Info("Built a snapshot", "policies", s.Counts.Policies, "resources", s.Counts.Resources, "keys", s.Counts.Keys,
		"providers", s.Counts.Providers, "took", took.String())
	return max(o.options.Pause, min(took, longestPause))
}

// latch makes the observer ready if nothing is missing, or if it has waited long enough.
func (o *Observer) latch(enough bool) {
	if o.latched.Load() || o.stats.Load() == nil {
		return
	}
	missing := o.builder.keys.awaited()
	if missing == "" || enough {
		o.latched.Store(true)
		return
	}
	message := fmt.Sprintf("the key set of SigningKey %s is not there yet", missing)
	o.notReady.Store(&message)
}

// whenSynced returns a channel that is closed when every handler has seen the first list of its kind.
func (o *Observer) whenSynced(ctx context.Context, registrations []registration) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		for _, r := range registrations {
			for !r.synced() {
				if !sleep(ctx, syncPoll) {
					return
				}
			}
		}
		close(done)
	}()
	return done
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
