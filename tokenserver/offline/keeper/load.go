package keeper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/offline/state"
)

// annotationRemoved is on the Secret of a SigningKey whose manifest is gone: since when.
const annotationRemoved = "tokenwright.dev/removed"

// load reads the state folder, and finds out whether it is whole.
func (k *Keeper) load() error {
	secrets, err := k.options.State.ReadSecrets()
	if err != nil {
		return fmt.Errorf("%w; restore what is damaged from a backup: the server does not start with other keys than registries trust", err)
	}
	authorities := map[string]bool{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if err := k.loadSecret(secrets[name], authorities); err != nil {
			errs = append(errs, fmt.Errorf("%s %w; restore it from a backup", k.options.State.SecretPath(name), err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	published, err := k.options.State.Names()
	if err != nil {
		return err
	}
	return k.compare(authorities, published)
}

// loadSecret reads a Secret of ours, and believes as little of it as the manager does.
func (k *Keeper) loadSecret(secret *corev1.Secret, authorities map[string]bool) error {
	name, suffix := "", keyring.SecretName("")
	if secret.Type == keyring.CASecretType {
		suffix = keyring.CASecretName("")
	}
	name, ok := strings.CutSuffix(secret.Name, suffix)
	if !ok || secret.Labels[v1alpha1.LabelSigningKey] != keyring.Label(name) {
		return errors.New("is damaged: it does not say whose it is")
	}
	s := k.sets[name]
	if s == nil {
		s = &set{name: name}
	}
	if secret.Type == keyring.CASecretType {
		held, err := keyring.DecodeAuthorities(secret.Data)
		if err != nil {
			return fmt.Errorf("is damaged: %w", err)
		}
		s.held, authorities[name], k.sets[name] = held, true, s
		return nil
	}
	ring, err := keyring.Decode(secret.Data)
	if err != nil {
		return fmt.Errorf("is damaged: %w", err)
	}
	if text := secret.Annotations[annotationRemoved]; text != "" {
		if s.removed, err = time.Parse(time.RFC3339, text); err != nil {
			return errors.New("is damaged: it does not say since when the SigningKey is gone")
		}
	}
	s.ring, k.sets[name] = ring, s
	return nil
}

// compare finds what is missing: parts of the state that others speak of.
func (k *Keeper) compare(authorities map[string]bool, published map[string]state.Mark) error {
	dir := k.options.State
	var errs []error
	for _, at := range slices.Sorted(maps.Keys(published)) {
		mark := published[at]
		s, known := k.sets[mark.SigningKey]
		if !known || len(s.ring.Keys) == 0 {
			errs = append(errs, fmt.Errorf("%s does not exist, though its keys were published in %s: restore it; "+
				"or remove that folder to begin with new keys, and give registries what is published then",
				dir.SecretPath(keyring.SecretName(mark.SigningKey)), dir.PublicPath(at)))
			continue
		}
		if keyring.Credible(mark.Generation, s.ring.Generation) > s.ring.Generation {
			k.options.Log.Info("Found a key set that is older than the one that was published: an older state was restored",
				"signingKey", s.name, "generation", s.ring.Generation, "published", mark.Generation)
			s.ring.Generation, s.changed = mark.Generation, true
			errs = append(errs, k.sameAuthority(s, at), k.dropKeys(s, at))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.sets)) {
		s := k.sets[name]
		path := dir.SecretPath(keyring.CASecretName(name))
		switch {
		case len(s.ring.Authorities) == 0:
		case !authorities[name]:
			errs = append(errs, fmt.Errorf("%s does not exist, though registries trust the certificate authority in it: restore it", path))
		case keyring.CheckHeld(s.ring, s.held) != nil:
			errs = append(errs, fmt.Errorf("%s %w", path, keyring.CheckHeld(s.ring, s.held)))
		case keyring.CheckNext(s.ring, s.held) != nil:
			errs = append(errs, fmt.Errorf("%s %w", path, keyring.CheckNext(s.ring, s.held)))
		}
	}
	return errors.Join(errs...)
}

// sameAuthority refuses an older state from before the certificate authority was replaced: registries got another ca.crt
// since, and would refuse all that the server signs.
func (k *Keeper) sameAuthority(s *set, at string) error {
	text, err := k.options.State.Entry(at, keyring.EntryAuthorities)
	if err != nil {
		return err
	}
	trusted := keyring.ParseAuthorities(text)
	if len(trusted) == 0 || s.held.Current != nil && bytes.Equal(s.held.Current.Certificate.Raw, trusted[0]) {
		return nil
	}
	return fmt.Errorf("%s holds another certificate authority than the one that is published in %s: restore a newer state; "+
		"or remove that folder to go on with this one, and give registries what is published then",
		k.options.State.SecretPath(keyring.CASecretName(s.name)), k.options.State.PublicPath(at))
}

// dropKeys takes keys out of an older state that are not public any more: they were revoked since, or their time is over, and
// verifiers do not know them.
func (k *Keeper) dropKeys(s *set, at string) error {
	text, err := k.options.State.Entry(at, keyring.EntryJWKS)
	if err != nil {
		return err
	}
	var published struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if json.Unmarshal(text, &published) != nil || len(published.Keys) == 0 {
		return nil // it says nothing of what is known
	}
	public := map[string]bool{}
	for _, key := range published.Keys {
		public[key.ID] = true
	}
	s.ring.Keys = slices.DeleteFunc(slices.Clone(s.ring.Keys), func(key keyring.Key) bool {
		gone := !public[key.KeyID] && key.State != v1alpha1.KeyRevoked
		if gone {
			k.options.Log.Info("Dropped a key of an older state, which is not public any more", "signingKey", s.name, "key", key.KeyID)
		}
		return gone
	})
	return nil
}
