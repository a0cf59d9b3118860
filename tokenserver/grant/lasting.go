package grant

import (
	"context"
	"errors"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// longestRecord is for how long a token without an expiry is honoured.
const longestRecord = 365 * 24 * time.Hour

// What is wrong with an ask for a token without an expiry, for the log.
var errLostToken = errors.New("the token was recorded and not issued")

// reasonLost is what the revocation of a token says that nobody got.
const reasonLost = "the token could not be issued after it had been recorded"

// lasting issues a token without an expiry. It is recorded before it is signed: there is none that nobody could take back.
func (g *Granter) lasting(ctx context.Context, from *snapshot.Snapshot, request *Request, progress *issue.Request) (issue.Token, *Error) {
	switch {
	case g.Records == nil:
		return issue.Token{}, &Error{Kind: NotAllowed, Message: "this server has no records, and issues no tokens without an expiry"}
	case !justProved(progress.Caller, request.Time):
		return issue.Token{}, &Error{
			Kind: NotAllowed, Message: "a token without an expiry needs a password that was proved within five minutes", Cause: errStaleProof,
		}
	}
	if err := g.Issuer.MayLast(progress); err != nil {
		return issue.Token{}, lastingError(err)
	}
	proof, err := identity.ProofOf(from, progress.Caller, identity.InRecord)
	if err != nil {
		return issue.Token{}, recordError(err)
	}
	expires := request.Time.Truncate(time.Second).Add(longestRecord)
	stored := newRecord(request, progress, proof, expires)
	issued, err := g.Issuer.NonExpiring(progress, expires, func(thumbprint string) (slot.ID, error) {
		stored.Spec.Type, stored.Spec.KeyThumbprint = v1alpha1.AccessToken, thumbprint
		if err := g.Records.Create(ctx, stored, slot.DrawUUID); err != nil {
			return slot.ID{}, err
		}
		id, ok := slot.Parse(stored.Spec.ID)
		if !ok {
			return slot.ID{}, errWrongRecord
		}
		return id, nil
	})
	switch {
	case err == nil:
		return issued, nil
	case stored.UID != "":
		g.forget(ctx, stored)
	}
	return issue.Token{}, lastingError(err)
}

// forget takes back a record of which nobody got the token.
func (g *Granter) forget(ctx context.Context, t *v1alpha1.IssuedToken) {
	err := g.Records.Revoke(context.WithoutCancel(ctx), v1alpha1.TokenRevocationSpec{
		Token: &v1alpha1.RevokedToken{ID: t.Spec.ID}, Expires: t.Spec.Expires, Reason: reasonLost,
	})
	if err != nil {
		g.Log.Error(errors.Join(errLostToken, err), "Could not take back a record that stands for no token", "tokenID", t.Spec.ID)
	}
}

func lastingError(err error) *Error {
	switch {
	case errors.Is(err, issue.ErrForbidden):
		return &Error{Kind: NotAllowed, Message: "a token without an expiry is not allowed here", Cause: err}
	case errors.Is(err, record.ErrRefused):
		return &Error{Kind: NotAllowed, Message: "the user has too many tokens: revoke some", Cause: err}
	case errors.Is(err, record.ErrUnavailable):
		return recordError(err)
	}
	return issueError(err)
}
