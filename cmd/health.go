package cmd

import (
	"context"
	"errors"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
)

// syncWait is how long one readiness check waits for the caches: less than a probe's own limit of a second.
const syncWait = 500 * time.Millisecond

// syncer is the part of a cache that says whether it holds what there is.
type syncer interface {
	WaitForCacheSync(ctx context.Context) bool
}

// cachesSynced is a readiness check. A manager that waits to lead is ready too: it has no caches to fill yet.
func cachesSynced(caches syncer) healthz.Checker {
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), syncWait)
		defer cancel()
		if !caches.WaitForCacheSync(ctx) {
			return errors.New("the caches are not filled yet")
		}
		return nil
	}
}
