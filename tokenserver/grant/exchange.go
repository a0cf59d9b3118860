package grant

import (
	"context"
	"errors"
	"slices"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// Types of tokens (RFC 8693, section 3).
const (
	TokenTypeAccess = "urn:ietf:params:oauth:token-type:access_token"
	TokenTypeJWT    = "urn:ietf:params:oauth:token-type:jwt"
	TokenTypeID     = "urn:ietf:params:oauth:token-type:id_token"
)

// actionExchange is that of a rule of type oauth.
const actionExchange = "exchange"

// Exchange is the grant of RFC 8693: a token of somebody else's, or an access token of ours, for one of ours. It never gives
// more time than the token that came has left.
type Exchange struct{}

// Name implements Grant.
func (Exchange) Name(*Request) string { return nameExchange }

// Check implements Grant.
func (Exchange) Check(request *Request) *Error {
	switch {
	case request.Subject == "":
		return &Error{Kind: InvalidRequest, Message: "subject_token is missing"}
	case !slices.Contains([]string{TokenTypeAccess, TokenTypeJWT, TokenTypeID}, request.SubjectType):
		return &Error{Kind: InvalidRequest, Message: "subject_token_type must be that of a jwt, an access_token or an id_token"}
	}
	return needsAudience(request)
}

// What is wrong with a subject token, for the log.
var (
	errNotAToken   = errors.New("it has not the form of a token")
	errNoIDToken   = errors.New("it is ours, and we issue no ID tokens")
	errNoExpiry    = errors.New("it has no expiry")
	errEndsTooSoon = errors.New("it ends within a minute")
)

// exchange proves the caller by the subject token, and the client, if there is one. RFC 8693, section 2.2.2 wants
// invalid_request for a token that is not good.
func (g *Granter) exchange(ctx context.Context, from *snapshot.Snapshot, request *Request, progress *issue.Request) (caller.Caller, *Error) {
	if request.Credentials.Present {
		client, failure := g.authenticateClient(ctx, from, request)
		if failure != nil {
			return caller.Caller{}, failure
		}
		progress.Client = client.Username
	}
	who, err := g.speaker(ctx, from, request, progress)
	if err == nil && progress.NotAfter.Sub(request.Time) < issue.MinLifetime {
		err = errEndsTooSoon
	}
	var limited *identity.Limited
	switch {
	case err == nil:
		g.Metrics.Authentication(string(who.Method), metrics.AuthenticationOK)
		return who, nil
	case errors.As(err, &limited):
		g.Metrics.Authentication("unknown", metrics.AuthenticationLimited)
		return caller.Caller{}, authenticationError(err)
	case IsUnavailable(err):
		g.Metrics.Authentication("unknown", metrics.AuthenticationUnavailable)
		return caller.Caller{}, &Error{
			Kind: Unavailable, Message: "the subject_token cannot be verified at present", RetryAfter: retryAfter, Cause: err,
		}
	}
	g.Metrics.Authentication("unknown", metrics.AuthenticationRefused)
	return caller.Caller{}, &Error{Kind: InvalidRequest, Message: "the subject_token was not accepted", Cause: err}
}

// speaker is whom the subject token speaks for. A token that says it is ours is never shown to anybody else: a provider that
// trusts our keys would not know what is revoked.
func (g *Granter) speaker(ctx context.Context, from *snapshot.Snapshot, request *Request, progress *issue.Request) (caller.Caller, error) {
	claimed, ok := token.Peek(request.Subject)
	switch {
	case !ok || !identity.IsToken(request.Subject):
		return caller.Caller{}, errNotAToken
	case claimed.Issuer == g.Issuer.Name:
		return g.ourSpeaker(ctx, from, request, progress)
	}
	credentials := identity.Credentials{Password: request.Subject, Present: true, Source: request.Source}
	who, err := g.Authenticator.Authenticate(ctx, from, credentials, request.Time)
	if err != nil {
		return caller.Caller{}, err
	}
	// What was peeked at is verified by now.
	if claimed.Expires.IsZero() {
		return caller.Caller{}, errNoExpiry
	}
	progress.NotAfter, progress.SubjectTokenID = claimed.Expires, claimed.ID
	return who, nil
}

// ourSpeaker is whom an access token of ours speaks for, as the provider knows it now.
func (g *Granter) ourSpeaker(ctx context.Context, from *snapshot.Snapshot, request *Request, progress *issue.Request) (caller.Caller, error) {
	if request.SubjectType == TokenTypeID {
		return caller.Caller{}, errNoIDToken
	}
	held, err := g.Held(ctx, from, request.Subject, request.Time, token.TypeAccess)
	if err != nil {
		return caller.Caller{}, err
	}
	who, err := recalled(from, &held)
	if err != nil {
		return caller.Caller{}, err
	}
	return who, derive(progress, &held, request.Audience)
}

// recalled is the caller of a token of ours. That of a recorded one is proved again: its password may have changed since.
func recalled(from *snapshot.Snapshot, held *Held) (caller.Caller, error) {
	if held.Record == nil {
		return identity.Recall(from, held.Subject, held.Signed.Provider, held.Issued)
	}
	who, err := proveAgain(from, held.Record)
	who.Method = caller.MethodToken
	return who, err
}
