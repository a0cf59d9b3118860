package controllers

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// keepAuthority has the certificate authority ready, for X509Chain. Where the key set does not tell which authorities
// are trusted (it was lost, or is an old one that was restored), the home ConfigMap does: ca.crt never loses one by a
// fault.
func (w *keyWork) keepAuthority(ctx context.Context, home public) error {
	chain := w.params.Identification == v1alpha1.X509Chain
	if len(w.ring.Authorities) == 0 && (w.secret == nil || chain) {
		w.ring.Authorities = home.authorities
	}
	name := client.ObjectKey{Namespace: w.CANamespace, Name: keyring.CASecretName(w.key.Name)}
	var err error
	switch {
	case !chain:
		return nil
	case len(w.ring.Authorities) == 0 && home.err != nil:
		err = home.err
	default:
		err = w.loadAuthority(ctx, name)
	}
	switch {
	case err == nil:
	case outpaced(err):
		w.raced = true
	default:
		w.stall(v1alpha1.ReasonRequestFailed, "the certificate authority in Secret %s could not be read or made; the manager's log says why", name)
	}
	return err
}

// loadAuthority reads the certificate authority, and makes one if there never was one.
func (w *keyWork) loadAuthority(ctx context.Context, name client.ObjectKey) error {
	var secret corev1.Secret
	err := w.live.Get(ctx, name, &secret)
	if gone(err) {
		return w.createAuthority(ctx, name)
	}
	if err != nil {
		return fmt.Errorf("get Secret %s: %w", name, err)
	}
	if err := w.ownsAuthority(&secret); err != nil {
		w.stall(v1alpha1.ReasonNameTaken, "a Secret of the needed name is not ours: %v", err)
		return nil
	}
	authority, err := keyring.DecodeAuthority(secret.Data)
	if err != nil {
		w.stall(v1alpha1.ReasonInvalidSecret, "the certificate authority in Secret %s is damaged: %v; restore it", name, err)
		return nil
	}
	w.useAuthority(name, authority)
	return nil
}

func (w *keyWork) createAuthority(ctx context.Context, name client.ObjectKey) error {
	if len(w.ring.Authorities) > 0 {
		// Registries trust it: a new one would make them refuse every token after the next rotation.
		w.stall(v1alpha1.ReasonInvalidSecret, "the certificate authority in Secret %s does not exist any more; restore it", name)
		return nil
	}
	if len(w.ring.Keys) == 0 && w.params.Hold {
		return nil // there will be no first key
	}
	authority, err := keyring.NewAuthority(w.random, w.key.Name, w.now())
	if err != nil {
		return err
	}
	data, err := keyring.EncodeAuthority(authority)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: name.Namespace, Name: name.Name, Labels: secretLabels(w.key),
			Annotations: map[string]string{keyring.AnnotationOwner: string(w.key.UID)},
		},
		Type: keyring.CASecretType, Data: data,
	}
	if err := w.client.Create(ctx, secret, signingKeyOwner); err != nil {
		return fmt.Errorf("create Secret %s: %w", name, err)
	}
	w.useAuthority(name, authority)
	return nil
}

// useAuthority takes the authority if it is the one that is published, or the first.
func (w *keyWork) useAuthority(name client.ObjectKey, authority *keyring.Authority) {
	raw := authority.Certificate.Raw
	if len(w.ring.Authorities) == 0 {
		w.ring.Authorities = [][]byte{raw}
	}
	if !slices.ContainsFunc(w.ring.Authorities, func(der []byte) bool { return bytes.Equal(der, raw) }) {
		w.stall(v1alpha1.ReasonInvalidSecret, "Secret %s holds another certificate authority than the one that is published; restore it", name)
		return
	}
	w.authority = authority
	if !w.params.CanActivate(w.now(), keyring.Facts{AuthorityUntil: authority.Until()}) {
		w.stall(v1alpha1.ReasonInvalidSecret, "the certificate authority in Secret %s ends at %s: no further key can be activated under it",
			name, authority.Until().UTC().Format(time.RFC3339))
	}
}

// ownsAuthority is keyring.OwnedBy for a Secret in another namespace, where no owner reference can lead.
func (w *keyWork) ownsAuthority(secret *corev1.Secret) error {
	at := secret.Namespace + "/" + secret.Name
	switch {
	case secret.Type != keyring.CASecretType:
		return fmt.Errorf("secret %s has type %q, not %q", at, secret.Type, keyring.CASecretType)
	case secret.Labels[v1alpha1.LabelSigningKey] != keyring.Label(w.key.Name):
		return fmt.Errorf("secret %s lacks the label %s=%s", at, v1alpha1.LabelSigningKey, keyring.Label(w.key.Name))
	case secret.Annotations[keyring.AnnotationOwner] != string(w.key.UID):
		return fmt.Errorf("secret %s belongs to an earlier SigningKey of this name; to keep it, and with it ca.crt, set its annotation %s to %q; "+
			"if no registry trusts it any more, delete it", at, keyring.AnnotationOwner, w.key.UID)
	}
	return nil
}
