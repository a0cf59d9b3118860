package controllers

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// load reads the key set. What is damaged or foreign is left as it is and becomes a problem.
func (w *keyWork) load(ctx context.Context, home public) error {
	name := client.ObjectKey{Namespace: w.key.Namespace, Name: keyring.SecretName(w.key.Name)}
	var secret corev1.Secret
	err := w.live.Get(ctx, name, &secret)
	switch {
	case gone(err) && home.err != nil:
		// What is published must be known before anything is made anew.
		w.stall(v1alpha1.ReasonRequestFailed, "ConfigMap %s/%s could not be read; the manager's log says why", w.key.Namespace, w.home().Name)
	case gone(err):
		w.ring, w.readable = keyring.Ring{}, true
		if len(w.key.Status.Keys) > 0 {
			w.recoverLost()
		}
	case err != nil:
		w.stall(v1alpha1.ReasonRequestFailed, "Secret %s could not be read; the manager's log says why", name)
		return fmt.Errorf("get Secret %s: %w", name, err)
	default:
		w.decode(&secret)
	}
	return nil
}

func (w *keyWork) decode(secret *corev1.Secret) {
	marked := secret.DeepCopy() // labels that somebody took away come back: see lacksLabels
	marked.Labels = keyring.SecretLabels(w.key.Name)
	if err := keyring.OwnedBy(w.key, marked, string(secret.Type)); err != nil {
		w.stall(v1alpha1.ReasonNameTaken, "a Secret of the needed name is not ours: %v", err)
		return
	}
	ring, err := keyring.Decode(secret.Data)
	if err != nil {
		w.stall(v1alpha1.ReasonInvalidSecret, "Secret %s/%s is damaged: %v; restore it, or delete it to begin with new keys",
			secret.Namespace, secret.Name, err)
		return
	}
	w.secret, w.ring, w.readable = secret, ring, true
	if w.immutable() {
		w.stall(v1alpha1.ReasonImmutable, "Secret %s/%s was made immutable: its keys can be neither rotated nor revoked; "+
			"delete it, and new keys are made", secret.Namespace, secret.Name)
	}
}

func (w *keyWork) immutable() bool {
	return w.secret != nil && w.secret.Immutable != nil && *w.secret.Immutable
}

// lacksLabels says whether the Secret must be labelled again: servers find it by its labels only.
func (w *keyWork) lacksLabels() bool {
	if w.secret == nil {
		return false
	}
	for label, value := range keyring.SecretLabels(w.key.Name) {
		if w.secret.Labels[label] != value {
			return true
		}
	}
	return false
}

// recoverLost goes on with the public halves that the status tells, so that live tokens verify while new keys are made.
func (w *keyWork) recoverLost() {
	w.ring = keyring.Recover(w.key.Status, w.now(), 0)
	what := "new keys are made"
	if w.params.Deleting {
		what = "what is known of their public halves stays until the SigningKey goes"
	}
	w.found = append(w.found, warningEvent{
		"KeysLost", "Recover", "The Secret with the private keys does not exist any more; " + what,
	})
}

// save writes the ring. A conflict means that somebody else wrote: the caller begins anew.
func (w *keyWork) save(ctx context.Context, next keyring.Ring) error {
	if w.immutable() {
		w.unsaved = true // which decode has noted
		return nil
	}
	data, err := keyring.Encode(next)
	if err != nil {
		return err
	}
	if w.secret == nil {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.key.Namespace, Name: keyring.SecretName(w.key.Name), Labels: keyring.SecretLabels(w.key.Name),
				OwnerReferences: []metav1.OwnerReference{keyring.OwnerReference(w.key)},
			},
			Type: keyring.SecretType, Data: data,
		}
		if err := w.client.Create(ctx, secret, signingKeyOwner); err != nil {
			return fmt.Errorf("create Secret %s/%s: %w", secret.Namespace, secret.Name, err)
		}
		w.secret = secret
		return nil
	}
	secret := w.secret.DeepCopy()
	secret.Data = data
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	maps.Copy(secret.Labels, keyring.SecretLabels(w.key.Name))
	if err := w.client.Update(ctx, secret, signingKeyOwner); err != nil {
		return fmt.Errorf("update Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	w.secret = secret
	return nil
}
