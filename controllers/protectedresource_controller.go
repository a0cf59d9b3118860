package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// +kubebuilder:rbac:groups=tokenwright.dev,resources=protectedresources,verbs=list;watch
// +kubebuilder:rbac:groups=tokenwright.dev,resources=protectedresources/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch

const (
	// resourcesSettle is how long changes that concern an audience are gathered before its resources are looked at.
	resourcesSettle = 500 * time.Millisecond
	// resourcesAtOnce is how many statuses are written before an audience is looked at anew: what would be written later may no
	// longer be true, and another audience has its turn. resourcesPause is so long that the cache has seen what was written.
	resourcesAtOnce = StatusWritesPerSecond
	resourcesPause  = 250 * time.Millisecond
	// resourceFailures are so many failures that the API server is not there. Fewer must not keep the others from their status.
	resourceFailures = 10
	// resourceAudiences is how many audiences are looked at at a time; StatusWritesPerSecond bounds the writes.
	resourceAudiences  = 2
	fieldAudience      = "spec.audience"
	protectedResources = "protectedresource"
)

// protectedResourceReconciler says in the status of each ProtectedResource whether servers serve it. Who holds an id or a uri
// depends on all resources of an audience, so that a request is an audience, and all of its resources are looked at together,
// with what servers use: one look costs the same whatever was changed, and there are at most two a second. To find out only
// about those that claim the same would cost more where a tenant has ten thousand resources claim one uri.
type protectedResourceReconciler struct {
	reader    client.Reader
	status    statusWriter
	clock     clock.PassiveClock
	namespace string
}

// addProtectedResource adds the controller to the manager.
func addProtectedResource(mgr ctrl.Manager, o Options) error {
	r := &protectedResourceReconciler{
		reader: mgr.GetClient(), status: o.statusWriter(mgr.GetClient(), protectedResources), clock: o.Clock, namespace: o.Namespace,
	}
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.ProtectedResource{}, fieldAudience, audienceIndex); err != nil {
		return fmt.Errorf("index ProtectedResources by audience: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named(protectedResources).
		Watches(&v1alpha1.ProtectedResource{}, afterEach(resourcesSettle, audienceIndexed), builder.WithPredicates(resourceChanged())).
		Watches(&v1alpha1.SigningKey{}, afterEach(resourcesSettle, audiencesOfKey), builder.WithPredicates(specChanged())).
		Watches(&corev1.Namespace{}, afterEach(resourcesSettle, r.selectingAudiences), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(controllerOptions(resourceAudiences)).
		Complete(r)
}

// Reconcile looks at all resources of an audience, and writes the statuses that are no longer what they should be.
func (r *protectedResourceReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var list v1alpha1.ProtectedResourceList
	// Nothing is changed in what is read, and there may be very many.
	if err := r.reader.List(ctx, &list, client.MatchingFields{fieldAudience: request.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return ctrl.Result{}, fmt.Errorf("list ProtectedResources of audience %q: %w", request.Name, err)
	}
	if len(list.Items) == 0 {
		return ctrl.Result{}, nil
	}
	known, admitted, err := r.admission(ctx, v1alpha1.Audience(request.Name), list.Items)
	if err != nil {
		return ctrl.Result{}, err
	}
	now, result, written := metav1.NewTime(r.clock.Now()), ctrl.Result{}, 0
	var failures []error
	// What is claimed is written in the order of ages: who came first must not be written down as later because others wait, too.
	slices.SortFunc(list.Items, func(a, b v1alpha1.ProtectedResource) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	judged := judgeResources(now, list.Items, known, admitted)
	for i := range list.Items {
		object := &list.Items[i]
		next := protectedResourceStatus(now, object, judged[i])
		if sameStatus(object.Status, next) {
			continue
		}
		one, err := r.status.apply(ctx, object.Status, next, appliedResource(object, next))
		if err != nil {
			failures = append(failures, fmt.Errorf("ProtectedResource %s/%s: %w", object.Namespace, object.Name, err))
		}
		if !one.IsZero() {
			result = one
		}
		if written++; len(failures) == resourceFailures {
			break
		}
		if written == resourcesAtOnce {
			if len(failures) > 0 {
				ctrl.LoggerFrom(ctx).Error(errors.Join(failures...), "Could not write all statuses, the rest is tried again")
			}
			return ctrl.Result{RequeueAfter: resourcesPause}, nil
		}
	}
	if len(failures) > 0 {
		return ctrl.Result{}, errors.Join(failures...)
	}
	return result, nil
}

// sameStatus says whether there is nothing to write. Somebody else may have put the uris in another order.
func sameStatus(written, next v1alpha1.ProtectedResourceStatus) bool {
	written.URIs = slices.SortedFunc(slices.Values(written.URIs), func(a, b v1alpha1.ClaimedURI) int { return strings.Compare(a.URI, b.URI) })
	return equality.Semantic.DeepEqual(written, next)
}

func appliedResource(object *v1alpha1.ProtectedResource, next v1alpha1.ProtectedResourceStatus) *v1alpha1ac.ProtectedResourceApplyConfiguration {
	status := v1alpha1ac.ProtectedResourceStatus().WithObservedGeneration(next.ObservedGeneration).WithConditions(applied(next.Conditions)...)
	if next.ID != "" {
		status.WithID(next.ID)
	}
	for _, u := range next.URIs {
		status.WithURIs(v1alpha1ac.ClaimedURI().WithURI(u.URI).WithSince(u.Since))
	}
	return v1alpha1ac.ProtectedResource(object.Name, object.Namespace).WithResourceVersion(object.ResourceVersion).WithStatus(status)
}

// admission says whether the audience is known, and which of the namespaces of the objects it admits.
func (r *protectedResourceReconciler) admission(ctx context.Context, audience v1alpha1.Audience, objects []v1alpha1.ProtectedResource) (known bool, admitted map[string]bool, err error) {
	var keys v1alpha1.SigningKeyList
	if err := r.reader.List(ctx, &keys, client.InNamespace(r.namespace), client.UnsafeDisableDeepCopy); err != nil {
		return false, nil, fmt.Errorf("list SigningKeys: %w", err)
	}
	owner, known := keyring.AudienceOwners(keys.Items)[audience]
	var selection keyring.Selection
	for i := range keys.Items {
		if keys.Items[i].Name == owner {
			selection = keyring.SelectionOf(keys.Items[i].Spec.Namespaces)
		}
	}
	admitted = map[string]bool{}
	for i := range objects {
		name := objects[i].Namespace
		if _, asked := admitted[name]; asked {
			continue
		}
		if admitted[name] = selection.Every(); admitted[name] {
			continue
		}
		var namespace corev1.Namespace
		err := r.reader.Get(ctx, client.ObjectKey{Name: name}, &namespace, client.UnsafeDisableDeepCopy)
		if client.IgnoreNotFound(err) != nil {
			return false, nil, fmt.Errorf("get namespace %q: %w", name, err)
		}
		admitted[name] = err == nil && selection.Admits(namespace.Labels)
	}
	return known, admitted, nil
}

// audienceIndex is what a resource is found by.
func audienceIndex(object client.Object) []string {
	if r, ok := object.(*v1alpha1.ProtectedResource); ok {
		return []string{string(r.Spec.Audience)}
	}
	return nil
}

// audienceIndexed, audiencesOfKey and selectingAudiences are the audiences that an object concerns.
func audienceIndexed(_ context.Context, object client.Object) []string { return audienceIndex(object) }

func audiencesOfKey(_ context.Context, object client.Object) []string {
	key, ok := object.(*v1alpha1.SigningKey)
	if !ok {
		return nil
	}
	audiences := make([]string, 0, len(key.Spec.Audiences))
	for _, audience := range key.Spec.Audiences {
		audiences = append(audiences, string(audience))
	}
	return audiences
}

// selectingAudiences are those whose SigningKeys select namespaces by labels: the others do not look at a namespace.
func (r *protectedResourceReconciler) selectingAudiences(ctx context.Context, _ client.Object) []string {
	var keys v1alpha1.SigningKeyList
	if err := r.reader.List(ctx, &keys, client.InNamespace(r.namespace), client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list SigningKeys")
		return nil
	}
	var audiences []string
	for i := range keys.Items {
		if keys.Items[i].Spec.Namespaces.From == v1alpha1.NamespacesSelector {
			audiences = append(audiences, audiencesOfKey(ctx, &keys.Items[i])...)
		}
	}
	return audiences
}

// resourceChanged passes what can change what is served: resources that are new, changed or gone, and ones whose status
// somebody took away. Our own writes do not pass. Generations do not tell everything: after a restore of etcd the same number
// can stand for another spec.
func resourceChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.ProtectedResource)
		after, also := e.ObjectNew.(*v1alpha1.ProtectedResource)
		return ok && also && (specChanged().Update(e) || after.Status.ObservedGeneration != after.Generation ||
			!reflect.DeepEqual(before.Spec, after.Spec) || len(resource.Kept(after)) < len(resource.Kept(before)))
	}}
}
