package controllers

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// authorityWarning says what a person has to know of the replacement of the certificate authority, if anything.
func (w *keyWork) authorityWarning() (keyring.Problem, bool) {
	if reason := w.unanswered(); reason != "" {
		return keyring.Problem{Reason: v1alpha1.ReasonAuthorityNotReplaced, Message: fmt.Sprintf(
			"the annotation %s asks for another certificate authority, and none is made: %s", v1alpha1.AnnotationRotateCA, reason)}, true
	}
	if _, waits := w.ring.NextAuthority(); waits {
		return keyring.Problem{Reason: v1alpha1.ReasonAuthorityUnconfirmed, Message: w.unconfirmed()}, true
	}
	return keyring.Problem{}, false
}

// unanswered says why a request for another authority is not answered; empty if there is none, or if it is.
func (w *keyWork) unanswered() string {
	switch {
	case !w.params.AuthorityAsked(w.ring):
		return ""
	case !w.usesAuthority():
		return "with keyIdentification KeyID tokens carry no certificate; remove the annotation"
	case len(w.ring.Authorities) == 0:
		return "" // it was there from the beginning
	case w.params.ConfirmedAhead():
		return fmt.Sprintf("the annotation %s has the same value already, though no registry can trust what is not made yet; "+
			"ask with another value, and confirm it later", v1alpha1.AnnotationConfirmCA)
	case !w.params.AuthorityRoom(w.now(), w.ring):
		end := time.Time{}
		for _, t := range w.ring.Authorities {
			if at := w.params.TrustEnd(w.ring, t); !at.IsZero() && (end.IsZero() || at.Before(end)) {
				end = at
			}
		}
		return fmt.Sprintf("ca.crt holds %d; the request waits until the first of them is not needed any more, at %s",
			len(w.ring.Authorities), end.UTC().Format(time.RFC3339))
	}
	return "" // what stands in its way is a problem, and Ready says so
}

// unconfirmed says what to do about the next authority.
func (w *keyWork) unconfirmed() string {
	command := "tokenwright keys rotate " + w.key.Name
	if w.usesAuthority() && w.held.Current != nil && w.held.Next == nil {
		return fmt.Sprintf("the next certificate authority is in ca.crt, but not in Secret %s any more, and cannot be confirmed; "+
			"restore the Secret, or ask for another authority: %s --certificate-authority", w.caName(), command)
	}
	home := w.home()
	return fmt.Sprintf("the next certificate authority is in ca.crt of ConfigMap %s/%s and waits; "+
		"restart the registries with that file, so that they trust it, and then run: %s %s", home.Namespace, home.Name, command, keyring.ConfirmFlags)
}

// tellAuthorities makes an event of each authority that came, that issues now, and that went. The first is not told: it
// came with the first key.
func (w *keyWork) tellAuthorities(previous, next keyring.Ring) {
	if len(previous.Authorities) == 0 || len(next.Authorities) == 0 {
		return
	}
	if came, waits := next.NextAuthority(); waits && !trusts(previous, came) {
		w.tellAuthority("AuthorityCreated", "MakeNext", "Certificate authority %s was made: it is in ca.crt and waits to be confirmed", came)
	}
	if issues := next.Authorities[0]; !bytes.Equal(issues.Certificate, previous.Authorities[0].Certificate) {
		w.tellAuthority("AuthorityActivated", "PromoteNext", "Certificate authority %s issues from now on", issues)
	}
	for _, t := range previous.Authorities {
		if !trusts(next, t) {
			w.tellAuthority("AuthorityRemoved", "Remove", "Certificate authority %s left ca.crt: the last token under it is dead", t)
		}
	}
}

func (w *keyWork) tellAuthority(reason, action, format string, t keyring.Trust) {
	w.recorder.Eventf(w.key, nil, corev1.EventTypeNormal, reason, action, format, t.ID())
}

func trusts(ring keyring.Ring, t keyring.Trust) bool {
	return slices.ContainsFunc(ring.Authorities, func(other keyring.Trust) bool { return bytes.Equal(other.Certificate, t.Certificate) })
}
