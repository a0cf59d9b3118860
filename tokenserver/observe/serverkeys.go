package observe

import (
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	"github.com/tokenwright/tokenwright/tokenserver/opaque"
)

// serverKeys are what refresh tokens are sealed with. A Secret that is lost or damaged leaves those that were there before.
type serverKeys struct {
	log     logr.Logger
	version string
	current opaque.Keys
}

// update reads the Secret by the one name that it has.
func (k *serverKeys) update(secrets map[string]*corev1.Secret) {
	secret := secrets[opaque.SecretName]
	if secret == nil || k.version == version(secret) {
		return
	}
	k.version = version(secret)
	if secret.Type != opaque.SecretType {
		k.log.Info("Passed over a Secret that is not ours", "secret", secret.Name, "type", secret.Type)
		return
	}
	keys, err := opaque.Decode(secret.Data)
	if err != nil {
		k.log.Info("Passed over a damaged Secret, the keys of before stay", "secret", secret.Name, "problem", err.Error(), "usable", k.current.Usable())
		return
	}
	k.current = keys
}
