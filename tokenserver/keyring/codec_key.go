package keyring

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// maxJWK is the longest public key, in bytes of JSON: that of RSA with 4096 bits has 900.
const maxJWK = 2048

type keyJSON struct {
	Thumbprint    string               `json:"thumbprint"`
	KeyID         string               `json:"keyID"`
	Format        v1alpha1.KeyIDFormat `json:"keyIDFormat"`
	Algorithm     v1alpha1.Algorithm   `json:"algorithm"`
	State         v1alpha1.KeyState    `json:"state"`
	JWK           json.RawMessage      `json:"jwk"`
	Chain         [][]byte             `json:"chain,omitempty"`
	Created       time.Time            `json:"created,omitzero"`
	Published     time.Time            `json:"published,omitzero"`
	Activated     time.Time            `json:"activated,omitzero"`
	SignUntil     time.Time            `json:"signUntil,omitzero"`
	Retired       time.Time            `json:"retired,omitzero"`
	TokenLifetime string               `json:"tokenLifetime"`
}

func encodeKey(k Key) (keyJSON, error) {
	jwk, err := k.JWK().MarshalJSON()
	if err != nil {
		return keyJSON{}, err
	}
	return keyJSON{
		Thumbprint: k.Thumbprint, KeyID: k.KeyID, Format: k.Format, Algorithm: k.Algorithm, State: k.State,
		JWK: jwk, Chain: k.Chain, Created: k.Created, Published: k.Published,
		Activated: k.Activated, SignUntil: k.SignUntil, Retired: k.Retired,
		TokenLifetime: k.TokenLifetime.String(),
	}, nil
}

func decodeKey(in keyJSON) (Key, error) {
	k := Key{
		Thumbprint: in.Thumbprint, KeyID: in.KeyID, Format: in.Format, Algorithm: in.Algorithm, State: in.State,
		Chain: in.Chain, Created: in.Created, Published: in.Published, Activated: in.Activated,
		SignUntil: in.SignUntil, Retired: in.Retired,
	}
	var err error
	if k.Public, err = decodeJWK(in.JWK); err != nil {
		return Key{}, err
	}
	if k.TokenLifetime, err = time.ParseDuration(in.TokenLifetime); err != nil || k.TokenLifetime <= 0 {
		return Key{}, errors.New("the token lifetime is not a duration")
	}
	for _, check := range []func(*Key) error{checkIDs, checkTimes, checkChain} {
		if err := check(&k); err != nil {
			return Key{}, err
		}
	}
	return k, nil
}

// decodeJWK reads a public key and nothing else: no private half, no certificates.
func decodeJWK(text []byte) (any, error) {
	if len(text) > maxJWK {
		return nil, fmt.Errorf("the JWK is longer than %d bytes", maxJWK)
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(text); err != nil || !jwk.Valid() || !jwk.IsPublic() {
		return nil, errors.New("the JWK is not a public key")
	}
	return jwk.Key, nil
}

func checkIDs(k *Key) error {
	if err := fits(k.Public, k.Algorithm); err != nil {
		return err
	}
	thumbprint, err := Thumbprint(k.Public)
	if err != nil {
		return err
	}
	id, err := KeyID(k.Public, k.Format)
	if err != nil {
		return err
	}
	if k.Thumbprint != thumbprint || k.KeyID != id {
		return errors.New("the ids are not those of the public key")
	}
	return nil
}

// checkTimes holds that a key has the times of the states that it has gone through.
func checkTimes(k *Key) error {
	ok := !k.Created.IsZero()
	switch k.State {
	case v1alpha1.KeyPending:
		ok = ok && k.Published.IsZero() && k.Activated.IsZero() && k.Retired.IsZero()
	case v1alpha1.KeyPublished:
		ok = ok && !k.Published.IsZero() && k.Activated.IsZero() && k.Retired.IsZero()
	case v1alpha1.KeyActive:
		ok = ok && !k.Published.IsZero() && !k.Activated.IsZero() && k.Retired.IsZero()
	case v1alpha1.KeyRetired:
		ok = ok && !k.Published.IsZero() && !k.Activated.IsZero() && !k.Retired.IsZero()
	case v1alpha1.KeyRevoked:
		ok = ok && !k.Retired.IsZero()
	default:
		return fmt.Errorf("key %s has an unknown state", k.Thumbprint)
	}
	if !ok {
		return fmt.Errorf("the times of key %s are not those of state %s", k.Thumbprint, k.State)
	}
	return nil
}

func checkChain(k *Key) error {
	if len(k.Chain) > maxChain {
		return fmt.Errorf("key %s has more than %d certificates", k.Thumbprint, maxChain)
	}
	for i, der := range k.Chain {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("key %s has a certificate that cannot be read", k.Thumbprint)
		}
		if i > 0 {
			continue
		}
		if !samePublic(certificate.PublicKey, k.Public) {
			return fmt.Errorf("the certificate of key %s belongs to another key", k.Thumbprint)
		}
		k.CertifiedUntil, k.CertifiedBy = certificate.NotAfter, hex.EncodeToString(certificate.AuthorityKeyId)
	}
	return nil
}
