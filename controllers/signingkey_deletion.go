package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// +kubebuilder:rbac:groups="",namespace=tokenwright-system,resources=namespaces,verbs=get

// finalizerOwner is the field owner of our finalizer, and of nothing else: what a person says in the spec stays theirs.
const finalizerOwner = client.FieldOwner("tokenwright/signingkey-finalizer")

// readHeld reads all SigningKeys, and sees to it that the one of the name is held by our finalizer before anything is
// made for it. One that has keys already goes on without, should the API server refuse: its keys must be rotated. In a
// namespace that is going, one that is not held is not there: nobody would take away what is made for it.
func (r *signingKeyReconciler) readHeld(ctx context.Context, name types.NamespacedName) ([]v1alpha1.SigningKey, *v1alpha1.SigningKey, error) {
	keys, key, err := r.read(ctx, name)
	if err != nil || key == nil || !key.DeletionTimestamp.IsZero() || controllerutil.ContainsFinalizer(key, v1alpha1.FinalizerSigningKey) {
		return keys, key, err
	}
	going, err := r.namespaceGoing(ctx)
	if err == nil && going {
		return keys, nil, nil
	}
	if err == nil {
		err = r.hold(ctx, key)
	}
	switch {
	case err == nil:
		return r.read(ctx, name)
	case outpaced(err) || len(key.Status.Keys) == 0:
		return nil, nil, err
	}
	return keys, key, err
}

// hold adds our finalizer.
func (r *signingKeyReconciler) hold(ctx context.Context, key *v1alpha1.SigningKey) error {
	configuration := v1alpha1ac.SigningKey(key.Name, key.Namespace).WithResourceVersion(key.ResourceVersion).
		WithFinalizers(v1alpha1.FinalizerSigningKey)
	if err := r.client.Apply(ctx, configuration, finalizerOwner, client.ForceOwnership); err != nil {
		return fmt.Errorf("add the finalizer to SigningKey %s: %w", key.Name, err)
	}
	return nil
}

// namespaceGoing says whether the system namespace is being deleted. Where there is none, there is no SigningKey either.
func (r *signingKeyReconciler) namespaceGoing(ctx context.Context) (bool, error) {
	var namespace corev1.Namespace
	err := r.live.Get(ctx, client.ObjectKey{Name: r.Namespace}, &namespace)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("get namespace %s: %w", r.Namespace, err)
	}
	return !namespace.DeletionTimestamp.IsZero(), nil
}

// end brings a SigningKey that is being deleted to its end. Its keys sign no more, nothing is certified any more, and
// what they signed verifies until it is dead. Then our finalizer goes, and with the SigningKey what it owns.
func (r *signingKeyReconciler) end(ctx context.Context, key *v1alpha1.SigningKey) (ctrl.Result, error) {
	w, _ := r.begin(key)
	failure := w.keepKeys(ctx)
	now := w.now()
	over, err := w.over(ctx, now)
	if over || !w.raced && !dependentsFirst(key) {
		failure = errors.Join(failure, w.dropAuthority(ctx))
	}
	if !controllerutil.ContainsFinalizer(key, v1alpha1.FinalizerSigningKey) {
		r.metrics.forget(key.Name)
		return ctrl.Result{}, failure // others hold it, with finalizers of theirs
	}
	if w.readable {
		r.metrics.observe(key.Name, w.params, w.ring, w.authority.Until())
	} else {
		r.metrics.end(key.Name)
	}
	if over || err == nil && failure == nil && !now.Before(w.heldUntil()) {
		return r.letGo(ctx, w, over)
	}
	if w.raced {
		return ctrl.Result{}, errors.Join(failure, err) // whoever was faster says what there is
	}
	failure = errors.Join(failure, err)
	if len(w.ring.Keys) > 0 {
		failure = errors.Join(failure, w.keepPublications(ctx))
	}
	return r.sayLeaving(ctx, w, failure)
}

// dependentsFirst says whether the garbage collector is about to delete what the SigningKey owns, before the SigningKey
// itself: --cascade=foreground. The authority is then needed to say what ca.crt said.
func dependentsFirst(key *v1alpha1.SigningKey) bool {
	return controllerutil.ContainsFinalizer(key, metav1.FinalizerDeleteDependents)
}

// letGo takes away what is in other namespaces, and then our finalizer. If the time is over, it does so whatever remains.
func (r *signingKeyReconciler) letGo(ctx context.Context, w *keyWork, over bool) (ctrl.Result, error) {
	err := w.release(ctx, over)
	if err == nil || over {
		return ctrl.Result{}, err
	}
	return r.sayLeaving(ctx, w, err)
}

// over says whether the SigningKey must not be held any longer, whatever remains of it: its last token is dead, somebody
// asks for it, or the namespace is going.
func (w *keyWork) over(ctx context.Context, now time.Time) (bool, error) {
	if _, forced := w.key.Annotations[v1alpha1.AnnotationForceDelete]; forced || !now.Before(w.heldAtMost()) {
		return true, nil
	}
	return w.namespaceGoing(ctx)
}

// heldAtMost is when the SigningKey goes whatever happens. Where the keys cannot be read, the status tells which there
// were.
func (w *keyWork) heldAtMost() time.Time {
	since, ring := w.key.DeletionTimestamp.UTC(), w.ring
	if !w.readable {
		ring = keyring.Recover(w.key.Status, since, 0)
	}
	return w.params.HeldAtMost(since, ring)
}

// heldUntil is when the SigningKey goes if all is well; zero if nothing has to be waited for.
func (w *keyWork) heldUntil() time.Time {
	if !w.readable {
		return w.heldAtMost()
	}
	return w.params.HeldUntil(w.key.DeletionTimestamp.UTC(), w.ring)
}

// until is what the status says: something that is done again and again until it succeeds is done until then, too.
func (w *keyWork) until() time.Time {
	if until := w.heldUntil(); !until.IsZero() {
		return until
	}
	return w.heldAtMost()
}

// sayLeaving writes the status of a SigningKey that is still held. It is looked at each minute, because nothing tells
// that the namespace is going.
func (r *signingKeyReconciler) sayLeaving(ctx context.Context, w *keyWork, failure error) (ctrl.Result, error) {
	now := w.now()
	next := signingKeyStatus(metav1.NewTime(now), w)
	result, err := w.say(ctx, next)
	if result.IsZero() {
		result.RequeueAfter = max(firstRetry, min(recheck, w.until().Sub(now)))
	}
	return result, errors.Join(failure, err)
}

// leavingCondition is Ready while the SigningKey is being deleted. It is not Stalled: it goes without anybody's help.
func (w *keyWork) leavingCondition(problems []keyring.Problem) condition {
	message := fmt.Sprintf("The SigningKey is being deleted: it signs nothing, and its public keys stay until %s, when the last token is dead; "+
		"the annotation %s lets it go at once", w.until().Format(time.RFC3339), v1alpha1.AnnotationForceDelete)
	if len(problems) > 0 {
		message += "; " + messages(problems)
	}
	return isFalse(v1alpha1.ConditionReady, v1alpha1.ReasonDeleting, message)
}
