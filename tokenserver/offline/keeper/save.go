package keeper

import (
	"maps"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

var (
	signingKeyKind = v1alpha1.GroupVersion.WithKind("SigningKey")
	secretKind     = corev1.SchemeGroupVersion.WithKind("Secret")
)

// secret is a Secret of ours, without its data.
func (w *work) secret(name string, secretType corev1.SecretType) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.options.Namespace, Name: name, Labels: keyring.SecretLabels(w.name)},
		Type:       secretType,
	}
}

// save writes the ring to where it outlives the process, and then shows it to the server.
func (w *work) save(ring keyring.Ring) error {
	data, err := keyring.Encode(ring)
	if err != nil {
		return err
	}
	if w.options.State != nil {
		secret := w.secret(keyring.SecretName(w.name), keyring.SecretType)
		secret.Data = data
		if !w.removed.IsZero() {
			secret.Annotations = map[string]string{annotationRemoved: w.removed.UTC().Format(time.RFC3339)}
		}
		if err := w.options.State.WriteSecret(secret); err != nil {
			return err
		}
	}
	w.show(ring)
	return nil
}

func (w *work) saveAuthority(held keyring.Held) error {
	if w.options.State == nil {
		return nil
	}
	secret := w.secret(keyring.CASecretName(w.name), keyring.CASecretType)
	var err error
	if secret.Data, err = keyring.EncodeAuthorities(held); err != nil {
		return err
	}
	return w.options.State.WriteSecret(secret)
}

// show puts the SigningKey and its Secret into the store as the manager would, if they are not there as they are: first
// the Secret, so that the server does not know of an audience before it knows the key.
func (w *work) show(ring keyring.Ring) {
	key := w.shown()
	if len(ring.Keys) > 0 {
		data, err := keyring.Encode(ring)
		if err != nil {
			w.stall("the key set cannot be shown to the server: %v", err)
			return
		}
		secret := w.secret(keyring.SecretName(w.name), keyring.SecretType)
		secret.OwnerReferences, secret.Data = []metav1.OwnerReference{keyring.OwnerReference(key)}, data
		w.putSecret(secret)
	}
	w.putSigningKey(key)
}

// shown is the SigningKey as the server gets it.
func (w *work) shown() *v1alpha1.SigningKey {
	if w.uid == "" {
		w.uid = uuid.NewUUID()
	}
	key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: w.options.Namespace, Name: w.name}}
	if w.object != nil {
		key = w.object.DeepCopy()
	} else if last, ok := w.options.Store.Get(signingKeyKind, client.ObjectKeyFromObject(key)); ok {
		if last, ok := last.DeepCopyObject().(*v1alpha1.SigningKey); ok {
			key = last
		}
	}
	key.UID, key.Annotations = w.uid, nil
	if !w.removed.IsZero() {
		key.DeletionTimestamp = &metav1.Time{Time: w.removed}
	}
	return key
}

func (w *work) putSecret(secret *corev1.Secret) {
	if held, ok := w.stored(secretKind, secret).(*corev1.Secret); ok && reflect.DeepEqual(held.Data, secret.Data) &&
		reflect.DeepEqual(held.OwnerReferences, secret.OwnerReferences) {
		return
	}
	w.options.Store.Change(secretKind, []client.Object{secret}, nil)
}

func (w *work) putSigningKey(key *v1alpha1.SigningKey) {
	held, ok := w.stored(signingKeyKind, key).(*v1alpha1.SigningKey)
	if ok && held.UID == key.UID && held.DeletionTimestamp.Equal(key.DeletionTimestamp) && reflect.DeepEqual(held.Spec, key.Spec) &&
		maps.Equal(held.Labels, key.Labels) {
		return
	}
	w.options.Store.Change(signingKeyKind, []client.Object{key}, nil)
}

func (w *work) stored(kind schema.GroupVersionKind, object client.Object) client.Object {
	held, _ := w.options.Store.Get(kind, client.ObjectKeyFromObject(object))
	return held
}

// leave has the server sign nothing for a SigningKey whose manifest is gone, and forget it when its last token is dead.
func (w *work) leave() error {
	if len(w.ring.Keys) == 0 {
		w.forget()
		return nil
	}
	var err error
	if w.changed {
		next := w.ring
		next.Generation++
		if err = w.save(next); err == nil {
			w.ring, w.changed = next, false
		}
	}
	w.params, _ = keyring.Compile(w.shown(), w.options.Limits)
	if until := w.params.HeldAtMost(w.removed, w.ring); w.now.Before(until) {
		w.show(w.ring)
		w.wake = until
		return err
	}
	w.forget()
	for _, place := range w.ring.Publications {
		if failure := w.withdraw(place.Name); failure != nil {
			w.options.Log.Error(failure, "Could not withdraw what was published", "signingKey", w.name)
		}
	}
	return err
}

// forget takes the SigningKey out of the server's sight.
func (w *work) forget() {
	name := func(name string) []types.NamespacedName {
		return []types.NamespacedName{{Namespace: w.options.Namespace, Name: name}}
	}
	w.options.Store.Change(signingKeyKind, nil, name(w.name))
	w.options.Store.Change(secretKind, nil, name(keyring.SecretName(w.name)))
	w.uid = ""
}
