package ident

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// Words among the scopes that ask for more than what policies grant on a resource.
const (
	scopeOffline = "offline_access"
	scopeLasting = "non_expiring"
)

// authorization is the body of POST /api/v1/tokens. All of it is optional.
type authorization struct {
	Scope     string `json:"scope"`
	State     string `json:"state"`
	GrantType string `json:"grant_type"`
	Audience  string `json:"aud"`
	// The ids must be what policies say of the caller: they choose nothing that the caller may not have.
	ApplicationID  string `json:"application_id"`
	OrganizationID string `json:"organization_id"`
	UserID         string `json:"user_id"`
}

// issued is a token as Provide's clients know one. Without an expiry there is no expires_in.
type issued struct {
	ID           string `json:"id"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	ExpiresIn    int64  `json:"expires_in,omitempty"`
	Scope        string `json:"scope,omitempty"`
	State        string `json:"state,omitempty"`
	Permissions  uint32 `json:"permissions"`
}

// Authorize has the form of httpx.Endpoint's Handle: POST /api/v1/tokens.
func (s *Server) Authorize(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	text, err := bearer(r)
	if err != nil {
		return err
	}
	var body authorization
	if r.ContentLength != 0 {
		if err := read(w, r, &body); err != nil {
			return err
		}
	}
	request, by := s.request(x), grant.Grant(grant.Bearer{})
	request.Bearer, request.BearerAudience = text, s.Audience
	switch body.GrantType {
	case "":
	case "refresh_token":
		by = grant.RefreshToken{}
		request.Bearer, request.BearerAudience, request.Refresh = "", "", text
	case "client_credentials":
		return &httpx.Error{Status: http.StatusNotImplemented, Message: "not implemented"}
	default:
		return invalid("invalid grant_type: " + said(body.GrantType, "must be refresh_token, or not given"))
	}
	asked, err := s.asked(body.Scope, request)
	if err != nil {
		return err
	}
	return s.authorize(w, r, x, by, request, &body, asked)
}

func (s *Server) authorize(w http.ResponseWriter, r *http.Request, x *httpx.Exchange, by grant.Grant, request *grant.Request, body *authorization, asked []string) error {
	refreshes := request.Refresh != ""
	switch {
	case refreshes && (request.Offline || request.Lasting || body.Audience != "" && body.Audience != s.Audience):
		return invalid("a refresh token gives access tokens of its own audience only")
	case body.Audience != "":
		request.Audience = body.Audience
	}
	x.Grant = by.Name(request)
	// A token for an application is one without an expiry, as Provide has it, unless a refresh token is asked for.
	request.Lasting = request.Lasting || body.ApplicationID != "" && !request.Offline && !refreshes
	if (request.Offline || request.Lasting) && !refreshes {
		if err := s.mayStore(r, x); err != nil {
			return err
		}
	}
	request.Ids = issue.Ids{Application: body.ApplicationID, Organization: body.OrganizationID, User: body.UserID}
	answer, err := s.Granter.Grant(r.Context(), by, request)
	var failure *grant.Error
	switch {
	case err == nil:
	case errors.As(err, &failure) && failure.Kind == grant.UnknownAudience && body.Audience != "":
		return httpx.BadRequest("invalid aud: " + said(body.Audience, failure.Message))
	default:
		return translate(err)
	}
	if refreshes {
		answer.Refresh = "" // it does not change, and whoever sees it here has it
	}
	token := s.issued(&answer, asked, claimed(answer.Application))
	token.State = body.State
	write(w, http.StatusCreated, token)
	return nil
}

// mayStore holds back a caller who has too much stored: within minutes of its password it could fill the API server.
func (s *Server) mayStore(r *http.Request, x *httpx.Exchange) error {
	who, _, err := s.session(r.Context(), r, x)
	if err != nil {
		return err
	}
	return s.slow(who.Caller.Username, x.Start)
}

// asked reads the scopes into the request, and returns the words among them.
func (s *Server) asked(text string, request *grant.Request) (words []string, err error) {
	if request.Scopes, err = scope.Parse([]string{text}); err != nil {
		return nil, invalid(err.Error())
	}
	words = strings.Fields(text)
	request.Offline = slices.Contains(words, scopeOffline)
	request.NATS = slices.Contains(words, issue.ScopeNATS)
	request.Lasting = slices.Contains(words, scopeLasting)
	if request.Lasting && request.Offline {
		return nil, invalid("a token without an expiry needs no refresh token: ask for one of the two")
	}
	return words, nil
}

// issued says what was issued. Of the scopes it names those that were granted.
func (s *Server) issued(answer *grant.Answer, asked []string, says prvd) issued {
	var granted []string
	if len(answer.Granted) > 0 {
		granted = append(granted, scope.Join(answer.Granted))
	}
	if answer.NATS {
		granted = append(granted, issue.ScopeNATS)
	}
	if answer.Refresh != "" && slices.Contains(asked, scopeOffline) {
		granted = append(granted, scopeOffline)
	}
	return issued{
		ID: answer.ID, AccessToken: answer.Text, RefreshToken: answer.Refresh, ExpiresIn: int64(answer.ExpiresIn / time.Second),
		Scope: strings.Join(granted, " "), Permissions: says.Permissions,
	}
}
