package identity

import (
	"context"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// keysLook is how often KeepKeys looks whether keys are needed.
const keysLook = time.Second

// KeepKeys fetches the keys of ServiceAccount tokens as soon as a provider accepts any, and again when they are old,
// until the context ends. Otherwise the first token would fetch them, and a server that was started shortly before the
// API server went away could prove no ServiceAccount.
func (a *Authenticator) KeepKeys(ctx context.Context, snapshots *snapshot.Holder) error {
	if a.accounts.keys == nil {
		return nil
	}
	look := time.NewTicker(keysLook)
	defer look.Stop()
	for {
		if acceptsAccounts(snapshots.Load()) {
			a.accounts.keys.refresh(ctx, time.Now())
		}
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
func (c *clusterKeys) refresh(ctx context.Context, now time.Time) {
	c.mu.Lock()
	known, attempted := c.known, c.attempted
	c.mu.Unlock()
	wait := keysCooldown
	if known.byID == nil {
		wait = keysRetry
	}
	if now.Sub(attempted) < wait || known.byID != nil && now.Sub(known.fetched) <= keysFresh {
		return
	}
	select {
	case <-ctx.Done():
	case <-c.begin(ctx, attempted, now):
	}
}
