package controllers

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
)

// serverKeysOwner is the field owner of the Secret.
const serverKeysOwner = client.FieldOwner("tokenwright/serverkeys")

// longestSleep bounds how long nobody looks whether the keys are to be rotated: timers and clocks fail.
const longestSleep = 24 * time.Hour

// serverKeysReconciler keeps the Secret with the keys that servers seal refresh tokens with: it makes it, and rotates it
// before what it sealed can outlive both generations. What is damaged is left as it is, because with it all refresh tokens
// would be lost; servers go on with what they have.
type serverKeysReconciler struct {
	live   client.Reader
	client client.Client
	clock  clock.PassiveClock
	name   client.ObjectKey
}

// addServerKeys adds the controller to the manager. The Secret is asked for once at the start: of one that is not there
// nothing is heard.
func addServerKeys(mgr ctrl.Manager, o Options) error {
	r := &serverKeysReconciler{
		live: mgr.GetAPIReader(), client: mgr.GetClient(), clock: o.Clock,
		name: client.ObjectKey{Namespace: o.Namespace, Name: opaque.SecretName},
	}
	start := make(chan event.GenericEvent, 1)
	start <- event.GenericEvent{Object: &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.name.Namespace, Name: r.name.Name}}}
	ours := predicate.NewPredicateFuncs(func(o client.Object) bool { return client.ObjectKeyFromObject(o) == r.name })
	return ctrl.NewControllerManagedBy(mgr).
		Named("serverkeys").
		For(&corev1.Secret{}, builder.WithPredicates(ours)).
		WatchesRawSource(source.Channel(start, &handler.EnqueueRequestForObject{})).
		WithOptions(controllerOptions(1)).
		Complete(r)
}

// Reconcile makes the Secret, labels it, or rotates its keys, and comes back when that is due.
func (r *serverKeysReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if request.NamespacedName != r.name {
		return ctrl.Result{}, nil
	}
	var secret corev1.Secret
	err := r.live.Get(ctx, r.name, &secret)
	if gone(err) {
		return r.create(ctx)
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("get Secret %s: %w", r.name, err)
	}
	log := ctrl.LoggerFrom(ctx)
	if secret.Type != opaque.SecretType {
		log.Info("Found a Secret of the needed name that is not ours: no refresh token can be issued until it is deleted", "type", secret.Type)
		return ctrl.Result{RequeueAfter: longestSleep}, nil
	}
	keys, err := opaque.Decode(secret.Data)
	if err != nil {
		log.Info("Found the Secret damaged: restore it, or delete it to begin anew, which ends all refresh tokens", "problem", err.Error())
		return ctrl.Result{RequeueAfter: longestSleep}, nil
	}
	now := r.clock.Now()
	if now.Before(keys.Due()) {
		if err := r.label(ctx, &secret); err != nil {
			return ctrl.Result{}, err
		}
		return ctrl.Result{RequeueAfter: min(longestSleep, keys.Due().Sub(now))}, nil
	}
	if keys, err = keys.Rotate(rand.Reader, now); err != nil {
		return ctrl.Result{}, err
	}
	secret.Data = keys.Encode()
	if err := r.update(ctx, &secret); err != nil {
		return ctrl.Result{}, err
	}
	log.Info("Rotated the keys of the servers")
	return ctrl.Result{RequeueAfter: longestSleep}, nil
}

func (r *serverKeysReconciler) create(ctx context.Context) (ctrl.Result, error) {
	keys, err := opaque.Generate(rand.Reader, r.clock.Now())
	if err != nil {
		return ctrl.Result{}, err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.name.Namespace, Name: r.name.Name, Labels: map[string]string{v1alpha1.LabelWatch: "true"}},
		Type:       opaque.SecretType, Data: keys.Encode(),
	}
	if err := r.client.Create(ctx, secret, serverKeysOwner); err != nil {
		return ctrl.Result{}, fmt.Errorf("create Secret %s: %w", r.name, err)
	}
	ctrl.LoggerFrom(ctx).Info("Made the keys of the servers")
	return ctrl.Result{RequeueAfter: longestSleep}, nil
}

// label gives back the label by which servers find the Secret.
func (r *serverKeysReconciler) label(ctx context.Context, secret *corev1.Secret) error {
	if _, ok := secret.Labels[v1alpha1.LabelWatch]; ok {
		return nil
	}
	return r.update(ctx, secret)
}

// update writes with the resourceVersion that was read: of two managers one begins anew.
func (r *serverKeysReconciler) update(ctx context.Context, secret *corev1.Secret) error {
	metav1.SetMetaDataLabel(&secret.ObjectMeta, v1alpha1.LabelWatch, "true")
	if err := r.client.Update(ctx, secret, serverKeysOwner); err != nil {
		return fmt.Errorf("update Secret %s: %w", r.name, err)
	}
	return nil
}
