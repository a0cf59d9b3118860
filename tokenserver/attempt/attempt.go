// Package attempt owns how an object gets to or from the API server while a client waits: in a bounded time, tried again where
// that can help, and with errors that say whether it is worth to come back. It does not own what is stored (packages record and
// registration).
package attempt

import (
	"context"
	"errors"
	"time"
)

const (
	// Timeout is how long a call takes at most, with all that is tried again.
	Timeout = 5 * time.Second
	// Most bounds how often a call is tried, and backoff is how long is waited after the first; then twice as long.
	Most    = 8
	backoff = 50 * time.Millisecond
	// observedWithin is how long a write waits until this server has seen it, so that what comes next goes by it.
	observedWithin = time.Second
	observedPoll   = 2 * time.Millisecond
)

// Do calls until it succeeds, fails for good, or has no time left: see Timeout, which the context should have. The error wraps
// ErrUnavailable or ErrRefused; what begins it.
func Do(ctx context.Context, what string, call func(context.Context) error) error {
	wait := backoff
	for n := 1; ; n++ {
		err := call(ctx)
		if err == nil {
			return nil
		}
		failure := Failed(what, err)
		if n == Most || !errors.Is(failure, ErrUnavailable) || !sleep(ctx, wait) {
			return failure
		}
		wait *= 2
	}
}

// Observed waits a moment until what was written is observed, and says whether it was. It is stored in any case, and counts on
// every other server as soon as it is seen there.
func Observed(ctx context.Context, seen func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, observedWithin)
	defer cancel()
	for !seen() {
		if !sleep(ctx, observedPoll) {
			return false
		}
	}
	return true
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
