package ident

import (
	"errors"
	"net/http"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// reasonDeleted is what the revocation says for people.
const reasonDeleted = "deleted through the Provide Ident API"

// target is a token that the caller may revoke.
type target struct {
	id, audience string
	expires      v1alpha1.DateTime
}

// Delete has the form of httpx.Endpoint's Handle: DELETE /api/v1/tokens/{id}. Success means that the revocation is stored.
func (s *Server) Delete(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	who, from, err := s.session(r.Context(), r, x)
	if err != nil {
		return err
	}
	if s.Granter.Records == nil {
		return errTokenNotFound
	}
	found, err := s.find(r, x, from, &who)
	if err != nil {
		return err
	}
	if err := s.slow(who.Caller.Username, x.Start); err != nil {
		return err
	}
	err = s.Granter.Revoke(r.Context(), s.request(x), &grant.Revocation{
		Endpoint: NameToken, By: who.Caller, TokenID: found.id, Audience: found.audience, Expires: found.expires, Reason: reasonDeleted,
	})
	if err != nil {
		return unavailable(err)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// slow is an error if the caller has had too much stored a short time ago.
func (s *Server) slow(username string, now time.Time) error {
	if wait := s.Wait(username, now); wait > 0 {
		return &httpx.Error{Status: http.StatusTooManyRequests, Message: "the caller makes or revokes too many tokens", RetryAfter: wait}
	}
	return nil
}

// find returns the token if it is there and the caller may revoke it: the bearer itself, a recorded one of the caller's, or one
// of an audience whose tokens policy lets the caller revoke.
func (s *Server) find(r *http.Request, x *httpx.Exchange, from *snapshot.Snapshot, who *grant.Session) (target, error) {
	id := r.PathValue("id")
	if id == who.Held.ID {
		return target{id, who.Held.Audience, v1alpha1.NewDateTime(who.Held.Expires)}, nil
	}
	t, err := s.Granter.Records.Get(r.Context(), id)
	switch {
	case errors.Is(err, record.ErrNotFound):
		return target{}, errTokenNotFound
	case err != nil:
		return target{}, unavailable(err)
	case t.Spec.ID != id || !s.Granter.Records.Index().Live(t, x.Start):
		return target{}, errTokenNotFound
	case t.Spec.Subject.Username != who.Caller.Username && !s.may(x, from, who, string(t.Spec.Audience), actionRevoke):
		return target{}, errTokenNotFound
	}
	return target{id, string(t.Spec.Audience), t.Spec.Expires}, nil
}

func unavailable(err error) error {
	return &httpx.Error{
		Status: http.StatusServiceUnavailable, Message: "tokens can be neither read nor revoked at present",
		RetryAfter: max(record.RetryLater, record.RetryAfter(err)), Cause: err,
	}
}
