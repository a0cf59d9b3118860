package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// +kubebuilder:rbac:groups=tokenwright.dev,resources=permissionrequests,verbs=delete

// How long PermissionRequests stay: undecided ones from their creation on, denied ones from the decision on. Approved ones stay
// as long as their resource, which goes by recordGrace.
const (
	undecidedStays = 30 * 24 * time.Hour
	deniedStays    = 30 * 24 * time.Hour
)

// requestsCollector deletes PermissionRequests that do not matter any more. Each time it looks at all of them.
type requestsCollector struct {
	sweeper
	reader client.Reader
	// live reads past the cache, which may not have seen the resource of a new request yet.
	live  client.Reader
	clock clock.PassiveClock
	Options
}

// addRequestsCollector adds the collector to the manager. Both kinds are watched by permissionRequestReconciler.
func addRequestsCollector(mgr ctrl.Manager, o Options) error {
	sweeper, err := o.sweeper(mgr.GetClient())
	if err != nil {
		return err
	}
	return mgr.Add(&requestsCollector{
		sweeper: sweeper, reader: mgr.GetClient(), live: mgr.GetAPIReader(), clock: o.Clock, Options: o,
	})
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: one of two managers collects.
func (*requestsCollector) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable.
func (c *requestsCollector) Start(ctx context.Context) error {
	return keepSwept(ctx, "permissionrequests", c.collect)
}

// collect deletes one page, and says how many that were and whether there are more.
func (c *requestsCollector) collect(ctx context.Context) (collected int, more bool, err error) {
	fail := func(what string, err error) (int, bool, error) {
		c.counts.failures.WithLabelValues(kindPermissionRequest).Inc()
		return 0, false, fmt.Errorf("%s: %w", what, err)
	}
	var requests v1alpha1.PermissionRequestList
	var resources v1alpha1.ProtectedResourceList
	for _, list := range []client.ObjectList{&requests, &resources} {
		if err := c.reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return fail("list PermissionRequests and their resources", err)
		}
	}
	there := make(map[requestedResource]bool, len(resources.Items))
	for i := range resources.Items {
		there[theResource(&resources.Items[i])] = true
	}
	ended := c.clock.Now().Add(-c.ClockSkew)
	var dead []client.Object
	for i := range requests.Items {
		q := &requests.Items[i]
		if !q.DeletionTimestamp.IsZero() {
			continue
		}
		over := requestOver(q, ended)
		if !over && !there[resourceRequested(q)] && q.CreationTimestamp.Add(recordGrace).Before(ended) {
			if over, err = c.orphaned(ctx, q); err != nil {
				return fail("look for the resource of a PermissionRequest", err)
			}
		}
		if over {
			dead = append(dead, q)
		}
		if len(dead) > collectPage {
			break
		}
	}
	return c.sweep(ctx, dead)
}

// orphaned asks the API server itself whether the resource is gone. It lists, because the manager may not get.
func (c *requestsCollector) orphaned(ctx context.Context, q *v1alpha1.PermissionRequest) (bool, error) {
	if err := c.limit.Wait(ctx); err != nil {
		return false, err
	}
	var found v1alpha1.ProtectedResourceList
	err := c.live.List(ctx, &found, client.InNamespace(q.Namespace), client.MatchingFields{"metadata.name": q.Spec.Resource.Name})
	if err != nil {
		return false, fmt.Errorf("list ProtectedResource %s/%s: %w", q.Namespace, q.Spec.Resource.Name, err)
	}
	for i := range found.Items {
		if theResource(&found.Items[i]) == resourceRequested(q) {
			return false, nil
		}
	}
	return true, nil
}

// requestedResource is one resource, and not another one of its name.
type requestedResource struct {
	types.NamespacedName
	uid string
}

func theResource(r *v1alpha1.ProtectedResource) requestedResource {
	return requestedResource{client.ObjectKeyFromObject(r), string(r.UID)}
}

func resourceRequested(q *v1alpha1.PermissionRequest) requestedResource {
	return requestedResource{types.NamespacedName{Namespace: q.Namespace, Name: q.Spec.Resource.Name}, q.Spec.Resource.UID}
}

// requestOver says whether a request has stayed for as long as it may.
func requestOver(q *v1alpha1.PermissionRequest, ended time.Time) bool {
	switch q.Status.State {
	case v1alpha1.RequestApproved:
		return false
	case v1alpha1.RequestDenied:
		return decided(q).Add(deniedStays).Before(ended)
	}
	return q.CreationTimestamp.Add(undecidedStays).Before(ended)
}

// decided is when a request was decided: the later of what whoever decided says, who may have left it out or left an earlier
// one, and of when the manager first saw the decision in force. If neither is known it is not over.
func decided(q *v1alpha1.PermissionRequest) time.Time {
	at, err := q.Status.DecidedAt.Parse()
	ready := meta.FindStatusCondition(q.Status.Conditions, v1alpha1.ConditionReady)
	seen := ready != nil && ready.Reason == v1alpha1.ReasonDenied
	switch {
	case err != nil && !seen:
		return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	case err != nil || seen && ready.LastTransitionTime.After(at):
		return ready.LastTransitionTime.Time
	}
	return at
}
