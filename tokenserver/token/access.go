package token

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/tokenwright/tokenwright/tokenserver/quote"
)

// AccessClaims are the claims of an access token for services: those of RFC 9068, section 2.2, and what policies add.
type AccessClaims struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	// Audience is one text: some verifiers take no list.
	Audience string `json:"aud"`
	Expiry   int64  `json:"exp"`
	// NoExpiry leaves exp out: see IdentClaims.
	NoExpiry  bool   `json:"-"`
	NotBefore int64  `json:"nbf"`
	IssuedAt  int64  `json:"iat"`
	ID        string `json:"jti"`
	// ClientID is the client as proved.
	ClientID string `json:"client_id"`
	// Scope is what was granted, in the grammar of the scopes that were asked for; it may be empty.
	Scope string `json:"scope"`
	// NoScope leaves scope out: see RPTClaims.
	NoScope bool `json:"-"`
	// Provider is the IdentityProvider that vouched, where the subject does not say which one it was: of a ServiceAccount.
	Provider string `json:"tokenwright.dev/provider,omitempty"`
	// Through are the audiences that it came through by exchanges, the first one first. It is not exchanged for one of them.
	Through []string `json:"tokenwright.dev/through,omitempty"`
	// Application are further claims, as JSON. Their names are none of the above.
	Application map[string]json.RawMessage `json:"-"`
}

// AppendJSON implements Claims. The application's claims come first, in the order of their names: should one have a name
// that some reader takes for one of ours, the last one counts for most of them.
func (c AccessClaims) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for _, name := range slices.Sorted(maps.Keys(c.Application)) {
		dst = append(quote.Append(dst, name), ':')
		dst = append(append(dst, c.Application[name]...), ',')
	}
	dst = quote.Append(append(dst, `"iss":`...), c.Issuer)
	dst = quote.Append(append(dst, `,"sub":`...), c.Subject)
	dst = quote.Append(append(dst, `,"aud":`...), c.Audience)
	if !c.NoExpiry {
		dst = strconv.AppendInt(append(dst, `,"exp":`...), c.Expiry, 10)
	}
	dst = strconv.AppendInt(append(dst, `,"nbf":`...), c.NotBefore, 10)
	dst = strconv.AppendInt(append(dst, `,"iat":`...), c.IssuedAt, 10)
	dst = quote.Append(append(dst, `,"jti":`...), c.ID)
	dst = quote.Append(append(dst, `,"client_id":`...), c.ClientID)
	if !c.NoScope {
		dst = quote.Append(append(dst, `,"scope":`...), c.Scope)
	}
	if c.Provider != "" {
		dst = quote.Append(append(dst, `,"tokenwright.dev/provider":`...), c.Provider)
	}
	if len(c.Through) > 0 {
		dst = quote.AppendList(append(dst, `,"tokenwright.dev/through":`...), c.Through)
	}
	return append(dst, '}')
}
