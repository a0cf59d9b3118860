package token

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// Signer signs with one key. It may be used by many goroutines at once.
type Signer struct {
	keyID      string
	thumbprint string
	signUntil  time.Time
	lifetime   time.Duration
	public     crypto.PublicKey
	algorithm  v1alpha1.Algorithm
	chain      []string
	sign       signFunc
	// width is the length of a signature in bytes.
	width int
	// space holds buffers for payloads and signatures.
	space sync.Pool
	// headers has one encoded header, with the dot after it, for each typ.
	headers sync.Map
}

// header is the JOSE header (RFC 7515, 4.1).
type header struct {
	Algorithm string   `json:"alg"`
	Type      string   `json:"typ"`
	KeyID     string   `json:"kid"`
	Chain     []string `json:"x5c,omitempty"`
}

// NewSigner makes a signer of the key, which must be Active and have its private half and, for X509Chain, its
// certificate. It signs a probe and verifies it, so that a key that does not work is found here.
func NewSigner(key keyring.Key, how v1alpha1.KeyIdentification) (*Signer, error) {
	if key.State != v1alpha1.KeyActive || key.Private == nil {
		return nil, fmt.Errorf("key %s is %s and cannot sign", key.Thumbprint, key.State)
	}
	sign, width, err := signWith(key.Algorithm, key.Private)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", key.Thumbprint, err)
	}
	s := &Signer{
		keyID: key.KeyID, thumbprint: key.Thumbprint, signUntil: key.SignUntil, lifetime: key.TokenLifetime, public: key.Public,
		algorithm: key.Algorithm, sign: sign, width: width,
	}
	switch how {
	case v1alpha1.X509Chain:
		if len(key.Chain) == 0 {
			return nil, fmt.Errorf("key %s has no certificate", key.Thumbprint)
		}
		for _, der := range key.Chain {
			s.chain = append(s.chain, base64.StdEncoding.EncodeToString(der)) // RFC 7515, 4.1.6: not base64url
		}
	case v1alpha1.KeyID:
	default:
		return nil, fmt.Errorf("unknown key identification %q", how)
	}
	if err := s.probe(); err != nil {
		return nil, fmt.Errorf("key %s: %w", key.Thumbprint, err)
	}
	return s, nil
}

// KeyID is the kid of the tokens.
func (s *Signer) KeyID() string { return s.keyID }

// Thumbprint names the key whatever the format of its kid (RFC 7638).
func (s *Signer) Thumbprint() string { return s.thumbprint }

// SignUntil is when the key must not sign any more; zero if there is no such time. The caller holds to it.
func (s *Signer) SignUntil() time.Time { return s.signUntil }

// LongestLifetime is the longest that a token of the key may live. The caller holds to it.
func (s *Signer) LongestLifetime() time.Duration { return s.lifetime }

// Sign returns the claims as a compact JWS with the header typ.
func (s *Signer) Sign(typ string, claims Claims) (string, error) {
	head, err := s.header(typ)
	if err != nil {
		return "", err
	}
	space, ok := s.space.Get().(*[]byte)
	if !ok {
		space = new([]byte)
	}
	defer s.space.Put(space)
	payload := claims.AppendJSON((*space)[:0])
	*space = payload
	text := make([]byte, 0, len(head)+encodedLen(len(payload))+1+encodedLen(s.width))
	text = append(text, head...)
	text = base64.RawURLEncoding.AppendEncode(text, payload)
	signature, err := s.sign(payload[:0], text)
	if err != nil {
		return "", fmt.Errorf("sign with key %s: %w", s.keyID, err)
	}
	text = append(text, '.')
	text = base64.RawURLEncoding.AppendEncode(text, signature)
	return string(text), nil
}

func encodedLen(n int) int { return base64.RawURLEncoding.EncodedLen(n) }

// header returns the encoded header for the typ. Types are constants of this program, so there are few.
func (s *Signer) header(typ string) (string, error) {
	known, _ := s.headers.Load(typ)
	if encoded, ok := known.(string); ok {
		return encoded, nil
	}
	text, err := json.Marshal(header{Algorithm: string(s.algorithm), Type: typ, KeyID: s.keyID, Chain: s.chain})
	if err != nil {
		return "", fmt.Errorf("encode the header: %w", err)
	}
	encoded := base64.RawURLEncoding.EncodeToString(text) + "."
	s.headers.Store(typ, encoded)
	return encoded, nil
}

// probe signs something and has another implementation verify it with the public key.
func (s *Signer) probe() error {
	text, err := s.Sign(TypeRegistry, RegistryClaims{})
	if err != nil {
		return err
	}
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(s.algorithm)})
	if err != nil {
		return fmt.Errorf("parse the probe: %w", err)
	}
	if _, err := jws.Verify(s.public); err != nil {
		return errors.New("the probe does not verify with the public key")
	}
	return nil
}
