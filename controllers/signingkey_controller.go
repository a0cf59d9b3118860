package controllers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// +kubebuilder:rbac:groups=tokenwright.dev,namespace=tokenwright-system,resources=signingkeys,verbs=list;watch;patch
// +kubebuilder:rbac:groups=tokenwright.dev,namespace=tokenwright-system,resources=signingkeys/status,verbs=patch
// +kubebuilder:rbac:groups="",namespace=tokenwright-system,resources=secrets,verbs=get;list;watch;create;update
// +kubebuilder:rbac:groups="",namespace=tokenwright-ca,resources=secrets,verbs=get;create;update;delete
// +kubebuilder:rbac:groups="",namespace=tokenwright-system,resources=configmaps,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,namespace=tokenwright-system,resources=events,verbs=create;patch

// signingKeyOwner is the field owner of what the controller applies.
const signingKeyOwner = client.FieldOwner("tokenwright/signingkey")

// How often a SigningKey is looked at though nothing happened: what is in other namespaces is not watched, nor is what is
// not labelled. One that waits for a person is looked at each minute.
const (
	recheckKeys   = time.Hour
	recheckCopies = time.Minute
)

// signingKeyReconciler makes, publishes and rotates the keys of SigningKeys. Whatever it decides by, it reads from the
// API server itself: a cache that is behind would make it drop a key that signs.
type signingKeyReconciler struct {
	live     client.Reader
	client   client.Client
	status   statusWriter
	recorder events.EventRecorder
	metrics  *keyMetrics
	clock    clock.PassiveClock
	random   io.Reader
	leases   *leaseSightings
	// standbys has the names of the SigningKeys whose standby waits for servers; nil: it is not known which do.
	standbys *sync.Map
	Options
}

// addSigningKey adds the controller to the manager.
func addSigningKey(mgr ctrl.Manager, o Options) error {
	figures, err := registerKeyMetrics(metrics.Registry, o.Clock)
	if err != nil {
		return err
	}
	var leases leaseSightings // its own: it reads from a cache, which may be behind
	figures.ask(func(ctx context.Context) ([]keyring.Ack, error) {
		return serverAcks(ctx, mgr.GetClient(), o.Namespace, leases.at(o.Clock.Now(), o))
	})
	r := &signingKeyReconciler{
		live:     mgr.GetAPIReader(),
		client:   mgr.GetClient(),
		status:   o.statusWriter(mgr.GetClient(), "signingkey"),
		recorder: mgr.GetEventRecorder("tokenwright-signingkey"),
		metrics:  figures,
		clock:    o.Clock,
		random:   rand.Reader,
		leases:   &leaseSightings{},
		standbys: &sync.Map{},
		Options:  o,
	}
	whole := &leaving{signingKeyReconciler: r}
	if err := mgr.Add(whole); err != nil {
		return fmt.Errorf("add what is done at the end: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("signingkey").
		For(&v1alpha1.SigningKey{}).
		// SigningKeys take audiences from each other, so a change of one is looked at by all; there are few.
		Watches(&v1alpha1.SigningKey{}, handler.EnqueueRequestsFromMapFunc(r.others), builder.WithPredicates(specChanged())).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.owning)).
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.owning)).
		Watches(&coordinationv1.Lease{}, r.calmly(), builder.WithPredicates(whatServersServeChanged())).
		WithOptions(controllerOptions(2)).
		Complete(whole)
}

// Reconcile does what is due to the keys of one SigningKey, and says in its status what came of it: also what failed,
// which it does again.
func (r *signingKeyReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	keys, key, failure := r.readHeld(ctx, request.NamespacedName)
	switch {
	case key == nil && failure != nil:
		return ctrl.Result{}, failure
	case key == nil:
		r.forget(request.Name)
		return ctrl.Result{}, nil // what it owned in its namespace goes with it
	case !key.DeletionTimestamp.IsZero():
		return r.end(ctx, key)
	}
	work, specProblems := r.begin(key)
	failure = errors.Join(failure, work.keepKeys(ctx), work.keepPublications(ctx))
	if work.raced {
		return ctrl.Result{}, failure // whoever was faster says what there is
	}
	// What is wrong with the keys comes before what is wrong with the spec.
	work.problems = append(append(work.problems, specProblems...), takenAudiences(key, keys)...)
	now := r.clock.Now()
	if work.readable {
		r.metrics.observe(key.Name, work.params, work.ring, work.authority.Until())
	}
	next := signingKeyStatus(metav1.NewTime(now), work)
	result, err := work.say(ctx, next)
	if result.IsZero() {
		result.RequeueAfter = work.requeueAfter(now)
	}
	return result, errors.Join(failure, err)
}

// forget drops what is in memory of a SigningKey that is gone.
func (r *signingKeyReconciler) forget(name string) {
	r.metrics.forget(name)
	if r.standbys != nil {
		r.standbys.Delete(name)
	}
}

// requeueAfter is the time to the next transition, and never longer than the recheck. What became due after the plan was
// made, while this reconcile still wrote, is looked at again at once.
func (w *keyWork) requeueAfter(now time.Time) time.Duration {
	after := recheckKeys
	switch {
	case len(w.allProblems()) > 0:
		after = recheck
	case len(w.ring.Publications) > 1:
		after = recheckCopies
	}
	planned := now
	if !w.planned.IsZero() {
		planned = w.planned
	}
	for _, wake := range []time.Time{w.params.Wake(planned, w.ring), w.waitWake(planned), w.warnWake(now)} {
		if !wake.IsZero() {
			after = min(after, max(firstRetry, wake.Sub(now)))
		}
	}
	return after
}

// read returns all SigningKeys, and among them the one of the name, nil if there is none.
func (r *signingKeyReconciler) read(ctx context.Context, name types.NamespacedName) ([]v1alpha1.SigningKey, *v1alpha1.SigningKey, error) {
	var keys v1alpha1.SigningKeyList
	if err := r.live.List(ctx, &keys, client.InNamespace(r.Namespace)); err != nil {
		return nil, nil, fmt.Errorf("list SigningKeys: %w", err)
	}
	for i := range keys.Items {
		if k := &keys.Items[i]; client.ObjectKeyFromObject(k) == name {
			return keys.Items, k, nil
		}
	}
	return keys.Items, nil, nil
}

// takenAudiences says which audiences an older SigningKey holds.
func takenAudiences(key *v1alpha1.SigningKey, keys []v1alpha1.SigningKey) []keyring.Problem {
	owners := keyring.AudienceOwners(keys)
	var taken []string
	for _, audience := range key.Spec.Audiences {
		if owner := owners[audience]; owner != key.Name {
			taken = append(taken, fmt.Sprintf("audience %q is held by the older SigningKey %q", audience, owner))
		}
	}
	if len(taken) == 0 {
		return nil
	}
	return []keyring.Problem{{Reason: v1alpha1.ReasonAudienceTaken, Message: listed(taken)}}
}

// others asks for every other SigningKey to be looked at again.
func (r *signingKeyReconciler) others(ctx context.Context, object client.Object) []reconcile.Request {
	return r.requests(ctx, func(k *v1alpha1.SigningKey) bool { return k.Name != object.GetName() })
}

// owning asks for the SigningKey whose Secret or ConfigMap this is, or would be: also a foreign object that takes the
// name, or gives it up, if it has the label.
func (r *signingKeyReconciler) owning(ctx context.Context, object client.Object) []reconcile.Request {
	label := object.GetLabels()[v1alpha1.LabelSigningKey]
	return r.requests(ctx, func(k *v1alpha1.SigningKey) bool {
		return keyring.Label(k.Name) == label || strings.HasPrefix(object.GetName(), k.Name+"-")
	})
}

func (r *signingKeyReconciler) requests(ctx context.Context, match func(*v1alpha1.SigningKey) bool) []reconcile.Request {
	var keys v1alpha1.SigningKeyList
	if err := r.client.List(ctx, &keys, client.InNamespace(r.Namespace)); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list SigningKeys")
		return nil
	}
	var requests []reconcile.Request
	for i := range keys.Items {
		if k := &keys.Items[i]; match(k) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(k)})
		}
	}
	return requests
}

// gone says whether the error is that the object does not exist.
func gone(err error) bool { return apierrors.IsNotFound(err) }
