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
