package grant

import (
	"context"
	"time"
)

const (
	// manyResources is how many resources make an ask a long walk.
	manyResources = 1000
	// longestWait is for how long one waits for those before it.
	longestWait = 5 * time.Second
)

// Walks bounds how many asks that go through very many resources are decided at once: each takes a processor for a while, and
// memory for each resource.
type Walks struct{ free chan struct{} }

// NewWalks lets so many be decided at once.
func NewWalks(atOnce int) *Walks { return &Walks{make(chan struct{}, atOnce)} }

// begin waits until an ask over so many resources may be decided, and returns what ends it. The error is that of who waited
// for too long.
func (w *Walks) begin(ctx context.Context, resources int) (end func(), failure *Error) {
	if w == nil || resources <= manyResources {
		return func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, longestWait)
	defer cancel()
	select {
	case w.free <- struct{}{}:
		return func() { <-w.free }, nil
	case <-ctx.Done():
		return nil, &Error{
			Kind: Unavailable, Message: "too many ask for very many resources at once: try again later, or ask for fewer", RetryAfter: retryAfter,
			Cause: ctx.Err(),
		}
	}
}
