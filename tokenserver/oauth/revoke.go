package oauth

import (
	"net/http"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/record"
)

const (
	actionRevoke = "revoke"
	// reasonRevoked is what the revocation says for people.
	reasonRevoked = "revoked at the server's revocation endpoint"
)

// Revoke has the form of httpx.Endpoint's Handle. Success means that the revocation is stored, or that there is nothing to be
// revoked: a token that is unknown, expired or revoked already (RFC 7009, section 2.2).
func (s *Server) Revoke(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	q, err := s.ask(w, r, x)
	if err != nil {
		return err
	}
	held, err := s.Granter.Held(r.Context(), q.from, q.token, q.Time, types()...)
	switch {
	case grant.IsUnavailable(err):
		return unavailable("the token could not be revoked at present", record.RetryAfter(err), err)
	case err == nil:
		if err := s.revoke(r, q, &held); err != nil {
			return err
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) revoke(r *http.Request, q *question, held *grant.Held) error {
	switch {
	case held.Subject == "":
		// Everybody can have any number of them, and each would be an object.
		return &httpx.Error{
			Status: http.StatusBadRequest, Code: "unsupported_token_type",
			Message: "tokens of nobody in particular cannot be revoked",
		}
	case held.Subject != q.who.Username && !s.may(q, held.Audience, actionRevoke):
		// Who has the token knows that it is good; success would be a lie.
		return &httpx.Error{
			Status: http.StatusBadRequest, Code: "unauthorized_client",
			Message: "the token is not the caller's, and no policy lets the caller revoke tokens of its audience",
		}
	}
	if wait := s.Limits.Wait(q.who.Username, q.Time); wait > 0 {
		return tooMany("the caller revokes too many tokens", wait, nil)
	}
	if s.Granter.Records == nil {
		return unavailable("this server cannot store revocations", retryAfter, nil)
	}
	err := s.Granter.Revoke(r.Context(), q.Request, &grant.Revocation{
		Endpoint: NameRevoke, By: q.who, TokenID: held.ID, Audience: held.Audience,
		Expires: v1alpha1.NewDateTime(held.Expires),
		Reason:  reasonRevoked,
	})
	if err != nil {
		return unavailable("the token could not be revoked at present", record.RetryAfter(err), err)
	}
	return nil
}
