package enforce

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// flights lets one do what several wait for. There are never more than requests are served.
type flights[K comparable, V any] struct {
	mu    sync.Mutex
	calls map[K]*call[V]
}

type call[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// do waits for the work of the key, which it begins if nobody has. The work ends with the timeout and not with the request that
// began it: others wait, too.
func (f *flights[K, V]) do(ctx context.Context, timeout time.Duration, key K, work func(context.Context) (V, error)) (value V, err error) {
	c := f.begin(ctx, timeout, key, work)
	// Work that does not heed its context would keep all of them waiting.
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		return value, ctx.Err()
	}
}

func (f *flights[K, V]) begin(ctx context.Context, timeout time.Duration, key K, work func(context.Context) (V, error)) *call[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.calls[key]
	if c != nil {
		return c
	}
	c = &call[V]{done: make(chan struct{})}
	if f.calls == nil {
		f.calls = map[K]*call[V]{}
	}
	f.calls[key] = c
	go f.run(context.WithoutCancel(ctx), timeout, key, c, work)
	return c
}

func (f *flights[K, V]) run(ctx context.Context, timeout time.Duration, key K, c *call[V], work func(context.Context) (V, error)) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		// net/http would have caught it in the request's own goroutine.
		if caught := recover(); caught != nil {
			c.err = fmt.Errorf("panic: %v", caught)
		}
		f.mu.Lock()
		delete(f.calls, key)
		f.mu.Unlock()
		close(c.done)
	}()
	c.value, c.err = work(ctx)
}
