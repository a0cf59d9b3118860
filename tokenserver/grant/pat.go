package grant

import (
	"context"
	"errors"
	"slices"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// PAT says who came with a token of the protection API (UMA 2.0, Federated Authorization, section 1.3): an access token of ours,
// as the request's Bearer, with the scope uma_protection of its audience, which is the resource server: see Session.Held. The
// policies are asked again at each use.
func (g *Granter) PAT(ctx context.Context, from *snapshot.Snapshot, request *Request) (Session, *Error) {
	s, err := g.pat(ctx, from, request)
	switch {
	case err == nil:
		g.Metrics.Authentication(string(s.Caller.Method), metrics.AuthenticationOK)
	case IsUnavailable(err) || errors.Is(err, snapshot.ErrStale):
		g.Metrics.Authentication("unknown", metrics.AuthenticationUnavailable)
		return Session{}, &Error{Kind: Unavailable, Message: "the token cannot be verified at present", RetryAfter: retryAfter, Cause: err}
	default:
		g.Metrics.Authentication("unknown", metrics.AuthenticationRefused)
		return Session{}, &Error{Kind: BadCredentials, Message: "the token was not accepted", Cause: err}
	}
	switch {
	case !protects(&s.Held):
		return s, &Error{Kind: InsufficientScope, Message: "the token has not the scope " + issue.ActionUMA}
	case !g.May(from, s.Caller, request, s.Held.Audience, issue.ActionUMA):
		return s, &Error{Kind: InsufficientScope, Message: "no policy lets the caller protect resources of this audience"}
	}
	return s, nil
}

// protects says whether a token has the scope by which it speaks for the resource server of its audience.
func protects(held *Held) bool {
	return slices.ContainsFunc(scopesOf(&held.Signed), func(has scope.Scope) bool {
		return has.Type == v1alpha1.TypeOAuth && has.Name == held.Audience && slices.Contains(has.Actions, issue.ActionUMA)
	})
}

// pat is session for whatever audience the token is of.
func (g *Granter) pat(ctx context.Context, from *snapshot.Snapshot, request *Request) (Session, error) {
	// A server that is cut off does not know what was revoked.
	if err := g.Issuer.Fence.Check(request.Time); err != nil {
		return Session{}, err
	}
	held, err := g.Held(ctx, from, request.Bearer, request.Time, token.TypeAccess)
	switch {
	case err != nil:
		return Session{}, err
	case held.IsRefresh():
		return Session{}, errRefreshAsBearer
	}
	s := Session{Held: held}
	s.Caller, err = recalled(from, &s.Held)
	return s, err
}

// scopesOf are those of an access token of ours. It has no more than a token can have, so that there is no error.
func scopesOf(signed *token.Verified) []scope.Scope {
	has, err := scope.Parse([]string{signed.Scope})
	if err != nil {
		return nil
	}
	return has
}
