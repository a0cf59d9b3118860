package grant

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Authenticator says who asks; identity.Authenticator is the one.
type Authenticator interface {
	Authenticate(ctx context.Context, from *snapshot.Snapshot, credentials identity.Credentials, now time.Time) (caller.Caller, error)
}

// Granter takes requests through the steps. All fields but Records, Current, Logins, Stores, Requests and Walks are required.
type Granter struct {
	Snapshots     *snapshot.Holder
	Authenticator Authenticator
	Issuer        *issue.Issuer
	// Records are what was issued for long and what was taken back; nil: there are none, and no refresh tokens.
	Records *record.Store
	// Current says whether the server would have heard of a revocation; nil: it always would. While it would not, no refresh
	// token is taken: policies as they were last decide for the minutes of an access token, not for a token of months.
	Current func() bool
	// Logins bounds how many refresh tokens a user can have made; nil: nothing does.
	Logins *record.Limits
	// Stores bounds what callers have stored otherwise; nil: nothing does.
	Stores *record.Limits
	// Requests takes what is asked of owners of protected resources; nil: nobody is asked.
	Requests permission.Requests
	// Walks bounds asks for very many resources; nil: nothing does.
	Walks   *Walks
	Audit   *audit.Log
	Metrics *metrics.Metrics
	Log     logr.Logger
}

// Grant answers the request with a token, or with an *Error. A refusal is audited too, as far as the audit log keeps up.
func (g *Granter) Grant(ctx context.Context, by Grant, request *Request) (Answer, error) {
	progress := &issue.Request{
		ID: request.ID, Grant: by.Name(request), Scopes: request.Scopes, SourceIP: request.Source,
		ClientID: request.ClientID, Account: request.Account, NATS: request.NATS, UMA: request.UMA, Ids: request.Ids, Time: request.Time,
	}
	answer, failure := g.steps(ctx, by, request, progress)
	if failure != nil {
		g.refused(progress, failure)
		return Answer{}, failure
	}
	return answer, nil
}

// steps are the same for every grant, in this order. One snapshot is used to the end: what was true of the policies
// when the caller was proved is true when the token is signed.
func (g *Granter) steps(ctx context.Context, by Grant, request *Request, progress *issue.Request) (Answer, *Error) {
	// 1. The grant's own needs.
	if failure := by.Check(request); failure != nil {
		return Answer{}, failure
	}

	// 2. One snapshot.
	from := g.Snapshots.Load()

	// 3. Who asks. Before all that depends on the snapshot's content, so that a wrong password is always 401.
	who, resumed, failure := g.prove(ctx, from, request, progress)
	if failure != nil {
		return Answer{}, failure
	}
	progress.Caller, progress.Credential = who, credential(from, request, who)

	// 4. For what audience.
	audience, known := from.Audiences[request.Audience]
	if !known {
		return Answer{}, &Error{Kind: UnknownAudience, Message: "the service is not known here"}
	}
	progress.Audience, progress.Policies = audience, from.Policies
	if failure := g.mayExchange(request, progress); failure != nil {
		return Answer{}, failure
	}
	if err := g.Issuer.CheckIds(progress); err != nil {
		return Answer{}, issueError(err)
	}

	// 5. Whether what was issued until now is being taken back.
	if failure := g.mayMint(progress); failure != nil {
		return Answer{}, failure
	}

	// 6. The refresh token: the one that came if policy still allows it, or a new one.
	refresh, made, failure := g.refresh(ctx, from, request, progress, resumed)
	if failure != nil {
		return Answer{}, failure
	}

	// 7. Decide, mint, audit.
	issued, failure := g.issue(ctx, from, request, progress)
	if failure != nil {
		if made != nil {
			g.forget(ctx, made)
		}
		return Answer{}, failure
	}
	return Answer{Token: issued, Refresh: refresh}, nil
}

// issue makes the token of the kind that was asked for.
func (g *Granter) issue(ctx context.Context, from *snapshot.Snapshot, request *Request, progress *issue.Request) (issue.Token, *Error) {
	issueToken := g.Issuer.Registry
	switch {
	case request.Lasting:
		return g.lasting(ctx, from, request, progress)
	case request.Ident:
		issueToken = g.Issuer.Ident
	case request.Access:
		issueToken = g.Issuer.Access
	}
	issued, err := issueToken(progress)
	if err != nil {
		return issue.Token{}, issueError(err)
	}
	return issued, nil
}

// prove says who asks. Of a caller who came with a refresh token, the record is returned, too.
func (g *Granter) prove(
	ctx context.Context, from *snapshot.Snapshot, request *Request, progress *issue.Request,
) (caller.Caller, *v1alpha1.IssuedToken, *Error) {
	switch {
	case request.Refresh != "":
		return g.resume(ctx, from, request)
	case request.Bearer != "":
		who, failure := g.bearer(ctx, from, request, progress)
		return who, nil, failure
	case request.Subject != "":
		who, failure := g.exchange(ctx, from, request, progress)
		return who, nil, failure
	case request.AsClient:
		who, failure := g.authenticateClient(ctx, from, request)
		return who, nil, failure
	}
	who, failure := g.authenticate(ctx, from, request)
	return who, nil, failure
}

// mayMint refuses for the moments in which a token could not be told from those that a revocation of the subject speaks of.
func (g *Granter) mayMint(progress *issue.Request) *Error {
	if g.Records == nil || progress.Caller.IsAnonymous() {
		return nil
	}
	wait := g.Records.Index().Revocations().Minting(progress.Caller.Username, progress.Audience.Name, progress.Time)
	if wait <= 0 {
		return nil
	}
	return &Error{Kind: Unavailable, Message: "the tokens of this user were revoked a moment ago", RetryAfter: wait}
}

// Prove says who sent the request's credentials, for endpoints that serve callers something else than tokens.
func (g *Granter) Prove(ctx context.Context, from *snapshot.Snapshot, request *Request) (caller.Caller, *Error) {
	return g.authenticate(ctx, from, request)
}

func (g *Granter) authenticate(ctx context.Context, from *snapshot.Snapshot, request *Request) (caller.Caller, *Error) {
	if request.Credentials.Present && !printable(request.Credentials.Username) {
		// Such a name could become another one on its way through JSON, where what is not UTF-8 is replaced.
		g.Metrics.Authentication("unknown", metrics.AuthenticationRefused)
		return caller.Caller{}, authenticationError(identity.ErrBadCredentials)
	}
	credentials := request.Credentials
	credentials.Source = request.Source
	who, err := g.Authenticator.Authenticate(ctx, from, credentials, request.Time)
	var limited *identity.Limited
	switch {
	case err == nil:
		g.Metrics.Authentication(string(who.Method), metrics.AuthenticationOK)
		return who, nil
	case errors.Is(err, identity.ErrBadCredentials):
		g.Metrics.Authentication("unknown", metrics.AuthenticationRefused)
	case errors.As(err, &limited):
		g.Metrics.Authentication("unknown", metrics.AuthenticationLimited)
	default:
		g.Metrics.Authentication("unknown", metrics.AuthenticationUnavailable)
	}
	return caller.Caller{}, authenticationError(err)
}

func (g *Granter) refused(progress *issue.Request, failure *Error) {
	record := progress.Record(audit.Refused)
	record.Error = string(failure.Kind)
	if err := g.Audit.Try(&record); err != nil {
		g.Metrics.AuditDropped()
		g.Log.V(1).Info("Dropped an audit record of a refusal", "requestID", progress.ID, "reason", err.Error())
	}
}
