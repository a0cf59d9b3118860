package uma

import (
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
}

// audience is the resource server. It is the PAT's, and never what the request says.
func (s *session) audience() string { return s.Held.Audience }

// pat says which resource server came.
func (s *Server) pat(r *http.Request, x *httpx.Exchange) (*session, error) {
	bearer, _, err := credentialsOf(r.Header)
	if err != nil {
		return nil, err
	}
	if bearer == "" {
		return nil, s.patMissing()
	}
	p := &session{from: s.Granter.Snapshots.Load(), request: &grant.Request{ID: x.ID, Time: x.Start, Source: x.Source, Bearer: bearer}}
	var failure *grant.Error
	if p.Session, failure = s.Granter.PAT(r.Context(), p.from, p.request); failure != nil {
		return nil, s.translate(failure)
	}
	return p, nil
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
