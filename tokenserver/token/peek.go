package token

import (
	"bytes"
	"encoding/base64"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

// Claimed is what a token says of itself. Nobody has verified it.
type Claimed struct {
	Issuer string
	// Expires is zero if it says nothing.
	Expires time.Time
	// ID is its jti; empty if that is not a text.
	ID string
}

// Peek reads what a token claims, to find out who could verify it; false if it has not the form of a token.
func Peek(text string) (Claimed, bool) {
	decoded, ok := payloadOf(text)
	if !ok {
		return Claimed{}, false
	}
	var claims struct {
		Issuer string `json:"iss"`
		// A NumericDate may have a fraction (RFC 7519, section 2).
		Expiry float64 `json:"exp"`
		ID     any     `json:"jti"`
	}
	// As verifiers read it: EXP is not exp.
	if err := json.Unmarshal(decoded, &claims); err != nil {
		return Claimed{}, false
	}
	c := Claimed{Issuer: claims.Issuer}
	c.ID, _ = claims.ID.(string)
	if claims.Expiry > 0 && claims.Expiry < latest {
		c.Expires = time.Unix(int64(claims.Expiry), 0)
	}
	return c, true
}

func payloadOf(text string) ([]byte, bool) {
	if len(text) > MaxVerified || strings.Count(text, ".") != 2 {
		return nil, false
	}
	_, rest, _ := strings.Cut(text, ".")
	payload, _, _ := strings.Cut(rest, ".")
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	return decoded, err == nil
}

// Payload reads all that a token claims; false if it has not the form of a token. Nobody has verified it.
func Payload(text string) (map[string]any, bool) {
	decoded, ok := payloadOf(text)
	if !ok {
		return nil, false
	}
	var claims map[string]any
	decoder := json.NewDecoder(bytes.NewReader(decoded))
	decoder.SetNumberType(json.UnmarshalJSONNumber)
	if err := decoder.Decode(&claims); err != nil {
		return nil, false
	}
	if _, err := decoder.Token(); err != io.EOF { //nolint:errorlint // the decoder returns it as it is
		return nil, false
	}
	exact(claims)
	return claims, true
}

// exact gives numbers the types that they have in expressions. An integer keeps its value: two account numbers must not become one
// because a float has no room for either. One that no integer has room for is a text, which is equal to no number.
func exact(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = exact(member)
		}
	case []any:
		for n, element := range v {
			v[n] = exact(element)
		}
	case json.Number:
		return number(v.String())
	}
	return value
}

func number(text string) any {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i
	}
	if u, err := strconv.ParseUint(text, 10, 64); err == nil {
		return u
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && strings.ContainsAny(text, ".eE") {
		return f
	}
	return text
}

// latest is past any time that is meant, and small enough to calculate with.
const latest = 1 << 40
