package ident

import (
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// key is a public key as Provide's services read it. Exponent and modulus are an RSA key's only.
type key struct {
	KeyID       string `json:"kid"`
	Exponent    string `json:"e,omitempty"`
	Modulus     string `json:"n,omitempty"`
	Fingerprint string `json:"fingerprint"`
	PublicKey   string `json:"public_key"`
}

// Keys has the form of httpx.Endpoint's Handle: GET /.well-known/keys, the keys that verify the API's own tokens. As with the
// JWKS, nobody is to keep what a server says that is cut off.
func (s *Server) Keys(w http.ResponseWriter, _ *http.Request, x *httpx.Exchange) error {
	from := s.Granter.Snapshots.Load()
	if from.BuiltAt.IsZero() {
		return &httpx.Error{Status: http.StatusServiceUnavailable, Message: "the keys are not known yet", RetryAfter: time.Second}
	}
	list, err := s.keys(from)
	if err != nil {
		return httpx.Internal(err)
	}
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d, must-revalidate", int64(s.KeysMaxAge/time.Second)))
	if s.Granter.Issuer.Fence.Check(x.Start) != nil {
		w.Header().Set("Cache-Control", "no-store")
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	writeBody(w, http.StatusOK, encode(list))
	return nil
}

func (s *Server) keys(from *snapshot.Snapshot) ([]key, error) {
	list := []key{}
	audience, known := from.Audiences[s.Audience]
	if !known {
		return list, nil
	}
	for kid, keys := range from.Verification {
		for _, public := range keys {
			if public.Owner != audience.SigningKey {
				continue
			}
			k, err := form(kid, public)
			if err != nil {
				return nil, err
			}
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.KeyID, b.KeyID), cmp.Compare(a.PublicKey, b.PublicKey))
	})
	return list, nil
}

func form(kid string, public token.Public) (key, error) {
	fingerprint, err := keyring.KeyID(public.Key, v1alpha1.SSHFingerprintMD5)
	if err != nil {
		return key{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(public.Key)
	if err != nil {
		return key{}, fmt.Errorf("encode a public key: %w", err)
	}
	k := key{
		KeyID: kid, Fingerprint: fingerprint,
		PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	}
	if r, ok := public.Key.(*rsa.PublicKey); ok {
		k.Exponent, k.Modulus = hex.EncodeToString(big.NewInt(int64(r.E)).Bytes()), r.N.String()
	}
	return k, nil
}
