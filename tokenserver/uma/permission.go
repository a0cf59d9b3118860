package uma

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// PathPermission is the permission endpoint (UMA 2.0, Federated Authorization, section 4).
const (
	PathPermission = "/authz/protection/permission"
	namePermission = "uma_permission"
)

// wanted is one permission that a client lacked. Keycloak spells it in another way for UMA 1.
type wanted struct {
	ID     string              `json:"resource_id"`
	Older  string              `json:"resource_set_id"`
	Scopes []string            `json:"resource_scopes"`
	Others []string            `json:"scopes"`
	Claims map[string][]string `json:"claims"`
}

// list is one or many.
type list []wanted

// UnmarshalJSON implements json.Unmarshaler.
func (l *list) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		var many []wanted
		err := json.Unmarshal(data, &many)
		*l = many
		return err
	}
	*l = make([]wanted, 1)
	return json.Unmarshal(data, &(*l)[0])
}

// permission has the form of httpx.Endpoint's Handle: permissions for a ticket.
func (s *Server) permission(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	p, err := s.pat(r, x, namePermission)
	if err != nil {
		return err
	}
	err = s.ticketFor(w, r, p)
	var e *httpx.Error
	if s.Keycloak && errors.As(err, &e) && e.Code == "invalid_request" {
		own := *e
		own.Code = "invalid_permission_request"
		return &own
	}
	return err
}

// ticketFor answers a resource server.
func (s *Server) ticketFor(w http.ResponseWriter, r *http.Request, p *session) error {
	var asked list
	if err := readJSON(w, r, &asked); err != nil {
		return err
	}
	permissions := make([]token.Permission, 0, len(asked))
	for _, one := range asked {
		if one.ID != "" && one.Older != "" || one.Scopes != nil && one.Others != nil {
			return httpx.BadRequest("a permission must have resource_id and resource_scopes, or resource_set_id and scopes")
		}
		permissions = append(permissions, token.Permission{ID: one.ID + one.Older, Scopes: append(one.Scopes, one.Others...), Claims: one.Claims})
	}
	ticket, failure := s.Granter.NewTicket(r.Context(), p.from, &p.Session, p.request, permissions)
	switch {
	case failure != nil && failure.Kind == grant.InvalidResource:
		return (spelling{status: http.StatusBadRequest, code: "invalid_resource_id"}).of(failure)
	case failure != nil:
		return s.translate(failure)
	}
	noStore(w.Header())
	httpx.WriteJSON(w, http.StatusCreated, map[string]string{"ticket": ticket})
	return nil
}

func (s *Server) permissionRoutes() []Route {
	return []Route{{Path: PathPermission, Name: namePermission, Methods: []string{http.MethodPost}, Handle: s.permission}}
}
