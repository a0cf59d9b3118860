package enforce

import (
	"context"
	"sync"
	"time"
)

const (
	// retryWithout and retryWith are how long a failure is remembered, without a value and with one that can still be used.
	retryWithout, retryWith = time.Second, 10 * time.Second
)

// kept is a value of the authorization server that is fetched by one request at a time, and again when it is old.
type kept[V any] struct {
	timeout time.Duration
	clock   func() time.Time
	fetch   func(context.Context) (V, times, error)

	mu    sync.Mutex
	value V
	times times
	has   bool
	// tried is when it was fetched last, and err what came of it.
	tried time.Time
	err   error
	// tries counts how often it was fetched.
	tries  int
	flight flights[struct{}, V]
}

// times are when a value is fetched again while the old one is used (soon), when requests wait for the new one (due), and until
// when the old one is used if no new one can be had (end).
type times struct{ soon, due, end time.Time }

func (k *kept[V]) get(ctx context.Context) (V, error) {
	k.mu.Lock()
	now := k.clock()
	value, err, usable := k.value, k.err, k.has && now.Before(k.times.end)
	fresh, due := k.has && now.Before(k.times.soon), !k.has || !now.Before(k.times.due)
	again := retryWithout
	if usable {
		again = retryWith
	}
	failed := err != nil && now.Sub(k.tried) < again
	seen := k.tries
	k.mu.Unlock()
	switch {
	case fresh, usable && failed:
		return value, nil
	case failed:
		return value, err
	case usable && !due:
		k.flight.begin(ctx, k.timeout, struct{}{}, k.renewal(seen))
		return value, nil
	}
	renewed, err := k.flight.do(ctx, k.timeout, struct{}{}, k.renewal(seen))
	if err != nil && usable {
		return value, nil
	}
	return renewed, err
}

// again fetches the value though it is not old, unless that was tried a moment ago.
func (k *kept[V]) again(ctx context.Context, pause time.Duration) (V, error) {
	k.mu.Lock()
	early, seen := k.clock().Sub(k.tried) < pause, k.tries
	k.mu.Unlock()
	if early {
		return k.get(ctx)
	}
	if value, err := k.flight.do(ctx, k.timeout, struct{}{}, k.renewal(seen)); err == nil {
		return value, nil
	}
	return k.get(ctx)
}

// drop lets go of a value that turned out to be bad, unless there is another one by now.
func (k *kept[V]) drop(bad func(V) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.has && bad(k.value) {
		k.has = false
	}
}

// renewal is the work of a flight: it fetches the value, unless that was done since the caller looked, when so many tries were over.
// The flight that it would have joined may have ended before it came there.
func (k *kept[V]) renewal(seen int) func(context.Context) (V, error) {
	return func(ctx context.Context) (V, error) {
		k.mu.Lock()
		value, err, done := k.value, k.err, k.tries != seen && (k.has || k.err != nil)
		k.mu.Unlock()
		if done {
			return value, err
		}
		return k.renew(ctx)
	}
}

func (k *kept[V]) renew(ctx context.Context) (V, error) {
	value, times, err := k.fetch(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tries++
	k.tried, k.err = k.clock(), err
	if err == nil {
		k.value, k.times, k.has = value, times, true
	}
	return value, err
}
