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
// the keys, so that nothing here holds up a rotation.
func (w *keyWork) keepPublications(ctx context.Context) error {
	if !w.readable || w.secret == nil {
		return nil
	}
	places := w.places()
	var failures []error
	for _, place := range places[1:] {
		failures = append(failures, w.judge(place, w.publish(ctx, place)))
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
		before := len(w.publication)
		err := w.judge(place, w.withdraw(ctx, place))
		failures = append(failures, err)
		if err != nil || len(w.publication) > before {
			kept = append(kept, place)
		}
	}
	if len(kept) < len(w.ring.Publications) {
		failures = append(failures, w.forget(ctx, kept))
	}
	return errors.Join(failures...)
}

// judge turns what a person has to solve into a problem and returns the rest.
func (w *keyWork) judge(place keyring.Publication, err error) error {
	var taken *nameTakenError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &taken):
		w.publication = append(w.publication, keyring.Problem{Reason: v1alpha1.ReasonNameTaken, Message: taken.Error()})
	case forbidden(err):
		w.publication = append(w.publication, keyring.Problem{
			Reason:  v1alpha1.ReasonPublishNamespaceNotAllowed,
			Message: fmt.Sprintf("the installation does not allow to write ConfigMap %q in namespace %q", place.Name, place.Namespace),
		})
	case gone(err):
		w.publication = append(w.publication, keyring.Problem{
			Reason: v1alpha1.ReasonPublishNamespaceNotAllowed, Message: fmt.Sprintf("namespace %q does not exist", place.Namespace),
		})
	default:
		return err
	}
	return nil
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
	next, err := keyring.Execute(w.ring, nil, w.now(), w.params, w.random, w.authority)
	if err != nil {
		return err
	}
	next.Publications = kept
	if err := w.save(ctx, next); err != nil {
		return err
	}
	w.ring = next
	problems := w.publication
	err = w.publishHome(ctx)
	w.publication = append(w.publication, problems...)
	return err
}
