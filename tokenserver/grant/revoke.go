package grant

import (
	"context"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// Revocation is one token that a caller takes back. Whoever asks for it has looked whether the caller may.
type Revocation struct {
	// Endpoint is the name of the endpoint that was asked, as audit records spell it.
	Endpoint string
	// By is who takes it back.
	By caller.Caller
	// TokenID and Audience are the token's, and Expires is until when somebody could accept it.
	TokenID, Audience string
	Expires           v1alpha1.DateTime
	// Reason is what the object says for people.
	Reason string
}

// Revoke stores a revocation, and then records who revoked what. An error wraps one of package record, or says that
// this server has no records: then nobody may be told that the token is revoked.
func (g *Granter) Revoke(ctx context.Context, request *Request, r *Revocation) error {
	if g.Records == nil {
		return errNoRecords
	}
	err := g.Records.Revoke(ctx, v1alpha1.TokenRevocationSpec{
		Token: &v1alpha1.RevokedToken{ID: r.TokenID}, Expires: r.Expires, Reason: r.Reason,
	})
	if err != nil {
		return err
	}
	g.revoked(request, r)
	return nil
}

// revoked records who revoked what. The revocation is stored by now, so that a log which does not take the record must not make
// the answer an error.
func (g *Granter) revoked(request *Request, r *Revocation) {
	line := audit.Record{
		Time: request.Time.UTC(), Outcome: audit.Revoked, RequestID: request.ID, Grant: r.Endpoint, TokenID: r.TokenID,
		Subject: r.By.Username, Provider: r.By.Provider, Method: string(r.By.Method), Audience: r.Audience,
		Requested: []string{}, Granted: []string{},
	}
	if request.Source.IsValid() {
		line.SourceIP = request.Source.String()
	}
	if err := g.Audit.Write(&line); err != nil {
		g.Metrics.AuditFailure()
		g.Log.Error(err, "Could not record who revoked a token", "requestID", request.ID, "tokenID", r.TokenID)
	}
}
