package keyring

import (
	"encoding/json"
	"fmt"
)

// The entries of what is public of a key set.
const (
	// EntryJWKS is the JSON Web Key Set (RFC 7517).
	EntryJWKS = "jwks.json"
	// EntryAuthorities are the certificate authorities, in PEM.
	EntryAuthorities = "ca.crt"
	// EntryKey is the public key that signs, in PEM.
	EntryKey = "key.pem"
)

// PublicData is what is published of the ring: the entries of a ConfigMap, or files. It is never without the JWKS; the
// authorities and the key that signs are there if there are any.
func PublicData(ring Ring) (map[string]string, error) {
	jwks, err := json.MarshalIndent(JWKS(ring), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the JWKS: %w", err)
	}
	data := map[string]string{EntryJWKS: string(jwks) + "\n"}
	if authorities := ring.AuthoritiesPEM(); len(authorities) > 0 {
		data[EntryAuthorities] = string(authorities)
	}
	if active, ok := ring.Active(); ok {
		text, err := active.PublicPEM()
		if err != nil {
			return nil, err
		}
		data[EntryKey] = string(text)
	}
	return data, nil
}

// MaxGeneration bounds what is believed of a generation that was published: past it a number is not one of ours.
const MaxGeneration = int64(1) << 53

// MaxLead is by how much a published generation may be ahead of the key set's. A key set that was lost or is old is never so
// far behind; somebody who edits what is published could let it leap to where no generation is believed.
const MaxLead = int64(1) << 32

// Credible returns the published generation, or nothing if the key set, of the other generation, cannot have been so far.
func Credible(published, own int64) int64 {
	if published-own >= MaxLead {
		return 0
	}
	return published
}
