package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// +kubebuilder:rbac:groups=tokenwright.dev,namespace=tokenwright-system,resources=issuedtokens;tokenrevocations,verbs=list;watch;delete

// recordGrace is how long a record stays after its end: for people who look, and for a server whose clock is behind.
const recordGrace = 10 * time.Minute

// recordsCollector deletes IssuedTokens and TokenRevocations that do not matter any more. Each time it looks at all of them.
type recordsCollector struct {
	sweeper
	reader client.Reader
	clock  clock.PassiveClock
	Options
}

// addRecordsCollector adds the collector to the manager.
func addRecordsCollector(mgr ctrl.Manager, o Options) error {
	for _, object := range []client.Object{&v1alpha1.IssuedToken{}, &v1alpha1.TokenRevocation{}} {
		if _, err := mgr.GetCache().GetInformer(context.Background(), object, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("watch %T: %w", object, err)
		}
	}
	sweeper, err := o.sweeper(mgr.GetClient())
	if err != nil {
		return err
	}
	return mgr.Add(&recordsCollector{sweeper: sweeper, reader: mgr.GetClient(), clock: o.Clock, Options: o})
}

// sweeper returns what deletes; all of them together delete no faster than one.
func (o Options) sweeper(c client.Client) (sweeper, error) {
	counts, err := newRecordMetrics(metrics.Registry)
	return sweeper{client: c, limit: o.deletionLimit, counts: counts}, err
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: one of two managers collects.
func (*recordsCollector) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable.
func (c *recordsCollector) Start(ctx context.Context) error {
	return keepSwept(ctx, "records", c.collect)
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
	return c.sweep(ctx, deadRecords(tokens.Items, revocations.Items, c.clock.Now().Add(-recordGrace-c.ClockSkew)))
}
