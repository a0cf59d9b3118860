package cmd

import (
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// leafMargin is what a certificate lasts longer than the tokens of its key: the manager's default of --clock-skew, twice.
const leafMargin = 2 * assumedSkew

// tellRevocation says what was written.
func (s *session) tellRevocation(key *v1alpha1.SigningKey, r keyRevocation) {
	for _, k := range r.dead {
		s.say("SigningKey %q: key %q (%s) is in spec.revokedKeyIDs.", key.Name, k.KeyID, k.State)
	}
	for _, id := range r.unknown {
		s.warn("no key of SigningKey %q has the id %q; it is in spec.revokedKeyIDs and means nothing yet", key.Name, id)
	}
	for _, id := range r.dropped {
		s.warn("id %q was dropped from spec.revokedKeyIDs to make room: no key has it any more", id)
	}
	for _, k := range r.left {
		s.warn("there was no room for the Retired key %q; it is dropped %s", k.KeyID, s.pointInTime(k.RemovalTime))
	}
	if len(r.dead)+len(r.unknown) == 0 {
		s.say("SigningKey %q has no key that could be revoked.", key.Name)
	}
}

// tellReach says what a revocation does not reach by itself, and what a person can do about it.
func (s *session) tellReach(key *v1alpha1.SigningKey, r keyRevocation) {
	s.say("Verifiers that fetch the JWKS refuse the tokens of revoked keys as soon as they have fetched it again.")
	switch {
	case key.Spec.Rotation.Mode == v1alpha1.RotationNever:
		s.say("Verifiers that hold one key accept it until they are given the new key.pem of ConfigMap %q.", keyring.ConfigMapName(key))
	case key.Spec.KeyIdentification == v1alpha1.KeyID && key.Spec.Rotation.Mode == v1alpha1.RotationManual:
		s.say("Those that read the JWKS of ConfigMap %q once, at start, must be restarted: they may not know the new key either.", keyring.ConfigMapName(key))
	}
	if until, any := certifiedUntil(key, r.dead); any {
		when := "for as long as the certificate authority lasts"
		if until != "" {
			when = "until " + s.pointInTime(until)
		}
		s.say(`Registries that verify by certificate (x5c) do not learn of it: whoever has a revoked key can sign for them
%s. To end that sooner, replace the certificate authority:
   %s`, when, s.command("rotate", key.Name, "--certificate-authority"))
	}
	if len(r.added) > 0 {
		s.say(`If GitOps or a file owns SigningKey %q, add to spec.revokedKeyIDs there, or the next apply may take away
(revoked keys stay revoked all the same):
   - %s`, key.Name, strings.Join(r.added, "\n   - "))
	}
}

// certifiedUntil is when the last certificate of the keys ends; empty if one ends only with its authority. Keys that never
// signed have none. The status does not tell how long a key's tokens could once live, so a tokenLifetime that was lowered
// since makes it early.
func certifiedUntil(key *v1alpha1.SigningKey, keys []v1alpha1.KeyStatus) (until v1alpha1.DateTime, any bool) {
	if key.Spec.KeyIdentification == v1alpha1.KeyID {
		return "", false
	}
	lifetime, err := key.Spec.TokenLifetime.Parse()
	if err != nil {
		lifetime = 24 * time.Hour // the longest that the schema allows
	}
	var last time.Time
	for _, k := range keys {
		if k.ActivatedTime == "" {
			continue
		}
		end, err := k.SignUntil.Parse()
		if err != nil {
			return "", true
		}
		if end = end.Add(lifetime + leafMargin); end.After(last) {
			last = end
		}
	}
	if last.IsZero() {
		return "", false
	}
	return v1alpha1.NewDateTime(last), true
}
