package token

import (
	"strconv"

	"github.com/tokenwright/tokenwright/tokenserver/quote"
)

// ClaimCredential is the claim with a keyed digest of the password entry that the caller was proved by. It tells nothing to
// whoever reads it; to the server it tells whether the password is still the same.
const ClaimCredential = "tokenwright.dev/credential"

// IdentClaims are the claims of a token of the Provide Ident API: those of an access token, and more. Without an expiry a
// token has a Status.
type IdentClaims struct {
	AccessClaims
	// NATS is what NATS servers enforce; nil: nothing is said.
	NATS *NATSClaim
	// AuthTime is when the caller was proved by a password, in seconds since 1970, and Credential by which; zero and empty where
	// that is not to be taken up again.
	AuthTime   int64
	Credential string
	Status     *StatusClaim
}

// NATSClaim is the claim `nats`.
type NATSClaim struct{ Publish, Subscribe Subjects }

// Subjects are subjects that are allowed and denied.
type Subjects struct{ Allow, Deny []string }

// StatusClaim says where in which status list the token's state is.
type StatusClaim struct {
	Index int
	URI   string
}

// AppendJSON implements Claims.
func (c IdentClaims) AppendJSON(dst []byte) []byte {
	dst = c.AccessClaims.AppendJSON(dst)
	dst = dst[:len(dst)-1] // the brace
	if c.AuthTime != 0 {
		dst = strconv.AppendInt(append(dst, `,"auth_time":`...), c.AuthTime, 10)
	}
	if c.Credential != "" {
		dst = quote.Append(append(dst, `,"`+ClaimCredential+`":`...), c.Credential)
	}
	if c.NATS != nil {
		dst = c.NATS.Publish.appendJSON(append(dst, `,"nats":{"permissions":{"publish":`...))
		dst = c.NATS.Subscribe.appendJSON(append(dst, `,"subscribe":`...))
		dst = append(dst, "}}"...)
	}
	if c.Status != nil {
		dst = strconv.AppendInt(append(dst, `,"status":{"status_list":{"idx":`...), int64(c.Status.Index), 10)
		dst = append(quote.Append(append(dst, `,"uri":`...), c.Status.URI), "}}"...)
	}
	return append(dst, '}')
}

// appendJSON leaves out an empty list: some readers take one for everything. It says that nothing is allowed instead.
func (s Subjects) appendJSON(dst []byte) []byte {
	if len(s.Allow) == 0 {
		return append(dst, `{"deny":[">"]}`...)
	}
	dst = quote.AppendList(append(dst, `{"allow":`...), s.Allow)
	if len(s.Deny) > 0 {
		dst = quote.AppendList(append(dst, `,"deny":`...), s.Deny)
	}
	return append(dst, '}')
}
