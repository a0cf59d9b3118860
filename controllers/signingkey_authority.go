package controllers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// authorityWork is what a reconcile knows of the certificate authority.
type authorityWork struct {
	// authority issues leaves; nil if there is none that may.
	authority *keyring.Authority
	// held is what its Secret holds, as far as it may be used.
	held keyring.Held
	// caSecret is the Secret as it was read or written last, nil if there is none; caErr is why it could not be read.
	caSecret *corev1.Secret
	caErr    error
	// recovered says that which authorities are trusted was read from the home ConfigMap.
	recovered bool
}

// caName is the name of the certificate authority's Secret.
func (w *keyWork) caName() client.ObjectKey {
	return client.ObjectKey{Namespace: w.CANamespace, Name: keyring.CASecretName(w.key.Name)}
}

func (w *keyWork) usesAuthority() bool { return w.params.Identification == v1alpha1.X509Chain }

// readAuthority reads the certificate authority's Secret, before the key set is read: each step writes this Secret first,
// so a key set that is read later knows of every step that this one shows, or the step is still to be told to it.
func (w *keyWork) readAuthority(ctx context.Context) {
	if !w.usesAuthority() {
		return
	}
	var secret corev1.Secret
	switch err := w.live.Get(ctx, w.caName(), &secret); {
	case gone(err):
	case err != nil:
		w.caErr = fmt.Errorf("get Secret %s: %w", w.caName(), err)
	default:
		w.caSecret = &secret
	}
}

// keepAuthority has the certificate authority ready, for X509Chain. Where the key set does not tell which authorities
// are trusted (it was lost, or is an old one that was restored), the home ConfigMap does: ca.crt never loses one by a
// fault.
func (w *keyWork) keepAuthority(ctx context.Context, home public) error {
	if len(w.ring.Authorities) == 0 && (w.secret == nil || w.usesAuthority() && home.generation > w.ring.Generation) {
		w.ring.Authorities = keyring.RecoverTrust(home.authorities, w.now())
		w.recovered = true
	}
	var err error
	switch {
	case !w.usesAuthority():
		return nil
	case w.caErr != nil:
		err = w.caErr
	case len(w.ring.Authorities) == 0 && home.err != nil:
		err = home.err
	case w.caSecret == nil:
		err = w.createAuthority(ctx)
	default:
		err = w.useSecret(ctx, home)
	}
	switch {
	case err == nil:
	case outpaced(err):
		w.raced = true
	default:
		w.stall(v1alpha1.ReasonRequestFailed, "the certificate authority in Secret %s could not be read or written; the manager's log says why", w.caName())
	}
	return err
}

// useSecret takes what the Secret holds, if it is ours and goes with what is trusted, and takes the step that is due.
func (w *keyWork) useSecret(ctx context.Context, home public) error {
	name := w.caName()
	if err := w.ownsAuthority(w.caSecret); err != nil {
		w.stall(v1alpha1.ReasonNameTaken, "a Secret of the needed name is not ours: %v", err)
		return nil
	}
	held, err := keyring.DecodeAuthorities(w.caSecret.Data)
	if err != nil {
		w.stall(v1alpha1.ReasonInvalidSecret, "the certificate authority in Secret %s is damaged: %v; restore it", name, err)
		return nil
	}
	w.adoptPublished(held, home)
	if err := keyring.CheckHeld(w.ring, held); err != nil {
		w.stall(v1alpha1.ReasonInvalidSecret, "Secret %s %v", name, err)
		return nil
	}
	if w.recovered {
		w.ring.Authorities = keyring.Vouched(w.ring.Authorities, held, w.now())
	}
	w.useAuthority(held)
	if err := keyring.CheckNext(w.ring, held); err != nil {
		w.stall(v1alpha1.ReasonInvalidSecret, "Secret %s %v", name, err)
		w.held.Next = nil
		return nil // there is no telling which of the two is meant
	}
	return w.stepAuthority(ctx, home)
}

// adoptPublished lets a key set that is older than what is public, because it was restored, know the authority that was
// promoted since, and which request was answered. Of what is public only that is believed of which we have the private
// half: whoever may edit ConfigMaps must not be able to add an authority for good.
func (w *keyWork) adoptPublished(held keyring.Held, home public) {
	if w.secret == nil || home.generation <= w.ring.Generation || len(w.ring.Authorities) == 0 {
		return
	}
	if answered := w.key.Status.LastHandledRotateCA; answered != "" {
		w.ring.LastHandledRotateCA = answered
	}
	raw := held.Current.Certificate.Raw
	same := func(der []byte) bool { return bytes.Equal(der, raw) }
	known := slices.ContainsFunc(w.ring.Authorities, func(t keyring.Trust) bool { return same(t.Certificate) })
	if !known && slices.ContainsFunc(home.authorities, same) && w.params.AuthorityRoom(w.now(), w.ring) {
		w.ring.Authorities = append(w.ring.Authorities, keyring.Trust{Certificate: raw})
	}
}

// useAuthority has leaves issued by what is held.
func (w *keyWork) useAuthority(held keyring.Held) {
	w.held, w.authority = held, held.Current
	until := w.authority.Until()
	if !w.params.CanActivate(w.now(), keyring.Facts{AuthorityUntil: until}) {
		w.stall(v1alpha1.ReasonInvalidSecret, "the certificate authority in Secret %s ends at %s: no further key can be activated under it; "+
			"replace it with tokenwright keys rotate %s --certificate-authority", w.caName(), until.UTC().Format(time.RFC3339), w.key.Name)
	}
}

// stepAuthority makes or promotes the next authority, if that is asked for. A failure leaves the one that issues in use.
func (w *keyWork) stepAuthority(ctx context.Context, home public) error {
	step := w.params.AuthorityStep(w.now(), w.ring, w.held, home.authorities)
	if step == "" {
		return nil
	}
	if w.caSecret.Immutable != nil && *w.caSecret.Immutable {
		w.stall(v1alpha1.ReasonImmutable, "Secret %s was made immutable: its certificate authority cannot be replaced; "+
			"delete it and create it again with the same content", w.caName())
		return nil
	}
	if err := w.stillAsked(ctx); err != nil {
		return err
	}
	held, err := keyring.TakeStep(w.random, w.key.Name, step, w.held, w.now())
	if err != nil {
		return err
	}
	data, err := keyring.EncodeAuthorities(held)
	if err != nil {
		return err
	}
	secret := w.caSecret.DeepCopy()
	secret.Data = data
	if err := w.client.Update(ctx, secret, signingKeyOwner); err != nil {
		return fmt.Errorf("update Secret %s: %w", w.caName(), err)
	}
	w.caSecret = secret
	w.useAuthority(held)
	return nil
}

// errNotAsked says that the SigningKey asks for something else by now.
var errNotAsked = errors.New("the annotations of the SigningKey changed meanwhile")

// stillAsked looks once more at what the SigningKey asks for, because the key set was read after it: a manager that was
// stopped in between would take an old request for a new one, and make an authority that nobody wants.
func (w *keyWork) stillAsked(ctx context.Context) error {
	_, key, err := w.read(ctx, client.ObjectKeyFromObject(w.key))
	if err != nil {
		return err
	}
	if key == nil || key.UID != w.key.UID || !key.DeletionTimestamp.IsZero() ||
		key.Annotations[v1alpha1.AnnotationRotateCA] != w.key.Annotations[v1alpha1.AnnotationRotateCA] ||
		key.Annotations[v1alpha1.AnnotationConfirmCA] != w.key.Annotations[v1alpha1.AnnotationConfirmCA] {
		return errNotAsked
	}
	return nil
}

// createAuthority makes the first authority.
func (w *keyWork) createAuthority(ctx context.Context) error {
	name := w.caName()
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
	held := keyring.Held{Current: authority}
	data, err := keyring.EncodeAuthorities(held)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: name.Namespace, Name: name.Name, Labels: keyring.SecretLabels(w.key.Name),
			Annotations: map[string]string{keyring.AnnotationOwner: string(w.key.UID)},
		},
		Type: keyring.CASecretType, Data: data,
	}
	if err := w.client.Create(ctx, secret, signingKeyOwner); err != nil {
		return fmt.Errorf("create Secret %s: %w", name, err)
	}
	w.caSecret = secret
	w.useAuthority(held)
	return nil
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
