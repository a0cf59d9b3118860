package oauth

import (
	"net/http"
	"slices"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const (
	actionIntrospect = "introspect"
	// hintRefresh is the token_type_hint of refresh tokens (RFC 7009, section 2.1).
	hintRefresh = "refresh_token"
)

// Introspection is the answer of RFC 7662, section 2.2. That of a token which is not active has no other field.
type Introspection struct {
	Active   bool   `json:"active"`
	Scope    string `json:"scope,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	Username string `json:"username,omitempty"`
	// TokenType is Bearer for what a resource may accept, and refresh_token for what it must not.
	TokenType string `json:"token_type,omitempty"`
	Expiry    int64  `json:"exp,omitempty"`
	IssuedAt  int64  `json:"iat,omitempty"`
	NotBefore int64  `json:"nbf,omitempty"`
	Subject   string `json:"sub,omitempty"`
	Audience  string `json:"aud,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	ID        string `json:"jti,omitempty"`
	// Permissions are those of a requesting party token, which has no scope (UMA 2.0, Federated Authorization, section 5.1.1).
	Permissions []Permission `json:"permissions,omitzero"`
}

// Permission is what a requesting party token allows for one resource, as the specification and as Keycloak have it.
type Permission struct {
	ResourceID     string              `json:"resource_id"`
	ResourceScopes []string            `json:"resource_scopes"`
	ID             string              `json:"rsid"`
	Name           string              `json:"rsname,omitempty"`
	Scopes         []string            `json:"scopes"`
	Claims         map[string][]string `json:"claims,omitempty"`
	Expiry         int64               `json:"exp,omitempty"`
	IssuedAt       int64               `json:"iat,omitempty"`
	NotBefore      int64               `json:"nbf,omitempty"`
}

// Introspect has the form of httpx.Endpoint's Handle.
//
// A caller is told of tokens only whose audience it may introspect; a token of another audience looks like one that is not
// ours. The time that it takes tells no more than the public keys do, with which everybody can see what we signed.
func (s *Server) Introspect(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	q, err := s.ask(w, r, x)
	if err != nil {
		return err
	}
	// A server that is cut off does not know what was revoked.
	if err := s.Granter.Issuer.Fence.Check(q.Time); err != nil {
		return unavailable("whether the token is active is not known at present", retryAfter, err)
	}
	answer, err := s.introspect(r, q)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	httpx.WriteJSON(w, http.StatusOK, answer)
	return nil
}

func (s *Server) introspect(r *http.Request, q *question) (Introspection, error) {
	held, err := s.Granter.Held(r.Context(), q.from, q.token, q.Time, types()...)
	if err == nil {
		if held.IsRefresh() && q.hint != hintRefresh {
			// Many resources look at active alone, and would accept as a bearer what is for this server only.
			return Introspection{}, nil
		}
		err = s.Granter.Usable(q.from, &held, q.Time)
	}
	switch {
	case grant.IsUnavailable(err):
		return Introspection{}, unavailable("whether the token is active is not known at present", retryAfter, err)
	case err != nil || !s.may(q, held.Audience, actionIntrospect):
		return Introspection{}, nil
	}
	answer := s.active(&held)
	if held.Signed.Type == token.TypeRPT {
		if answer.Permissions, err = permissionsOf(q.from, &held); err != nil {
			return Introspection{}, nil
		}
	}
	return answer, nil
}

// permissionsOf are those of a requesting party token whose resources are still served, with the scopes that these still have. What
// was created since the token was issued is another resource, which may be another tenant's: nobody decided about it.
func permissionsOf(from *snapshot.Snapshot, h *grant.Held) ([]Permission, error) {
	held, err := h.Signed.Permissions()
	if err != nil {
		return nil, err
	}
	list := []Permission{}
	for _, p := range held {
		r := from.Resources.ByID(h.Audience, p.ID)
		if r == nil || r.Created.After(h.Issued.Add(issue.Backdate)) {
			continue
		}
		scopes := slices.DeleteFunc(p.Scopes, func(s string) bool { return !r.Has(s) })
		if len(scopes) == 0 {
			continue // to some readers none are all
		}
		list = append(list, Permission{
			ResourceID: p.ID, ResourceScopes: scopes, ID: p.ID, Name: p.Name, Scopes: scopes, Claims: p.Claims,
			Expiry: h.Expires.Unix(), IssuedAt: h.Issued.Unix(), NotBefore: h.NotBefore.Unix(),
		})
	}
	return list, nil
}

func (s *Server) active(h *grant.Held) Introspection {
	answer := Introspection{
		Active: true, TokenType: "Bearer", Username: h.Subject, Subject: h.Subject, Audience: h.Audience,
		Issuer: s.Granter.Issuer.Name, ID: h.ID, Expiry: h.Expires.Unix(), IssuedAt: h.Issued.Unix(),
	}
	switch {
	case h.IsRefresh():
		answer.TokenType, answer.ClientID = hintRefresh, h.Record.Spec.ClientID
		return answer
	case h.Signed.Type == token.TypeRegistry:
		answer.Scope = scope.Join(accessScopes(h.Signed.Access))
	default:
		answer.Scope, answer.ClientID = h.Signed.Scope, h.Signed.ClientID
	}
	answer.NotBefore = h.NotBefore.Unix()
	return answer
}

// accessScopes spells what a registry token allows as scopes.
func accessScopes(access []token.Access) []scope.Scope {
	scopes := make([]scope.Scope, len(access))
	for n, a := range access {
		scopes[n] = scope.Scope{Type: a.Type, Name: a.Name, Actions: a.Actions}
	}
	return scopes
}
