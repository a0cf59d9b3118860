package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// +kubebuilder:rbac:groups=tokenwright.dev,namespace=tokenwright-system,resources=issuedtokens;tokenrevocations,verbs=list;watch;delete

const (
	// collectEvery is how often is looked for records that do not matter any more.
	collectEvery = time.Minute
	// collectPage is how many are deleted before is looked again, and deletionsPerSecond how fast: 100,000 that end at once
	// are gone after half an hour, and leave the API server to others meanwhile.
	collectPage        = 1000
	deletionsPerSecond = 50
	// collectFailures are so many failures that the API server is not there, or does not let us.
	collectFailures = 10
	// recordGrace is how long a record stays after its end: for people who look, and for a server whose clock is behind.
	recordGrace = 10 * time.Minute
)

// recordsCollector deletes IssuedTokens and TokenRevocations that do not matter any more. It remembers nothing: each time
// it looks at all of them.
type recordsCollector struct {
	reader client.Reader
	client client.Client
	clock  clock.PassiveClock
	limit  *rate.Limiter
	counts recordMetrics
	Options
}

// addRecordsCollector adds the collector to the manager.
func addRecordsCollector(mgr ctrl.Manager, o Options) error {
	counts, err := newRecordMetrics(metrics.Registry)
	if err != nil {
		return err
	}
	for _, object := range []client.Object{&v1alpha1.IssuedToken{}, &v1alpha1.TokenRevocation{}} {
		if _, err := mgr.GetCache().GetInformer(context.Background(), object, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("watch %T: %w", object, err)
		}
	}
	return mgr.Add(&recordsCollector{
		reader: mgr.GetClient(), client: mgr.GetClient(), clock: o.Clock, limit: rate.NewLimiter(deletionsPerSecond, 1),
		counts: counts, Options: o,
	})
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: one of two managers collects.
func (*recordsCollector) NeedLeaderElection() bool { return true }

// Start collects until the context ends. What fails is tried again the next time.
func (c *recordsCollector) Start(ctx context.Context) error {
	log := ctrl.LoggerFrom(ctx).WithName("records")
	for {
		collected, more, err := c.collect(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			log.Error(err, "Could not collect all records, the rest is tried again")
		}
		if collected > 0 {
			log.Info("Collected records of tokens and revocations", "number", collected)
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

// collect deletes one page, and says how many that were and whether there are more.
func (c *recordsCollector) collect(ctx context.Context) (collected int, more bool, err error) {
	var tokens v1alpha1.IssuedTokenList
	var revocations v1alpha1.TokenRevocationList
	// The objects are the cache's own, and are not changed.
	for _, list := range []client.ObjectList{&tokens, &revocations} {
		if err := c.reader.List(ctx, list, client.InNamespace(c.Namespace), client.UnsafeDisableDeepCopy); err != nil {
			c.counts.failures.WithLabelValues(recordKind(list)).Inc()
			return 0, false, fmt.Errorf("list records: %w", err)
		}
	}
	dead := deadRecords(tokens.Items, revocations.Items, c.clock.Now().Add(-recordGrace-c.ClockSkew))
	if more = len(dead) > collectPage; more {
		dead = dead[:collectPage]
	}
	var failures []error
	for _, object := range dead {
		if err := c.limit.Wait(ctx); err != nil {
			return collected, more, err
		}
		deleted, err := c.delete(ctx, object)
		switch {
		case err != nil:
			c.counts.failures.WithLabelValues(recordKind(object)).Inc()
			failures = append(failures, err)
		case deleted:
			c.counts.collected.WithLabelValues(recordKind(object)).Inc()
			collected++
		}
		if len(failures) == collectFailures {
			break
		}
	}
	return collected, more, errors.Join(failures...)
}

// delete deletes the very object that was looked at; one that has changed since is looked at again.
func (c *recordsCollector) delete(ctx context.Context, object client.Object) (bool, error) {
	uid, version := object.GetUID(), object.GetResourceVersion()
	err := c.client.Delete(ctx, object, client.Preconditions{UID: &uid, ResourceVersion: &version})
	switch {
	case err == nil:
		return true, nil
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return false, nil
	}
	return false, fmt.Errorf("collect %T %s/%s: %w", object, object.GetNamespace(), object.GetName(), err)
}
