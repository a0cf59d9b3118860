package snapshot

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrStale says that nothing may be signed, because it is too long since the view of the cluster was known to be current.
var ErrStale = errors.New("the view of the cluster is too old")

// Fence keeps a server that is cut off from signing. It is told when the view was last known to be current, and refuses
// once that is longer ago than its limit. A nil Fence, and one without a limit, never refuses: that is for tools that
// work offline.
//
// Two clocks are compared and the older age counts. The monotonic one does not follow a wall clock that somebody sets
// back. The wall clock goes on while the machine is suspended, when the monotonic one stands still (CLOCK_MONOTONIC on
// Linux). A wall clock that is set forward by more than the limit fences until the next confirmation; setting it back
// gains nothing, because the monotonic age still counts.
type Fence struct {
	limit     time.Duration
	confirmed atomic.Pointer[time.Time]
}

// NewFence returns a fence that refuses until the first confirmation; a limit of 0 or less: never.
func NewFence(limit time.Duration) *Fence { return &Fence{limit: limit} }

// Confirm says that the view was current at the time, which comes from time.Now so that it has a monotonic reading. An
// earlier one than the last changes nothing.
func (f *Fence) Confirm(t time.Time) {
	if f == nil || t.IsZero() {
		return
	}
	for {
		last := f.confirmed.Load()
		if last != nil && !t.After(*last) {
			return
		}
		if f.confirmed.CompareAndSwap(last, &t) {
			return
		}
	}
}

// Confirmed says whether there was a first confirmation, or none is needed.
func (f *Fence) Confirmed() bool { return !f.fences() || f.confirmed.Load() != nil }

// Check returns an error that wraps ErrStale and says since when, if nothing may be signed at the time.
func (f *Fence) Check(now time.Time) error {
	if !f.fences() {
		return nil
	}
	last := f.confirmed.Load()
	if last == nil {
		return fmt.Errorf("%w: it was never confirmed", ErrStale)
	}
	if age := Elapsed(*last, now); age >= f.limit {
		return fmt.Errorf("%w: it was last confirmed at %s, %s ago, and the limit is %s",
			ErrStale, last.UTC().Format(time.RFC3339), age.Round(time.Millisecond), f.limit)
	}
	return nil
}

// Age returns for how long the view has not been confirmed; false if it never was.
func (f *Fence) Age(now time.Time) (time.Duration, bool) {
	if f == nil {
		return 0, false
	}
	last := f.confirmed.Load()
	if last == nil {
		return 0, false
	}
	return max(0, Elapsed(*last, now)), true
}

func (f *Fence) fences() bool { return f != nil && f.limit > 0 }

// Elapsed is the time between two readings of time.Now, by the clock by which it is longer.
func Elapsed(since, now time.Time) time.Duration {
	return max(now.Sub(since), time.Duration(now.UnixNano()-since.UnixNano()))
}
