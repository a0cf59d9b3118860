//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// load gets tokens and shows them to verifiers, some at once and once, some for as long as they live.
type load struct {
	*scene
	*ledger
	wait sync.WaitGroup
}

// Tokens are shown fresh every freshPause by each worker; every keptPause one is kept and shown every recheck.
const (
	workers    = 2
	freshPause = 60 * time.Millisecond
	keptPause  = time.Second
	recheck    = 2 * time.Second
)

// run asks for tokens of the SigningKey at the server until the context ends.
func (l *load) run(ctx context.Context, server string, k signingKey, verifiers ...verifier) {
	for range workers {
		l.wait.Go(func() {
			for pause(ctx, freshPause) {
				if t, ok := l.ask(ctx, server, k); ok {
					l.show(ctx, t, verifiers)
				}
			}
		})
	}
	l.wait.Go(func() {
		for pause(ctx, keptPause) {
			if t, ok := l.ask(ctx, server, k); ok {
				l.wait.Go(func() { l.keep(ctx, t, verifiers) })
			}
		}
	})
}

func (l *load) ask(ctx context.Context, server string, k signingKey) (token, bool) {
	t, err := ask(ctx, server, k)
	l.asked(ctx, k, err)
	return t, err == nil
}

func (l *load) show(ctx context.Context, t token, verifiers []verifier) {
	for _, v := range verifiers {
		l.check(ctx, v, t)
	}
}

// keep shows a token until just before its end.
func (l *load) keep(ctx context.Context, t token, verifiers []verifier) {
	for {
		next := min(recheck, time.Until(t.expires)-time.Second)
		if next <= 0 || !pause(ctx, next) {
			return
		}
		l.show(ctx, t, verifiers)
	}
}

// runCrane pulls as a stock client does, and pushes now and then.
func (l *load) runCrane(ctx context.Context, r *registry) {
	name := "crane, " + strings.TrimSuffix(r.title, ", x5c")
	l.wait.Go(func() {
		for n := 0; pause(ctx, time.Second); n++ {
			// What has begun may end: cancelling it would look like a failure.
			running := context.WithoutCancel(ctx)
			l.clientPulled(ctx, name, l.pull(running, r))
			if n%4 == 3 {
				// Into another repository: while an image is pushed again, its manifest cannot always be read.
				l.clientPulled(ctx, name, l.push(running, r, fmt.Sprintf("e2e/pushed:v%d", n)))
			}
		}
	})
}

// refusal says whether the client's error is that the registry did not believe its token.
func refusal(err error) bool {
	for _, sign := range []string{"UNAUTHORIZED", "401 Unauthorized", "DENIED", "403 Forbidden"} {
		if strings.Contains(err.Error(), sign) {
			return true
		}
	}
	return false
}

// pause waits, and says whether the context goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
