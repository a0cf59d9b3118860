package token

import (
	"encoding/base32"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwright/tokenwright/tokenserver/quote"
)

// TypeRegistry is the header typ of registry tokens. Every other kind of token has its own, so that one is never taken
// for another.
const TypeRegistry = "JWT"

// TypeAccess is the header typ of access tokens for services (RFC 9068, section 2.1).
const TypeAccess = "at+jwt"

// TypeRPT is the header typ of requesting party tokens (UMA 2.0, Grant, section 1.1.1): access tokens with permissions.
const TypeRPT = "rpt+jwt"

// TypeTicket is the header typ of permission tickets (UMA 2.0, Federated Authorization, section 4).
const TypeTicket = "uma-ticket+jwt"

// MinLifetime is the shortest life of a registry token: clients of registries take less for an error (distribution's
// token.md).
const MinLifetime = time.Minute

// Claims are the claims of a token.
type Claims interface {
	// AppendJSON appends the claims as a JSON object.
	AppendJSON(dst []byte) []byte
}

// Access is what a registry token allows for one resource: Docker's resource actions.
type Access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// RegistryClaims are the claims of a registry token: those of RFC 7519, and access.
type RegistryClaims struct {
	// Issuer is compared by registries as it is.
	Issuer string `json:"iss"`
	// Subject is empty for an anonymous caller, but always there.
	Subject string `json:"sub"`
	// Audience is one string: distribution 2 refuses lists.
	Audience string `json:"aud"`
	// Expiry, NotBefore and IssuedAt are in seconds since 1970.
	Expiry    int64  `json:"exp"`
	NotBefore int64  `json:"nbf"`
	IssuedAt  int64  `json:"iat"`
	ID        string `json:"jti"`
	// Access is a list even if it grants nothing.
	Access []Access `json:"access"`
}

// AppendJSON implements Claims. It never writes null where a list is meant: registries in other languages than Go refuse
// it.
func (c RegistryClaims) AppendJSON(dst []byte) []byte {
	dst = quote.Append(append(dst, `{"iss":`...), c.Issuer)
	dst = quote.Append(append(dst, `,"sub":`...), c.Subject)
	dst = quote.Append(append(dst, `,"aud":`...), c.Audience)
	dst = strconv.AppendInt(append(dst, `,"exp":`...), c.Expiry, 10)
	dst = strconv.AppendInt(append(dst, `,"nbf":`...), c.NotBefore, 10)
	dst = strconv.AppendInt(append(dst, `,"iat":`...), c.IssuedAt, 10)
	dst = quote.Append(append(dst, `,"jti":`...), c.ID)
	dst = append(dst, `,"access":[`...)
	for i, a := range c.Access {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quote.Append(append(dst, `{"type":`...), a.Type)
		dst = quote.Append(append(dst, `,"name":`...), a.Name)
		dst = quote.AppendList(append(dst, `,"actions":`...), a.Actions)
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

// NewID draws 128 random bits and writes them in lower-case base32 without padding: 26 characters that can name an
// object.
func NewID(random io.Reader) (string, error) {
	var bits [16]byte
	if _, err := io.ReadFull(random, bits[:]); err != nil {
		return "", fmt.Errorf("draw a token id: %w", err)
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(bits[:])), nil
}

// NewUUID draws a token id that is a UUID of 122 random bits (RFC 9562, section 5.4), for clients that take nothing else.
func NewUUID(random io.Reader) (string, error) {
	id, err := uuid.NewRandomFromReader(random)
	if err != nil {
		return "", fmt.Errorf("draw a token id: %w", err)
	}
	return id.String(), nil
}
