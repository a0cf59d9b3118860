package grant

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"

	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Authenticator says who asks; identity.Authenticator is the one.
type Authenticator interface {
	Authenticate(ctx context.Context, from *snapshot.Snapshot, credentials identity.Credentials, now time.Time) (caller.Caller, error)
}

// Granter takes requests through the steps. All fields are required.
type Granter struct {
	Snapshots     *snapshot.Holder
	Authenticator Authenticator
	Issuer        *issue.Issuer
	Audit         *audit.Log
	Metrics       *metrics.Metrics
	Log           logr.Logger
}

// Grant answers the request with a token, or with an *Error. A refusal is audited too, as far as the audit log keeps up.
func (g *Granter) Grant(ctx context.Context, by Grant, request *Request) (issue.Token, error) {
	progress := &issue.Request{
		ID: request.ID, Grant: by.Name(request), Scopes: request.Scopes, SourceIP: request.Source,
		ClientID: request.ClientID, Account: request.Account, Time: request.Time,
	}
	issued, failure := g.steps(ctx, by, request, progress)
	if failure != nil {
		g.refused(progress, failure)
		return issue.Token{}, failure
	}
	return issued, nil
}

// steps are the same for every grant, in this order. One snapshot is used to the end: what was true of the policies
// when the caller was proved is true when the token is signed.
func (g *Granter) steps(ctx context.Context, by Grant, request *Request, progress *issue.Request) (issue.Token, *Error) {
	// 1. The grant's own needs.
	if failure := by.Check(request); failure != nil {
		return issue.Token{}, failure
	}

	// 2. One snapshot.
	from := g.Snapshots.Load()

	// 3. Who asks. Before all that depends on the snapshot's content, so that a wrong password is always 401.
	who, failure := g.authenticate(ctx, from, request)
	if failure != nil {
		return issue.Token{}, failure
	}
	progress.Caller = who

	// 4. For what audience.
	audience, known := from.Audiences[request.Audience]
	if !known {
		return issue.Token{}, &Error{Kind: UnknownAudience, Message: "the service is not known here"}
	}
	progress.Audience, progress.Policies = audience, from.Policies

	// 5. Decide, mint, audit.
	issued, err := g.Issuer.Registry(progress)
	if err != nil {
		return issue.Token{}, issueError(err)
	}
	return issued, nil
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
