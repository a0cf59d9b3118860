package cmd

import (
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// idsOf returns the ids of the key in every format, as the manager understands them.
func idsOf(k v1alpha1.KeyStatus) []string {
	ids := []string{k.KeyID, k.Thumbprint}
	var public jose.JSONWebKey
	if public.UnmarshalJSON([]byte(k.JWK)) != nil {
		return ids
	}
	for _, format := range []v1alpha1.KeyIDFormat{v1alpha1.LibTrust, v1alpha1.SSHFingerprintMD5} {
		if id, err := keyring.KeyID(public.Key, format); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// find returns the key of the id, whatever its format.
func find(key *v1alpha1.SigningKey, id string) (v1alpha1.KeyStatus, bool) {
	for _, k := range key.Status.Keys {
		if slices.Contains(idsOf(k), id) {
			return k, true
		}
	}
	return v1alpha1.KeyStatus{}, false
}

// inState returns the first key in one of the states, which are tried in their order.
func inState(key *v1alpha1.SigningKey, states ...v1alpha1.KeyState) (v1alpha1.KeyStatus, bool) {
	for _, state := range states {
		for _, k := range key.Status.Keys {
			if k.State == state {
				return k, true
			}
		}
	}
	return v1alpha1.KeyStatus{}, false
}

// algorithm is what the key's JWK says.
func algorithm(k v1alpha1.KeyStatus) string {
	var public jose.JSONWebKey
	if public.UnmarshalJSON([]byte(k.JWK)) != nil {
		return ""
	}
	return public.Algorithm
}
