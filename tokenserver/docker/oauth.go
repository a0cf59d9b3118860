package docker

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// GrantRefresh is the grant_type of refresh tokens.
const GrantRefresh = "refresh_token"

// The other values of grant_type.
const (
	grantPassword = "password"
	grantClient   = "client_credentials"
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// GrantUMA is the grant_type of requesting party tokens (UMA 2.0, Grant, section 3.3.1).
const GrantUMA = "urn:ietf:params:oauth:grant-type:uma-ticket"

// isUMA says whether a form is one of that grant, also if it says so twice.
func isUMA(form url.Values) bool { return slices.Contains(form["grant_type"], GrantUMA) }

// words reads the scopes that are words, of a token for a service: uma_protection is short for what it is in full.
func words(request *grant.Request, texts []string) error {
	for _, text := range texts {
		for word := range strings.FieldsSeq(text) {
			switch word {
			case issue.ScopeUMA:
				request.UMA = true
			case issue.ActionUMA:
				full := scope.Scope{Type: v1alpha1.TypeOAuth, Name: request.Audience, Actions: []string{issue.ActionUMA}}
				texts = append(slices.Clip(texts), full.String())
			}
		}
	}
	scopes, err := scope.Parse(texts)
	if err != nil {
		return tooManyScopes(err)
	}
	request.Scopes = scopes
	return nil
}

// GrantTypes are those that a POST can name.
func GrantTypes(uma bool) []string {
	types := []string{grantPassword, GrantRefresh, grantClient, grantExchange}
	if uma {
		types = append(types, GrantUMA)
	}
	return types
}

// target reads what the token shall be for: service in Docker's protocol, audience (RFC 8693) or resource (RFC 8707) in OAuth's.
// Which of them it is says what kind of token is meant, so there must not be two.
func target(request *grant.Request, form url.Values) error {
	service, audience, resource := form.Get("service"), form.Get("audience"), form.Get("resource")
	switch {
	case audience != "" && resource != "", service != "" && (audience != "" || resource != ""):
		return httpx.BadRequest("only one of service, audience and resource may be given")
	case audience != "":
		request.Audience, request.Access = audience, true
	case resource != "":
		request.Audience, request.Access = resource, true
	}
	return nil
}

// grantOf reads what is the grant's own. Basic is a client's authentication (RFC 6749, section 2.3.1), and no grant's user.
func grantOf(request *grant.Request, form url.Values, header identity.Credentials, uma bool) (*grant.Request, grant.Grant, error) {
	grantType := form.Get("grant_type")
	if header.Present && grantType != grantClient && grantType != grantExchange {
		return nil, nil, httpx.BadRequest("credentials may be in the form or in the Authorization header, not in both")
	}
	switch grantType {
	case grantPassword:
		credentials := identity.Credentials{Username: form.Get("username"), Password: form.Get("password")}
		if isRefresh(credentials) {
			// containerd posts whatever password it has before it tries GET. Were this one refused, each pull of a client
			// that may pull would be a failed login in the audit log and the metrics.
			request.Refresh = credentials.Password
			return request, grant.RefreshToken{}, nil
		}
		credentials.Present = credentials.Username != "" || credentials.Password != ""
		request.Credentials = credentials
		return request, grant.Password{}, nil
	case GrantRefresh:
		request.Refresh = form.Get("refresh_token")
		return request, grant.RefreshToken{}, nil
	case grantClient:
		return request, grant.ClientCredentials{}, forService(request, form, header)
	case grantExchange:
		return request, grant.Exchange{}, exchange(request, form, header)
	case "":
		return nil, nil, httpx.BadRequest("grant_type is missing")
	}
	return nil, nil, unsupportedGrant(uma)
}

// forService is what the grants have in common that are OAuth's alone: there is no refresh token, and no registry token.
func forService(request *grant.Request, form url.Values, header identity.Credentials) error {
	if form.Get("service") != "" {
		return httpx.BadRequest("service is for registries: audience or resource must be given with this grant type")
	}
	request.Access, request.AsClient, request.Offline = true, true, false
	client := httpx.Authorization{Username: header.Username, Password: header.Password}
	name, password, err := client.Client()
	if err != nil {
		return &httpx.Error{
			Status: http.StatusUnauthorized, Code: "invalid_client",
			Message: "name and password must be encoded as in a form (RFC 6749, section 2.3.1)",
		}
	}
	request.Credentials = identity.Credentials{Username: name, Password: password, Present: header.Present}
	return nil
}

// exchange reads the parameters of RFC 8693, section 2.1.
func exchange(request *grant.Request, form url.Values, header identity.Credentials) error {
	if err := forService(request, form, header); err != nil {
		return err
	}
	switch {
	case form.Has("actor_token") || form.Has("actor_token_type"):
		return httpx.BadRequest("actor_token is not served here")
	case form.Has("requested_token_type") && form.Get("requested_token_type") != grant.TokenTypeAccess:
		return httpx.BadRequest("requested_token_type must be " + grant.TokenTypeAccess)
	}
	request.Subject, request.SubjectType = form.Get("subject_token"), form.Get("subject_token_type")
	return nil
}
