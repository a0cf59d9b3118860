package uma

import (
	"errors"
	"net/http"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
)

// Paths and names of the older facade (UMA 1), as Keycloak had it until its version 3.
const (
	PathAuthorize   = "/authz/authorize"
	PathEntitlement = "/authz/entitlement/{client_id}"
	nameAuthorize   = "uma_authorize"
	nameEntitlement = "uma_entitlement"
)

// metadata says what the token shall hold.
type metadata struct {
	Names *bool `json:"include_resource_name"`
	Limit *int  `json:"limit"`
}

// authorize has the form of httpx.Endpoint's Handle: a ticket for a token.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	var asked struct {
		Ticket   string   `json:"ticket"`
		RPT      string   `json:"rpt"`
		Metadata metadata `json:"metadata"`
	}
	request, err := s.older(r, x)
	if err != nil {
		return err
	}
	if err := readJSON(w, r, &asked); err != nil {
		return err
	}
	if asked.Ticket == "" {
		return httpx.BadRequest("ticket is missing")
	}
	request.Ticket, request.RPT = asked.Ticket, asked.RPT
	return s.answerOlder(w, r, request, asked.Metadata)
}

// older is what all requests of the facade have in common: a bearer, and a token of the older form.
func (s *Server) older(r *http.Request, x *httpx.Exchange) (*grant.UMARequest, error) {
	x.Grant = grant.NameUMA
	bearer, _, err := credentialsOf(r.Header)
	if err != nil {
		return nil, err
	}
	if bearer == "" {
		return nil, bearerMissing()
	}
	return &grant.UMARequest{
		ID: x.ID, Source: x.Source, Time: x.Start, Bearer: bearer, Names: true, UMA1: true, AccessToken: s.AccessToken,
	}, nil
}

func (s *Server) answerOlder(w http.ResponseWriter, r *http.Request, request *grant.UMARequest, how metadata) error {
	if how.Names != nil {
		request.Names = *how.Names
	}
	if how.Limit != nil {
		if request.Most = *how.Limit; request.Most < 1 || request.Most > maxLimit {
			return httpx.BadRequest("metadata.limit must be a number from 1 on")
		}
	}
	answer, err := s.Granter.RequestingParty(r.Context(), request)
	if err != nil {
		return translateOlder(err)
	}
	noStore(w.Header())
	httpx.WriteJSON(w, http.StatusOK, map[string]string{"rpt": answer.Text})
	return nil
}

// translateOlder spells errors as Keycloak did for UMA 1: what is wrong with a request that was understood is 403.
func translateOlder(err error) error {
	var failure *grant.Error
	if !errors.As(err, &failure) {
		return err
	}
	said := spelling{status: http.StatusForbidden}
	switch failure.Kind {
	case grant.RequestDenied, grant.RequestSubmitted, grant.NotAllowed, grant.InsufficientScope:
		said.code = "not_authorized"
	case grant.InvalidResource:
		said.code = "invalid_resource"
	case grant.InvalidScope:
		said.code = "invalid_scope"
	case grant.InvalidTicket:
		said.code = "invalid_ticket"
	case grant.InvalidRPT:
		said.code = "invalid_rpt"
	case grant.InvalidRequest, grant.UnknownAudience:
		said.code = "invalid_request"
	default:
		said = (&Server{}).spelled(failure.Kind)
	}
	return said.of(failure)
}

// olderRoutes are those of the facade.
func (s *Server) olderRoutes() []Route {
	return []Route{
		{Path: PathAuthorize, Name: nameAuthorize, Methods: []string{http.MethodPost}, Handle: s.authorize},
		{Path: PathEntitlement, Name: nameEntitlement, Methods: []string{http.MethodGet, http.MethodPost}, Handle: s.entitlement},
	}
}
