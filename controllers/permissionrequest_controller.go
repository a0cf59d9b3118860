package controllers

import (
	"context"
	"fmt"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// +kubebuilder:rbac:groups=tokenwright.dev,resources=permissionrequests,verbs=list;watch
// +kubebuilder:rbac:groups=tokenwright.dev,resources=permissionrequests/status,verbs=patch

const (
	// requestConcurrency is how many requests are looked at at once; StatusWritesPerSecond bounds the writes.
	requestConcurrency = 2
	// resourceComes is how long a resource that a new request names may be unknown to the cache.
	resourceComes = 5 * time.Second
	// fieldResource is the index of requests by the resource that they are about.
	fieldResource = "spec.resource.name"
)

// permissionRequestReconciler says in the status of each PermissionRequest whether what was decided is in force. It owns the
// conditions and observedGeneration and nothing else: the decision is of whoever made it.
type permissionRequestReconciler struct {
	reader client.Reader
	status statusWriter
	clock  clock.PassiveClock
}

// addPermissionRequest adds the controller to the manager.
func addPermissionRequest(mgr ctrl.Manager, o Options) error {
	r := &permissionRequestReconciler{reader: mgr.GetClient(), status: o.statusWriter(mgr.GetClient(), "permissionrequest"), clock: o.Clock}
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.PermissionRequest{}, fieldResource, resourceIndex); err != nil {
		return fmt.Errorf("index PermissionRequests by resource: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("permissionrequest").
		For(&v1alpha1.PermissionRequest{}, builder.WithPredicates(decisionChanged())).
		Watches(&v1alpha1.ProtectedResource{}, handler.EnqueueRequestsFromMapFunc(r.about), builder.WithPredicates(servingChanged())).
		WithOptions(controllerOptions(requestConcurrency)).
		Complete(r)
}

// Reconcile compares the request with its resource, and writes what came of it.
func (r *permissionRequestReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var object v1alpha1.PermissionRequest
	if err := r.reader.Get(ctx, request.NamespacedName, &object); err != nil {
		if client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, fmt.Errorf("get PermissionRequest: %w", err)
		}
		return ctrl.Result{}, nil
	}
	about := &v1alpha1.ProtectedResource{}
	err := r.reader.Get(ctx, types.NamespacedName{Namespace: object.Namespace, Name: object.Spec.Resource.Name}, about)
	switch now := r.clock.Now(); {
	case apierrors.IsNotFound(err):
		if left := object.CreationTimestamp.Add(resourceComes).Sub(now); left > 0 {
			// The resource may be as new as the request, and not have been seen.
			return ctrl.Result{RequeueAfter: min(left, resourceComes)}, nil
		}
		about = nil
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("get ProtectedResource: %w", err)
	case about.Status.ObservedGeneration != about.Generation:
		// Whether it is served is about to be said, and the request will be looked at again then.
		return ctrl.Result{}, nil
	}
	previous := v1alpha1.PermissionRequestStatus{
		Conditions: object.Status.Conditions, ObservedGeneration: object.Status.ObservedGeneration,
	}
	next := v1alpha1.PermissionRequestStatus{
		Conditions: nextConditions(metav1.NewTime(r.clock.Now()), object.Generation, previous.Conditions,
			requestCondition(&object, about)),
		ObservedGeneration: object.Generation,
	}
	return r.status.apply(ctx, previous, next, v1alpha1ac.PermissionRequest(object.Name, object.Namespace).
		WithResourceVersion(object.ResourceVersion).
		WithStatus(v1alpha1ac.PermissionRequestStatus().
			WithObservedGeneration(next.ObservedGeneration).
			WithConditions(applied(next.Conditions)...)))
}

// about asks for the requests about a resource.
func (r *permissionRequestReconciler) about(ctx context.Context, object client.Object) []reconcile.Request {
	var list v1alpha1.PermissionRequestList
	err := r.reader.List(ctx, &list, client.InNamespace(object.GetNamespace()), client.MatchingFields{fieldResource: object.GetName()},
		client.UnsafeDisableDeepCopy)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list PermissionRequests")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}

func resourceIndex(object client.Object) []string {
	if q, ok := object.(*v1alpha1.PermissionRequest); ok {
		return []string{q.Spec.Resource.Name}
	}
	return nil
}

// decisionChanged passes requests that are new or whose spec, decision or deletion has changed, and ones whose status somebody
// took away.
func decisionChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*v1alpha1.PermissionRequest)
			after, also := e.ObjectNew.(*v1alpha1.PermissionRequest)
			return ok && also && (specChanged().Update(e) || after.Status.ObservedGeneration != after.Generation ||
				before.Status.State != after.Status.State || !reflect.DeepEqual(before.Status.Scopes, after.Status.Scopes) ||
				!reflect.DeepEqual(before.Spec, after.Spec))
		},
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}

// servingChanged passes resources that are new, changed or gone, and ones of which something else is said: whether they are
// served.
func servingChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.ProtectedResource)
		after, also := e.ObjectNew.(*v1alpha1.ProtectedResource)
		return ok && also && (resourceChanged().Update(e) || before.Status.ObservedGeneration != after.Status.ObservedGeneration ||
			isServed(before) != isServed(after))
	}}
}

// isServed says whether the status of a resource says so.
func isServed(r *v1alpha1.ProtectedResource) bool {
	return r.DeletionTimestamp.IsZero() && meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionAccepted)
}
