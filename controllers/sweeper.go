package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// collectEvery is how often is looked for objects that do not matter any more.
	collectEvery = time.Minute
	// collectPage is how many are deleted before is looked again, and deletionsPerSecond how fast, over all kinds: 100,000 that
	// end at once are gone after half an hour, and leave the API server to others meanwhile.
	collectPage        = 1000
	deletionsPerSecond = 50
	// collectFailures are so many failures that the API server is not there, or does not let us.
	collectFailures = 10
)

// sweeper deletes objects that do not matter any more. It remembers nothing: which they are is found out anew each time.
type sweeper struct {
	client client.Client
	limit  *rate.Limiter
	counts recordMetrics
}

// sweep deletes one page, and says how many that were and whether there are more.
func (s sweeper) sweep(ctx context.Context, dead []client.Object) (collected int, more bool, err error) {
	if more = len(dead) > collectPage; more {
		dead = dead[:collectPage]
	}
	var failures []error
	for _, object := range dead {
		if err := s.limit.Wait(ctx); err != nil {
			return collected, more, err
		}
		deleted, err := s.delete(ctx, object)
		switch {
		case err != nil:
			s.counts.failures.WithLabelValues(recordKind(object)).Inc()
			failures = append(failures, err)
		case deleted:
			s.counts.collected.WithLabelValues(recordKind(object)).Inc()
			collected++
		}
		if len(failures) == collectFailures {
			break
		}
	}
	return collected, more, errors.Join(failures...)
}

// delete deletes the very object that was looked at; one that has changed since is looked at again.
func (s sweeper) delete(ctx context.Context, object client.Object) (bool, error) {
	uid, version := object.GetUID(), object.GetResourceVersion()
	err := s.client.Delete(ctx, object, client.Preconditions{UID: &uid, ResourceVersion: &version})
	switch {
	case err == nil:
		return true, nil
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return false, nil
	}
	return false, fmt.Errorf("collect %T %s/%s: %w", object, object.GetNamespace(), object.GetName(), err)
}

// keepSwept collects until the context ends. What fails is tried again the next time.
func keepSwept(ctx context.Context, name string, collect func(context.Context) (collected int, more bool, err error)) error {
	log := ctrl.LoggerFrom(ctx).WithName(name)
	for {
		collected, more, err := collect(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			log.Error(err, "Could not collect all records, the rest is tried again")
		}
		if collected > 0 {
			log.Info("Collected records that do not matter any more", "number", collected)
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(collectEvery):
		}
	}
}
