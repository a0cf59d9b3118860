package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// keepPublications puts copies where they shall be and takes them away where they shall not be any more. It comes after
// the keys, so that nothing here holds up a rotation. While the Secret cannot be written it does nothing: what is put
// somewhere must be noted there before.
func (w *keyWork) keepPublications(ctx context.Context) error {
	if !w.readable || w.secret == nil || w.unsaved {
		return nil
	}
	places := w.places()
	var failures []error
	for _, place := range places[1:] {
		failures = append(failures, w.note(place, w.publish(ctx, place)))
	}
	kept := make([]keyring.Publication, 0, len(w.ring.Publications))
	for _, place := range w.ring.Publications {
		if slices.Contains(places, place) {
			kept = append(kept, place)
			continue
		}
		if !w.served {
			kept = append(kept, place) // an old place goes only when the new one holds the keys
			continue
		}
		err := w.withdraw(ctx, place)
		if err != nil {
			kept = append(kept, place)
		}
		failures = append(failures, w.note(place, err))
	}
	if len(kept) < len(w.ring.Publications) {
		failures = append(failures, w.forget(ctx, kept))
	}
	return errors.Join(failures...)
}

// note adds what is wrong with a copy to the problems, and returns what is worth a retry.
func (w *keyWork) note(place keyring.Publication, err error) error {
	problems, rest := w.judge(place, err)
	w.copies = append(w.copies, problems...)
	return rest
}

// judge says what a failure to write a ConfigMap means, and returns it if it is worth a retry. The message is the same
// each time, and says nothing of what the API server said: that changes from one attempt to the next.
func (w *keyWork) judge(place keyring.Publication, err error) ([]keyring.Problem, error) {
	var taken *nameTakenError
	var immutable *immutableError
	elsewhere := place.Namespace != w.key.Namespace
	problem := keyring.Problem{Reason: v1alpha1.ReasonPublishNamespaceNotAllowed}
	switch {
	case err == nil || outpaced(err):
		return nil, err
	case errors.As(err, &taken):
		problem = keyring.Problem{Reason: v1alpha1.ReasonNameTaken, Message: taken.Error()}
	case errors.As(err, &immutable):
		problem = keyring.Problem{Reason: v1alpha1.ReasonImmutable, Message: immutable.Error()}
	case elsewhere && forbidden(err):
		problem.Message = fmt.Sprintf("the installation does not allow to write ConfigMap %q in namespace %q", place.Name, place.Namespace)
	case elsewhere && gone(err):
		problem.Message = fmt.Sprintf("namespace %q does not exist", place.Namespace)
	default:
		problem = keyring.Problem{
			Reason:  v1alpha1.ReasonRequestFailed,
			Message: fmt.Sprintf("ConfigMap %s/%s could not be written; the manager's log says why", place.Namespace, place.Name),
		}
		return []keyring.Problem{problem}, err
	}
	return []keyring.Problem{problem}, nil
}

// withdraw deletes the ConfigMap if it is ours.
func (w *keyWork) withdraw(ctx context.Context, place keyring.Publication) error {
	var live corev1.ConfigMap
	if err := w.live.Get(ctx, client.ObjectKey(place), &live); err != nil {
		return client.IgnoreNotFound(err)
	}
	if w.ownsConfigMap(&live) != nil {
		return nil
	}
	err := w.client.Delete(ctx, &live, client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("withdraw ConfigMap %s/%s: %w", place.Namespace, place.Name, err)
	}
	return nil
}

// forget writes that nothing is left in the other places.
func (w *keyWork) forget(ctx context.Context, kept []keyring.Publication) error {
	before := w.ring.Publications
	w.ring.Publications = kept
	next, err := w.write(ctx, nil, w.now())
	if err != nil || w.unsaved {
		w.ring.Publications = before
		return err
	}
	w.ring = next
	return w.publishHome(ctx)
}
