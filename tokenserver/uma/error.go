package uma

import (
	"errors"
	"net/http"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
)

// spelling is the status and the code of an error.
type spelling struct {
	status int
	code   string
	// description stands in the place of the message where there is one.
	description string
}

// spelled returns what an error is called: as the specification (Kantara, UMA 2.0) has it and what it is based on, or as Keycloak.
func (s *Server) spelled(kind grant.Kind) spelling {
	if s.Keycloak {
		if said, ok := keycloak(kind); ok {
			return said
		}
	}
	switch kind {
	case grant.InvalidRequest:
		return spelling{status: http.StatusBadRequest, code: "invalid_request"}
	case grant.BadClient:
		return spelling{status: http.StatusUnauthorized, code: "invalid_client"}
	case grant.BadCredentials:
		return spelling{status: http.StatusUnauthorized, code: "invalid_token"} // RFC 6750, section 3.1
	case grant.UnknownAudience, grant.NotAllowed:
		return spelling{status: http.StatusBadRequest, code: "invalid_target"} // RFC 8707
	case grant.InvalidResource:
		return spelling{status: http.StatusBadRequest, code: "invalid_resource"}
	case grant.InvalidScope:
		return spelling{status: http.StatusBadRequest, code: "invalid_scope"}
	case grant.InvalidTicket, grant.InvalidRPT:
		return spelling{status: http.StatusBadRequest, code: "invalid_grant"}
	case grant.InsufficientScope:
		return spelling{status: http.StatusForbidden, code: "insufficient_scope"}
	case grant.RequestDenied:
		return spelling{status: http.StatusForbidden, code: "request_denied"}
	case grant.RequestSubmitted:
		return spelling{status: http.StatusForbidden, code: "request_submitted"}
	case grant.TooManyRequests:
		return spelling{status: http.StatusTooManyRequests, code: "temporarily_unavailable"}
	case grant.Unavailable:
		return spelling{status: http.StatusServiceUnavailable, code: "temporarily_unavailable"}
	}
	return spelling{}
}

// keycloak is what Keycloak calls what the specification calls otherwise.
func keycloak(kind grant.Kind) (spelling, bool) {
	switch kind {
	case grant.RequestDenied, grant.NotAllowed:
		return spelling{http.StatusForbidden, "access_denied", "not_authorized"}, true
	case grant.RequestSubmitted:
		return spelling{http.StatusForbidden, "access_denied", "request_submitted"}, true
	case grant.InvalidTicket:
		return spelling{status: http.StatusForbidden, code: "invalid_ticket"}, true
	case grant.InvalidRPT:
		return spelling{status: http.StatusForbidden, code: "invalid_rpt"}, true
	case grant.InsufficientScope:
		return spelling{status: http.StatusForbidden, code: "invalid_scope"}, true
	case grant.BadCredentials:
		return spelling{http.StatusUnauthorized, "invalid_grant", "Invalid bearer token"}, true
	case grant.UnknownAudience:
		return spelling{http.StatusBadRequest, "invalid_request", "Unknown resource server id"}, true
	}
	return spelling{}, false
}

// translate gives a grant's error the status and the code of the server's spelling.
func (s *Server) translate(err error) error {
	var failure *grant.Error
	if !errors.As(err, &failure) {
		return err
	}
	said := s.spelled(failure.Kind)
	return said.of(failure)
}

// of makes an error of a grant's. What is not known is internal.
func (said spelling) of(failure *grant.Error) error {
	if said.status == 0 {
		return httpx.Internal(failure)
	}
	e := &httpx.Error{
		Status: said.status, Code: said.code, Message: failure.Message, RetryAfter: failure.RetryAfter, Cause: failure.Cause,
	}
	if said.description != "" {
		e.Message = said.description
	}
	if failure.Kind == grant.RequestSubmitted {
		e.Write = func(w http.ResponseWriter, r *http.Request, e *httpx.Error) { writeProblem(w, r, e, failure) }
	}
	return e
}

// ofToken lets an error at the token endpoint be written as UMA has it, without the registry's form that the others have there.
func (s *Server) ofToken(err error) error {
	var e *httpx.Error
	if errors.As(err, &e) && e.Write == nil {
		own := *e
		own.Write = s.WriteError
		return &own
	}
	return err
}

// problem is the body of every error (RFC 6749, section 5.2; UMA 2.0, Grant, section 3.3.6).
type problem struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
	Ticket      string `json:"ticket,omitempty"`
	Interval    int64  `json:"interval,omitempty"`
}

// The challenges of a 401, by the scheme that the caller used (RFC 6749, section 5.2; RFC 6750, section 3).
const (
	challengeBasic  = `Basic realm="tokenwright", charset="UTF-8"`
	challengeBearer = `Bearer realm="tokenwright"`
)

// WriteError writes an error as RFC 6749, section 5.2 has it.
func (*Server) WriteError(w http.ResponseWriter, r *http.Request, e *httpx.Error) {
	writeProblem(w, r, e, nil)
}

func writeProblem(w http.ResponseWriter, r *http.Request, e *httpx.Error, failure *grant.Error) {
	noStore(w.Header())
	given, err := httpx.ReadAuthorization(r.Header)
	bearer := err == nil && given.Scheme == httpx.Bearer
	switch {
	case e.Status == http.StatusUnauthorized && bearer:
		w.Header().Set("WWW-Authenticate", challengeBearer+`, error="invalid_token"`)
	case e.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", challengeBasic)
	case e.Code == "insufficient_scope":
		w.Header().Set("WWW-Authenticate", challengeBearer+`, error="insufficient_scope"`)
	}
	body := problem{Error: e.Code, Description: e.Message}
	if e.Status == http.StatusMethodNotAllowed {
		body.Error = "unsupported_method_type" // Federated Authorization, section 3.2
	}
	if failure != nil {
		body.Ticket, body.Interval = failure.Ticket, int64(failure.Interval/time.Second)
	}
	httpx.WriteJSON(w, e.Status, body)
}

func noStore(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
}

// unproved is a 401 of who did not prove anything.
func unproved(message string) error {
	return &httpx.Error{Status: http.StatusUnauthorized, Code: "invalid_client", Message: message}
}
