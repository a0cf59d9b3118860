package cmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// rotateAuthority asks for a new certificate authority, and tells what is left to do.
func (s *session) rotateAuthority(ctx context.Context, key *v1alpha1.SigningKey, w waiting) error {
	if err := hasAuthority(key); err != nil {
		return err
	}
	if unconfirmed(key) {
		s.warn("a new certificate authority waits already, and the manager makes no other beside it: %s", told(*warning(key)))
	}
	request := s.newRequest()
	if _, err := s.annotate(ctx, key, v1alpha1.AnnotationRotateCA, request); err != nil {
		return err
	}
	s.say("Asked for a new certificate authority of SigningKey %q.", key.Name)
	if w.wait {
		if _, err := s.await(ctx, key.Name, w.timeout, "the new certificate authority", func(key *v1alpha1.SigningKey) (bool, error) {
			return key.Status.LastHandledRotateCA == request, living(key)
		}); err != nil {
			return err
		}
		s.say("It is in ca.crt of ConfigMap %q, beside the old one.", keyring.ConfigMapName(key))
	}
	s.say(`Two steps are left:
1. When ca.crt of ConfigMap %q has both certificates, restart every registry that reads it.
2. When all of them have it, and not before, let certificates be from the new one:
   %s`, keyring.ConfigMapName(key), s.confirmCommand(key))
	return nil
}

// confirmAuthority says to the manager that the registries trust the new certificate authority.
func (s *session) confirmAuthority(ctx context.Context, key *v1alpha1.SigningKey, w waiting) error {
	if err := hasAuthority(key); err != nil {
		return err
	}
	asked := key.Annotations[v1alpha1.AnnotationRotateCA]
	switch {
	case asked != "" && asked != key.Status.LastHandledRotateCA:
		return fmt.Errorf("the new certificate authority of SigningKey %q is not published yet: wait until it is in ca.crt of ConfigMap %q, and restart the registries that read it: %s",
			key.Name, keyring.ConfigMapName(key), standing(key))
	case !unconfirmed(key):
		return fmt.Errorf("SigningKey %q has no certificate authority that waits to be confirmed; to ask for one: %s",
			key.Name, s.command("rotate", key.Name, "--certificate-authority"))
	}
	if _, err := s.annotate(ctx, key, v1alpha1.AnnotationConfirmCA, key.Status.LastHandledRotateCA); err != nil {
		return err
	}
	s.say("Confirmed: certificates of SigningKey %q are from the new certificate authority from now on.", key.Name)
	if w.wait {
		if _, err := s.await(ctx, key.Name, w.timeout, "the change of the certificate authority", func(key *v1alpha1.SigningKey) (bool, error) {
			return !unconfirmed(key), living(key)
		}); err != nil {
			return err
		}
		s.say("The key that signs has its certificate.")
	}
	s.say("The old one leaves ca.crt when the last token under it is dead; no registry has to be restarted for that.")
	return nil
}

// hasAuthority refuses what only concerns keys with certificates.
func hasAuthority(key *v1alpha1.SigningKey) error {
	if key.Spec.KeyIdentification == v1alpha1.KeyID {
		return fmt.Errorf("SigningKey %q has no certificate authority: its keyIdentification is KeyID, not X509Chain", key.Name)
	}
	return living(key)
}

// unconfirmed says whether a new certificate authority is published and waits for --confirm. The condition has the reason
// of the most important warning and the messages of all; the message of this one names the command.
func unconfirmed(key *v1alpha1.SigningKey) bool {
	w := warning(key)
	return w != nil && (w.Reason == v1alpha1.ReasonAuthorityUnconfirmed || strings.Contains(w.Message, keyring.ConfirmFlags))
}

func (s *session) confirmCommand(key *v1alpha1.SigningKey) string {
	return s.command("rotate", key.Name, "--certificate-authority", "--confirm")
}
