package grant

import (
	"context"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Approver is who came to see or to decide what is asked of owners.
type Approver struct {
	Caller caller.Caller
	// User says that the caller came as the user, and Server as the resource server of the audience. One token can say both.
	User, Server bool
	// Audience is what the caller's token is of, and its reach; empty: the caller proved itself by other means, to which there is
	// no such bound.
	Audience string
	// TokenID is the jti of that token.
	TokenID string
}

// Approver says who came with a request's bearer or credentials: a user who proved itself, or whose access token of ours stands
// for it (see issue.ScopeUMA), or a resource server with its PAT.
func (g *Granter) Approver(ctx context.Context, from *snapshot.Snapshot, request *Request) (Approver, *Error) {
	// A server that is cut off does not know what was revoked.
	if err := g.Issuer.Fence.Check(request.Time); err != nil {
		return Approver{}, &Error{Kind: Unavailable, Message: "the token cannot be verified at present", RetryAfter: retryAfter, Cause: err}
	}
	if request.Bearer == "" && !request.Credentials.Present {
		return Approver{}, &Error{Kind: BadClient, Message: "the caller must prove who it is"}
	}
	p, failure := g.prover(ctx, from, &UMARequest{
		ID: request.ID, Time: request.Time, Source: request.Source, Bearer: request.Bearer, Credentials: request.Credentials,
	})
	switch {
	case failure != nil:
		return Approver{}, failure
	case p.held == nil:
		return Approver{Caller: p.caller, User: true}, nil
	}
	a := Approver{Caller: p.caller, Audience: p.held.Audience, TokenID: p.held.ID, User: standsFor(&p.held.Signed)}
	a.Server = protects(p.held) && g.May(from, p.caller, request, a.Audience, issue.ActionUMA)
	if !a.User && !a.Server {
		return a, &Error{
			Kind:    InsufficientScope,
			Message: "the token neither stands for the caller nor speaks for a resource server: ask for one with the scope " + issue.ScopeUMA + " or " + issue.ActionUMA,
		}
	}
	return a, nil
}
