package lease

import (
	"errors"
	"time"

	"github.com/go-logr/logr"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// telling logs what changes, and not what goes on.
type telling struct {
	log   logr.Logger
	fence *snapshot.Fence

	// since is when renewing began to fail; zero while it works. stale is why: the view, or the Lease.
	since   time.Time
	stale   bool
	stopped bool
}

func (t *telling) failed(err error) {
	var view *notFresh
	stale := errors.As(err, &view)
	if t.since.IsZero() || t.stale != stale {
		t.log.Error(err, "Could not renew the Lease")
	}
	if t.since.IsZero() {
		t.since = time.Now()
	}
	t.stale = stale
	if closed := t.fence.Check(time.Now()); closed != nil && !t.stopped && t.fence.Confirmed() {
		t.stopped = true
		t.log.Error(closed, "Stopped to sign")
	}
}

func (t *telling) renewed() {
	if t.since.IsZero() {
		return
	}
	t.log.Info("Renewed the Lease again", "after", time.Since(t.since).Round(time.Millisecond).String(), "signedMeanwhile", !t.stopped)
	t.since, t.stopped = time.Time{}, false
}
