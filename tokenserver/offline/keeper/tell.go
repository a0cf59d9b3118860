package keeper

import (
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// tell logs what happened to the keys: nobody sees events or a status.
func (w *work) tell(plan []keyring.Transition, next keyring.Ring) {
	for _, t := range plan {
		w.options.Log.Info("Changed a key", "signingKey", w.name, "key", keyID(t, w.ring, next), "change", t.Do, "because", t.Because)
	}
	if before, after := len(w.ring.Authorities), len(next.Authorities); before != after {
		w.options.Log.Info("Changed the certificate authorities in ca.crt", "signingKey", w.name, "before", before, "after", after)
	}
}

// keyID is the kid of the key that a transition speaks of.
func keyID(t keyring.Transition, rings ...keyring.Ring) string {
	if t.Do == keyring.Create {
		standby, _ := rings[len(rings)-1].Standby()
		return standby.KeyID
	}
	for _, ring := range rings {
		for _, k := range ring.Keys {
			if k.Thumbprint == t.Thumbprint {
				return k.KeyID
			}
		}
	}
	return t.Thumbprint
}

// report logs what is wrong with the SigningKey, when that changes.
func (w *work) report(owners map[v1alpha1.Audience]string) {
	for _, audience := range w.object.Spec.Audiences {
		if owner := owners[audience]; owner != w.name {
			w.stall("audience %q is that of SigningKey %q, whose name comes first", audience, owner)
		}
	}
	if w.options.State == nil && w.params.Identification == v1alpha1.X509Chain {
		w.stall("nobody can get its ca.crt, which registries verify X509Chain by: give --state-dir, or use keyIdentification KeyID")
	}
	if len(w.object.Spec.Publish.Namespaces) > 0 {
		w.stall("spec.publish.namespaces has no effect without a cluster")
	}
	for _, p := range w.params.Warnings(w.now, w.name, w.options.Namespace, w.ring, w.facts()) {
		w.stall("%s", p.Message)
	}
	if _, waits := w.ring.NextAuthority(); waits {
		w.stall("the next certificate authority is in ca.crt and waits: restart the registries with that file, and then give the annotation %s the value of %s",
			v1alpha1.AnnotationConfirmCA, v1alpha1.AnnotationRotateCA)
	}
	told := strings.Join(w.problems, "; ")
	if told == w.told {
		return
	}
	if w.told = told; told == "" {
		told = "none any more"
	}
	w.options.Log.Info("Found problems of a SigningKey", "signingKey", w.name, "problems", told)
}
