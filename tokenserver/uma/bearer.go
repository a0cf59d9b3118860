package uma

import (
	"errors"
	"net/http"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// session is a resource server that came with its PAT, and what the answer is made from.
type session struct {
	grant.Session
	from    *snapshot.Snapshot
	request *grant.Request
	// named is what the request names, for the audit log.
	named string
}

// audience is the resource server. It is the PAT's, and never what the request says.
func (s *session) audience() string { return s.Held.Audience }

// pat says which resource server came to an endpoint.
func (s *Server) pat(r *http.Request, x *httpx.Exchange, endpoint string) (*session, error) {
	bearer, _, err := credentialsOf(r.Header)
	p := &session{from: s.Granter.Snapshots.Load(), request: &grant.Request{ID: x.ID, Time: x.Start, Source: x.Source, Bearer: bearer}}
	if err == nil && bearer == "" {
		err = s.patMissing()
	}
	if err != nil {
		s.Granter.Refused(p.request, &grant.Refusal{Endpoint: endpoint, Kind: grant.BadCredentials})
		return nil, err
	}
	var failure *grant.Error
	if p.Session, failure = s.Granter.PAT(r.Context(), p.from, p.request); failure != nil {
		refusal := p.refusal(endpoint)
		refusal.Kind = failure.Kind
		s.Granter.Refused(p.request, refusal)
		return nil, s.translate(failure)
	}
	return p, nil
}

func (s *session) refusal(endpoint string) *grant.Refusal {
	return &grant.Refusal{Endpoint: endpoint, By: s.Caller, TokenID: s.Held.ID, Audience: s.audience(), About: s.named}
}

// refused records an error that says that the caller may not, or that it contradicts what is stored, and returns the error. Others
// are no refusals, and say nothing of who may what.
func (s *Server) refused(request *grant.Request, refusal *grant.Refusal, err error) error {
	var e *httpx.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Status {
	case http.StatusForbidden:
		refusal.Kind = grant.NotAllowed
	case http.StatusConflict:
		refusal.Kind = grant.Conflict
	default:
		return err
	}
	s.Granter.Refused(request, refusal)
	return err
}

// patMissing is bearerMissing in the server's spelling.
func (s *Server) patMissing() error {
	if said, ok := keycloak(grant.BadCredentials); ok && s.Keycloak {
		return noBearer(said.code, said.description)
	}
	return bearerMissing()
}

// bearerMissing is the answer of an endpoint that takes nothing but a bearer token.
func bearerMissing() error { return noBearer("invalid_token", "a bearer token is missing") }

func noBearer(code, message string) error {
	return &httpx.Error{
		Status: http.StatusUnauthorized, Code: code, Message: message,
		Write: func(w http.ResponseWriter, _ *http.Request, e *httpx.Error) {
			noStore(w.Header())
			w.Header().Set("WWW-Authenticate", challengeBearer)
			httpx.WriteJSON(w, e.Status, problem{Error: e.Code, Description: e.Message})
		},
	}
}

// slow is an error if the caller has had too much stored a short time ago.
func (s *Server) slow(username string, x *httpx.Exchange) error {
	if wait := s.Wait(username, x.Start); wait > 0 {
		return &httpx.Error{
			Status: http.StatusTooManyRequests, Code: "temporarily_unavailable",
			Message: "too much is stored for the caller: try again later", RetryAfter: wait,
		}
	}
	return nil
}

// forbidden is the answer to who may not do that here, whoever else may.
func forbidden(message string) error {
	return &httpx.Error{Status: http.StatusForbidden, Code: "access_denied", Message: message}
}

func taken(message string) error {
	return &httpx.Error{Status: http.StatusConflict, Code: "conflict", Message: message}
}
