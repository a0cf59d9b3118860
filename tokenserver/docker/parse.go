package docker

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// parse reads the request once. What could be read in two ways is refused, so that nothing in front of the server and
// nothing behind it can read it in the other.
func parse(r *http.Request, form url.Values, unread error, uma bool) (*grant.Request, grant.Grant, error) {
	credentials, err := basic(r.Header)
	if err != nil {
		return nil, nil, err
	}
	if r.Method == http.MethodPost {
		if unread != nil {
			return nil, nil, unread
		}
		return parsePost(form, credentials, uma)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, nil, httpx.BadRequest("the query is malformed")
	}
	request, err := common(query)
	if err != nil {
		return nil, nil, err
	}
	request.Offline = query.Get("offline_token") == "true"
	if isRefresh(credentials) {
		request.Refresh = credentials.Password
	} else {
		request.Credentials = credentials
	}
	return request, grant.Docker{}, nil
}

// isRefresh says whether a password is a refresh token: it comes with the user name that clients of registries give an
// identity token, or with none. With any other it would be somebody's password.
func isRefresh(c identity.Credentials) bool {
	return (c.Username == "" || c.Username == identityTokenUser) && opaque.IsRefresh(c.Password)
}

// identityTokenUser is what Docker puts in the place of a user name.
const identityTokenUser = "<token>"

// parsePost reads the form. The query of a POST means nothing: some clients leave in it what the realm had, and RFC 6749
// (section 2.3.1) forbids credentials there.
func parsePost(form url.Values, header identity.Credentials, uma bool) (*grant.Request, grant.Grant, error) {
	request, err := common(form)
	if err != nil {
		return nil, nil, err
	}
	request.Offline = form.Get("access_type") == "offline"
	if err := target(request, form); err != nil {
		return nil, nil, err
	}
	request, by, err := grantOf(request, form, header, uma)
	if err == nil && uma && request.Access {
		err = words(request, form["scope"])
	}
	return request, by, err
}

// single are the parameters that may come once. Nobody changes it.
var single = []string{
	"service", "account", "client_id", "offline_token", "access_type",
	"grant_type", "username", "password", "refresh_token",
	"audience", "resource", "subject_token", "subject_token_type", "requested_token_type", "actor_token", "actor_token_type",
}

// common reads what GET and POST share.
func common(values url.Values) (*grant.Request, error) {
	if err := httpx.Once(values, single...); err != nil {
		return nil, err
	}
	scopes, err := scope.Parse(values["scope"])
	if err != nil {
		return nil, tooManyScopes(err)
	}
	return &grant.Request{
		Audience: values.Get("service"), Scopes: scopes,
		ClientID: values.Get("client_id"), Account: values.Get("account"),
	}, nil
}

// basic reads HTTP Basic (RFC 7617). An empty user with an empty password is nobody: OCI's conformance suite sends it.
func basic(header http.Header) (identity.Credentials, error) {
	given, err := httpx.ReadAuthorization(header)
	switch {
	case errors.Is(err, httpx.ErrMalformed):
		return identity.Credentials{}, unauthorized("the Authorization header is malformed", nil)
	case err != nil:
		return identity.Credentials{}, err
	case given.Scheme != "" && given.Scheme != httpx.Basic:
		return identity.Credentials{}, unauthorized("the Authorization header must be of the scheme Basic", nil)
	}
	return identity.Credentials{
		Username: given.Username, Password: given.Password, Present: given.Username != "" || given.Password != "",
	}, nil
}
