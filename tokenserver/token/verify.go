package token

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

const (
	// MaxVerified is the longest token in bytes that is looked at: twice what we sign.
	MaxVerified = 16 << 10
	// maxKeyID is the longest kid that a key of ours has.
	maxKeyID = 256
)

// ErrInvalid says that a token is not one that we signed and that is good now. What wraps it is for the log.
var ErrInvalid = errors.New("the token is not valid")

// ErrExpired says that a token is one that we signed, and was good once.
var ErrExpired = fmt.Errorf("%w: expired", ErrInvalid)

// Public is a key that verifies.
type Public struct {
	// Owner is the SigningKey: its tokens are for its audiences only.
	Owner     string
	Algorithm v1alpha1.Algorithm
	Key       crypto.PublicKey
}

// Expected is what a token must be.
type Expected struct {
	Issuer string
	// Types are the values of the header typ that are accepted: one kind of token is never taken for another.
	Types []string
	// Keys returns those with the kid.
	Keys func(kid string) []Public
	// Serves says whether the SigningKey holds the audience.
	Serves func(owner, audience string) bool
	Now    time.Time
}

// Verified is a token that we signed.
type Verified struct {
	// Type is the header's typ, KeyID its kid.
	Type, KeyID string
	Issuer      string `json:"iss"`
	Subject     string `json:"sub"`
	Audience    string `json:"aud"`
	ID          string `json:"jti"`
	// Expiry is zero for a token without one.
	Expiry    int64 `json:"exp"`
	NotBefore int64 `json:"nbf"`
	IssuedAt  int64 `json:"iat"`
	// ClientID and Scope are those of RFC 9068.
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
	// Provider and Through are those of AccessClaims.
	Provider string   `json:"tokenwright.dev/provider"`
	Through  []string `json:"tokenwright.dev/through"`
	// ResourceServer and RequestedBy are those of a permission ticket: see TicketClaims.
	ResourceServer string `json:"tokenwright.dev/resource_server"`
	RequestedBy    string `json:"tokenwright.dev/requested_by"`
	// Access is a registry token's.
	Access []Access `json:"access"`
	// Claims is the whole payload.
	Claims json.RawMessage `json:"-"`
}

// Verify returns what a token says if one of our keys signed it and it is good at the time, or an error that wraps ErrInvalid.
//
// The kid only chooses among our keys: jwk, jku, x5c and x5u of the header are never looked at, and the algorithm is the
// key's own, so that a public key is never taken for a shared secret (RFC 8725, 3.1 and 3.10). Nothing is decoded of a token
// that has not the form of one.
func Verify(text string, expected Expected) (Verified, error) {
	head, err := readHeader(text)
	if err != nil {
		return Verified{}, err
	}
	if !slices.Contains(expected.Types, head.Type) {
		return Verified{}, invalid("of another type")
	}
	for _, key := range expected.Keys(head.KeyID) {
		if string(key.Algorithm) != head.Algorithm {
			continue
		}
		payload, ok := signedBy(text, key)
		if !ok {
			continue
		}
		v := Verified{Type: head.Type, KeyID: head.KeyID, Claims: payload}
		if err := json.Unmarshal(payload, &v); err != nil {
			return Verified{}, invalid("its claims cannot be read")
		}
		if err := v.check(key, expected); err != nil {
			return Verified{}, err
		}
		return v, nil
	}
	return Verified{}, invalid("no key of ours has signed it")
}

// readHeader reads the header of a token that has the form of one.
func readHeader(text string) (header, error) {
	// White space is passed over by decoders: one token could be written in any number of ways.
	if len(text) > MaxVerified || strings.Count(text, ".") != 2 || strings.ContainsAny(text, " \t\r\n") {
		return header{}, invalid("not a JWS in compact form")
	}
	encoded, _, _ := strings.Cut(text, ".")
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return header{}, invalid("its header is not base64url")
	}
	var head header
	if err := json.Unmarshal(decoded, &head); err != nil || len(head.KeyID) > maxKeyID {
		return header{}, invalid("its header cannot be read")
	}
	return head, nil
}

// signedBy returns the payload if the key has signed it. Unknown values of crit are refused by the library.
func signedBy(text string, key Public) (payload []byte, ok bool) {
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(key.Algorithm)})
	if err != nil {
		return nil, false
	}
	payload, err = jws.Verify(key.Key)
	return payload, err == nil
}

// check holds what was signed to what is expected. There is no leeway: the clock is the one that wrote the times.
func (v Verified) check(key Public, expected Expected) error {
	now := expected.Now.Unix()
	serves := v.Audience
	if v.Type == TypeTicket {
		serves = v.ResourceServer
	}
	switch {
	case v.Issuer != expected.Issuer:
		return invalid("of another issuer")
	case v.ID == "" || v.Audience == "":
		return invalid("without jti or aud")
	case v.Type == TypeTicket && v.Audience != v.Issuer:
		return invalid("a ticket that is not for its issuer")
	case !expected.Serves(key.Owner, serves):
		return invalid("for an audience that its key does not serve")
	case v.Expiry != 0 && now >= v.Expiry:
		return ErrExpired
	case now < v.NotBefore:
		return invalid("not good yet")
	}
	return nil
}

// invalid makes an ErrInvalid with its cause, which must hold nothing of the token.
func invalid(cause string) error { return fmt.Errorf("%w: %s", ErrInvalid, cause) }
