package controllers

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// What a manager that was told to stop has for its last errand; the process gets more, see --shutdown-timeout.
const (
	errandTimeout = 10 * time.Second
	errandPause   = time.Second
)

// leaving lets the SigningKeys go when the manager stops because its namespace is being deleted. Kubernetes deletes the
// pods of a namespace first, and SigningKeys only when no pod is left: then nobody would remove our finalizer, and the
// namespace would stay for ever.
type leaving struct{ *signingKeyReconciler }

// NeedLeaderElection says that every manager does it: which of them is the last is not known.
func (l leaving) NeedLeaderElection() bool { return false }

// Start waits until the manager is told to stop.
func (l leaving) Start(ctx context.Context) error {
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), errandTimeout)
	defer cancel()
	for range attempts {
		err := l.leave(ctx)
		if err == nil {
			return nil
		}
		ctrl.LoggerFrom(ctx).Error(err, "Could not see whether the namespace is being deleted, or let its SigningKeys go")
		select {
		case <-ctx.Done():
		case <-time.After(errandPause):
		}
	}
	return nil // there is nobody left to tell
}

// leave lets every SigningKey of a namespace that is going go: also those that are not yet being deleted, because they
// will be.
func (l leaving) leave(ctx context.Context) error {
	going, err := l.namespaceGoing(ctx)
	if err != nil || !going {
		return err
	}
	keys, _, err := l.read(ctx, types.NamespacedName{})
	failures := []error{err}
	for i := range keys {
		if !controllerutil.ContainsFinalizer(&keys[i], v1alpha1.FinalizerSigningKey) {
			continue
		}
		w, _ := l.begin(&keys[i])
		w.params.Deleting = true
		// Nothing of this may keep the finalizer: it is for the places that copies were put to, and for the authority.
		unread, undeleted := w.load(ctx, w.readHome(ctx)), w.dropAuthority(ctx)
		if unread != nil || undeleted != nil {
			ctrl.LoggerFrom(ctx).Error(errors.Join(unread, undeleted), "Let a SigningKey go though not everything was done", "signingKey", keys[i].Name)
		}
		failures = append(failures, w.release(ctx, true))
	}
	return errors.Join(failures...)
}
