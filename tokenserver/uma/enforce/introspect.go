package enforce

import (
	"context"
	"net/url"
	"time"
)

// introspect asks the server about a token that was verified (RFC 7662; UMA 2.0, Federated Authorization, section 5), and returns it
// with the permissions that the server still stands by; nil, if it is not active.
func (e *Enforcer) introspect(ctx context.Context, text string, token *Token, now time.Time) (*Token, error) {
	const what = "introspect a token"
	at, err := e.endpoint(ctx, what, func(all Endpoints) string { return all.Introspection })
	if err != nil {
		return nil, err
	}
	prove, err := e.config.Login.prove()
	if err != nil {
		return nil, err
	}
	var answer introspection
	form := url.Values{"token": {text}, "token_type_hint": {"requesting_party_token"}}
	if err := e.authority.postForm(ctx, what, at, form, prove, &answer); err != nil {
		return nil, err
	}
	if !answer.Active {
		return nil, nil
	}
	return answer.narrow(token, now), nil
}

// introspection is what is read of the server's answer.
type introspection struct {
	Active      bool `json:"active"`
	Permissions []struct {
		ID     string   `json:"resource_id"`
		Scopes []string `json:"resource_scopes"`
		Expiry int64    `json:"exp"`
	} `json:"permissions"`
}

// narrow is the token with what both it and the answer say.
func (a *introspection) narrow(token *Token, now time.Time) *Token {
	current := *token
	current.Permissions = nil
	for _, p := range a.Permissions {
		if ends := time.Unix(p.Expiry, 0); p.Expiry != 0 && ends.Before(current.Expiry) {
			if !now.Before(ends) {
				continue
			}
			// The earliest end is that of all: the server is asked again then.
			current.Expiry = ends
		}
		for _, scope := range p.Scopes {
			if token.covers(p.ID, []string{scope}, All) {
				current.Permissions = append(current.Permissions, Permission{ID: p.ID, Name: token.nameOf(p.ID), Scopes: []string{scope}})
			}
		}
	}
	return &current
}

// nameOf is the name that the token has for a resource.
func (t *Token) nameOf(resource string) string {
	for n := range t.Permissions {
		if t.Permissions[n].ID == resource {
			return t.Permissions[n].Name
		}
	}
	return ""
}
