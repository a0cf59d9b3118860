package controllers

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
)

// What a manager that was told to stop has for its last errand; the process gets more, see --shutdown-timeout.
const (
	errandTimeout = 10 * time.Second
	errandPause   = time.Second
)

// leaving is the reconciler, and lets the SigningKeys go when the manager stops because its namespace is being deleted.
// Kubernetes deletes the pods of a namespace first, and SigningKeys only when no pod is left: then nobody would remove our
// finalizer, and the namespace would stay for ever.
type leaving struct {
	*signingKeyReconciler
	// working is held by those who reconcile; the last errand waits for them. A manager that stops reconciles on until it
	// is done.
	working sync.RWMutex
}

// Reconcile is the reconciler's.
func (l *leaving) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	l.working.RLock()
	defer l.working.RUnlock()
	return l.signingKeyReconciler.Reconcile(ctx, request)
}

// NeedLeaderElection says that every manager does it: which of them is the last is not known.
func (l *leaving) NeedLeaderElection() bool { return false }

// Start waits until the manager is told to stop.
func (l *leaving) Start(ctx context.Context) error {
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
// will be, and those that another manager has let go, because the one that led may have put something somewhere since.
func (l *leaving) leave(ctx context.Context) error {
	going, err := l.namespaceGoing(ctx)
	if err != nil || !going {
		return err
	}
	l.working.Lock()
	defer l.working.Unlock()
	keys, _, err := l.read(ctx, types.NamespacedName{})
	failures := []error{err}
	for i := range keys {
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
