package controllers

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// warningEvent is a warning that waits to be told.
type warningEvent struct{ reason, action, note string }

// event tells of one step in the life of a key. Steps that change no state (a longer lifetime, a new certificate) are
// not told.
func (w *keyWork) event(t keyring.Transition, previous keyring.Ring) {
	kind, reason := corev1.EventTypeNormal, ""
	switch t.Do {
	case keyring.Create:
		reason = "KeyCreated"
	case keyring.Publish:
		reason = "KeyPublished"
	case keyring.Activate:
		reason = "KeyActivated"
	case keyring.Retire:
		reason = "KeyRetired"
	case keyring.Revoke:
		kind, reason = corev1.EventTypeWarning, "KeyRevoked"
	case keyring.Discard, keyring.Remove:
		reason = "KeyRemoved"
	default:
		return
	}
	w.recorder.Eventf(w.key, nil, kind, reason, string(t.Do), "Key %s: %s", w.named(t, previous), t.Because)
}

// named returns the kid of the key that a transition speaks of; it may be in the ring before or after.
func (w *keyWork) named(t keyring.Transition, previous keyring.Ring) string {
	if t.Do == keyring.Create {
		standby, _ := w.ring.Standby()
		return standby.KeyID
	}
	for _, ring := range []keyring.Ring{w.ring, previous} {
		for _, k := range ring.Keys {
			if k.Thumbprint == t.Thumbprint {
				return k.KeyID
			}
		}
	}
	return t.Thumbprint
}
