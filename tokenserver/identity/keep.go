package identity

import (
	"context"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// keysLook is how often KeepKeys looks whether keys are needed.
const keysLook = time.Second

// KeepKeys fetches the keys of ServiceAccount tokens as soon as a provider accepts any, and those of each external issuer,
// and again when they are old, until the context ends. Otherwise the first token would fetch them, and a server that was
// started shortly before the issuer went away could prove nobody. It also forgets the issuers that no provider names any
// more.
func (a *Authenticator) KeepKeys(ctx context.Context, snapshots *snapshot.Holder) error {
	look := time.NewTicker(keysLook)
	defer look.Stop()
	for {
		s := snapshots.Load()
		if a.accounts.keys != nil && acceptsAccounts(s) {
			a.accounts.keys.refresh(ctx, time.Now())
		}
		// An issuer that is slow to answer must not keep the others, or the cluster, waiting.
		a.issuers.keep(ctx, s, time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}

func acceptsAccounts(s *snapshot.Snapshot) bool {
	for _, p := range s.Providers {
		if p.Kubernetes != nil {
			return true
		}
	}
	return false
}

// refresh fetches the keys if there are none, or if they are old, and waits for them; at most once in the cool-down.
func (c *issuerKeys) refresh(ctx context.Context, now time.Time) {
	attempted, due := c.due(now)
	if !due {
		return
	}
	select {
	case <-ctx.Done():
	case <-c.begin(ctx, attempted, now):
	}
}

// due says whether it is time to fetch the keys beside the requests, and when that was last tried.
func (c *issuerKeys) due(now time.Time) (attempted time.Time, due bool) {
	c.mu.Lock()
	known, attempted := c.known, c.attempted
	c.mu.Unlock()
	wait := keysCooldown
	if known.byID == nil {
		wait = c.retry
	}
	return attempted, now.Sub(attempted) >= wait && (known.byID == nil || now.Sub(known.fetched) > keysFresh)
}
