package grant

import (
	"context"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// ClientCredentials is grant_type=client_credentials (RFC 6749, section 4.4): a client asks for itself. Clients are users of
// IdentityProviders, and ServiceAccounts.
type ClientCredentials struct{}

// Name implements Grant.
func (ClientCredentials) Name(*Request) string { return nameClient }

// Check implements Grant.
func (ClientCredentials) Check(request *Request) *Error {
	if !request.Credentials.Present {
		return &Error{Kind: BadClient, Message: "the client must prove who it is by HTTP Basic"}
	}
	return needsAudience(request)
}

// authenticateClient says which client asks.
func (g *Granter) authenticateClient(ctx context.Context, from *snapshot.Snapshot, request *Request) (caller.Caller, *Error) {
	who, failure := g.authenticate(ctx, from, request)
	if failure != nil && failure.Kind == BadCredentials {
		failure.Kind = BadClient
	}
	return who, failure
}
