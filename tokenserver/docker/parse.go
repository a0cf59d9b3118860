package docker

import (
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

const formType = "application/x-www-form-urlencoded"

// parse reads the request once. What could be read in two ways is refused, so that nothing in front of the server and
// nothing behind it can read it in the other.
func parse(w http.ResponseWriter, r *http.Request) (*grant.Request, grant.Grant, error) {
	credentials, err := basic(r.Header)
	if err != nil {
		return nil, nil, err
	}
	if r.Method == http.MethodPost {
		return parsePost(w, r, credentials)
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
func parsePost(w http.ResponseWriter, r *http.Request, header identity.Credentials) (*grant.Request, grant.Grant, error) {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != formType {
		return nil, nil, httpx.BadRequest("the content type must be " + formType)
	}
	body, err := httpx.ReadBody(w, r)
	if err != nil {
		return nil, nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, nil, httpx.BadRequest("the form is malformed")
	}
	request, err := common(form)
	if err != nil {
		return nil, nil, err
	}
	if header.Present {
		return nil, nil, httpx.BadRequest("credentials may be in the form or in the Authorization header, not in both")
	}
	request.Offline = form.Get("access_type") == "offline"
	switch grantType := form.Get("grant_type"); grantType {
	case "password":
		request.Credentials = identity.Credentials{Username: form.Get("username"), Password: form.Get("password")}
		request.Credentials.Present = request.Credentials.Username != "" || request.Credentials.Password != ""
		return request, grant.Password{}, nil
	case "refresh_token":
		request.Refresh = form.Get("refresh_token")
		return request, grant.RefreshToken{}, nil
	case "":
		return nil, nil, httpx.BadRequest("grant_type is missing")
	default:
		return nil, nil, unsupportedGrant()
	}
}

// single are the parameters that may come once (RFC 6749, section 3.1). Of two, each reader would take another.
func single() []string {
	return []string{
		"service", "account", "client_id", "offline_token", "access_type",
		"grant_type", "username", "password", "refresh_token",
	}
}

// common reads what GET and POST share.
func common(values url.Values) (*grant.Request, error) {
	for _, name := range single() {
		if len(values[name]) > 1 {
			return nil, httpx.BadRequest(name + " must not be given more than once")
		}
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
	fields := header.Values("Authorization")
	switch len(fields) {
	case 0:
		return identity.Credentials{}, nil
	case 1:
	default:
		return identity.Credentials{}, httpx.BadRequest("there must not be more than one Authorization header")
	}
	scheme, encoded, _ := strings.Cut(fields[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return identity.Credentials{}, unauthorized("the Authorization header must be of the scheme Basic", nil)
	}
	text, err := base64.StdEncoding.Strict().DecodeString(strings.Trim(encoded, " "))
	if err != nil {
		return identity.Credentials{}, unauthorized("the Authorization header is malformed", nil)
	}
	username, password, found := strings.Cut(string(text), ":")
	if !found {
		return identity.Credentials{}, unauthorized("the Authorization header is malformed", nil)
	}
	return identity.Credentials{Username: username, Password: password, Present: username != "" || password != ""}, nil
}
