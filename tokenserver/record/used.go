package record

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/attempt"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
)

const (
	// usedEvery is how often the last use of a token is written at most.
	usedEvery = time.Hour
	// mostUses is how many were queued within the hour, and mostWaiting how many wait; of others the last use is not written.
	mostUses    = 50_000
	mostWaiting = 2_000
	// usesPerSecond bounds the writes of one server.
	usesPerSecond = 50
	// fieldOwner owns status.lastUsed.
	fieldOwner = "tokenwright/server"
)

// uses are the uses that wait to be written, and those that were written lately.
type uses struct {
	queue chan use
	mu    sync.Mutex
	// since is when the last use was queued that counts for an hour.
	since map[types.UID]time.Time
	limit *rate.Limiter
}

// use is that a token was used.
type use struct {
	name    string
	uid     types.UID
	version string
	at      time.Time
}

func newUses() *uses {
	return &uses{queue: make(chan use, mostWaiting), since: map[types.UID]time.Time{}, limit: rate.NewLimiter(usesPerSecond, 1)}
}

// Used notes that a recorded token was used. It returns at once: the time is written later, at most once an hour, and not
// at all while there is too much to write.
func (s *Store) Used(id string, now time.Time) {
	place, ok := slot.Parse(id)
	if !ok || s.options.Client == nil {
		return
	}
	t := s.options.Index.named(place.Name())
	if t == nil || t.Spec.ID != id {
		return // it was issued a moment ago
	}
	if at, err := t.Status.LastUsed.Parse(); err == nil && now.Before(at.Add(usedEvery)) {
		return
	}
	s.uses.offer(use{name: t.Name, uid: t.UID, version: t.ResourceVersion, at: now})
}

func (u *uses) offer(next use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if at, ok := u.since[next.uid]; ok && next.at.Before(at.Add(usedEvery)) {
		return
	}
	if len(u.since) >= mostUses && !u.makeRoom(next.at) {
		return
	}
	select {
	case u.queue <- next:
		u.since[next.uid] = next.at
	default:
	}
}

// makeRoom forgets a use that does not count any more, if there is one among a few. Maps are walked from a random place.
func (u *uses) makeRoom(now time.Time) bool {
	looked := 0
	for uid, at := range u.since {
		if !now.Before(at.Add(usedEvery)) {
			delete(u.since, uid)
			return true
		}
		if looked++; looked == 16 {
			break
		}
	}
	return false
}

// forget lets the next use be written.
func (u *uses) forget(uid types.UID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.since, uid)
}

// Run writes last uses until the context ends.
func (s *Store) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case next := <-s.uses.queue:
			if s.uses.limit.Wait(ctx) != nil {
				return nil
			}
			if err := s.writeUse(ctx, next); err != nil && ctx.Err() == nil {
				s.uses.forget(next.uid)
				s.options.Log.Error(err, "Could not write the last use of a token")
			}
		}
	}
}

// writeUse says when a token was used. The version keeps it from a token that came into its place, and from a time that
// another server has written meanwhile; an API server does not look at a uid where a status is applied.
func (s *Store) writeUse(ctx context.Context, u use) error {
	patch, err := json.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "IssuedToken",
		"metadata": map[string]any{"namespace": s.options.Namespace, "name": u.name, "resourceVersion": u.version},
		"status":   map[string]any{"lastUsed": v1alpha1.NewDateTime(u.at)},
	})
	if err != nil {
		return fmt.Errorf("write the status of IssuedToken %s: %w", u.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, attempt.Timeout)
	defer cancel()
	t := &v1alpha1.IssuedToken{}
	t.Namespace, t.Name = s.options.Namespace, u.name
	err = s.options.Client.Status().Patch(ctx, t, client.RawPatch(types.ApplyPatchType, patch), client.FieldOwner(fieldOwner), client.ForceOwnership)
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		s.uses.forget(u.uid) // the next use goes by what is there now
	case err != nil:
		return attempt.Failed("write the status of IssuedToken "+u.name, err)
	}
	return nil
}
