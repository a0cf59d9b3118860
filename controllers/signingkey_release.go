package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// attempts is how often one thing is tried before it is left: somebody else may change what is to be deleted meanwhile.
const attempts = 3

// persistent does it again where it failed, a bounded number of times, unless there is no right to do it.
func persistent(do func() error) error {
	var err error
	for range attempts {
		if err = do(); err == nil || forbidden(err) {
			break
		}
	}
	return err
}

// keepTrust sees to the certificate authority. Of a SigningKey that is being deleted only what ca.crt says is kept: it is
// in the key set, or else in the ConfigMap, or else in the authority's Secret as long as that is there.
func (w *keyWork) keepTrust(ctx context.Context, home public) error {
	if !w.params.Deleting {
		return w.keepAuthority(ctx, home)
	}
	if len(w.ring.Authorities) == 0 {
		w.ring.Authorities = keyring.RecoverTrust(home.authorities, w.now())
	}
	if len(w.ring.Authorities) > 0 || w.secret != nil {
		return nil
	}
	if w.caErr != nil {
		return w.caErr
	}
	if w.caSecret != nil && w.ownsAuthority(w.caSecret) == nil {
		w.ring.Authorities = keyring.RecoverTrust(keyring.ParseAuthorities(w.caSecret.Data[keyring.EntryAuthorities]), w.now())
	}
	return nil
}

// dropAuthority deletes the Secret of the certificate authority if it is ours: nothing will be certified any more, and
// nobody shall be able to. It is not left to the end, and not for the sake of tokens: they verify by ca.crt.
func (w *keyWork) dropAuthority(ctx context.Context) error {
	name := w.caName()
	err := persistent(func() error {
		var secret corev1.Secret
		if err := w.live.Get(ctx, name, &secret); err != nil {
			return client.IgnoreNotFound(err)
		}
		if w.ownsAuthority(&secret) != nil {
			return nil
		}
		err := w.client.Delete(ctx, &secret, client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion})
		return client.IgnoreNotFound(err)
	})
	if err == nil {
		return nil
	}
	w.left = append(w.left, "Secret "+name.String())
	w.stall(v1alpha1.ReasonRequestFailed, "Secret %s with the certificate authority could not be deleted; the manager's log says why", name)
	return fmt.Errorf("delete Secret %s: %w", name, err)
}

// release deletes what no owner reference reaches, and removes our finalizer. Everything else is the garbage collector's.
// Where it must go, what could not be deleted is told to whoever reads events: nobody else will know of it.
func (w *keyWork) release(ctx context.Context, must bool) error {
	err := w.withdrawCopies(ctx)
	if err != nil && !must {
		return err
	}
	log := ctrl.LoggerFrom(ctx).WithValues("signingKey", w.key.Name)
	if len(w.left) > 0 {
		log.Error(err, "Could not delete what the SigningKey leaves behind", "objects", w.left)
		w.recorder.Eventf(w.key, nil, corev1.EventTypeWarning, "LeftBehind", "Release",
			"The SigningKey goes, and this could not be deleted; if it is there, delete it by hand: %s", strings.Join(w.left, ", "))
	}
	released := w.key.DeepCopy()
	if !controllerutil.RemoveFinalizer(released, v1alpha1.FinalizerSigningKey) {
		return nil
	}
	// Not by an apply: the finalizer must go also if somebody else, such as a backup's restore, says that it is theirs.
	patch := client.MergeFromWithOptions(w.key, client.MergeFromWithOptimisticLock{})
	if err := client.IgnoreNotFound(w.client.Patch(ctx, released, patch, finalizerOwner)); err != nil {
		return fmt.Errorf("remove the finalizer from SigningKey %s: %w", w.key.Name, err)
	}
	log.Info("Let the SigningKey go")
	return nil
}

// withdrawCopies deletes the copies in other namespaces that are ours.
func (w *keyWork) withdrawCopies(ctx context.Context) error {
	var failure error
	places := w.places()
	for _, place := range w.ring.Publications {
		if !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	for _, place := range places {
		if place.Namespace == w.key.Namespace {
			continue // the garbage collector's
		}
		err := persistent(func() error { return w.withdraw(ctx, place) })
		if err == nil {
			continue
		}
		failure = errors.Join(failure, err)
		w.left = append(w.left, fmt.Sprintf("ConfigMap %s/%s", place.Namespace, place.Name))
		w.copies = append(w.copies, keyring.Problem{
			Reason:  v1alpha1.ReasonRequestFailed,
			Message: fmt.Sprintf("ConfigMap %s/%s could not be deleted; the manager's log says why", place.Namespace, place.Name),
		})
	}
	return failure
}
