package uma

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// formatIDToken is the claim_token_format of an ID token, which is meant where none is named.
const formatIDToken = "http://openid.net/specs/openid-connect-core-1_0.html#IDToken"

// maxLimit is the largest response_permissions_limit.
const maxLimit = 1_000_000

// single are the parameters that may come once. Nobody changes it.
var single = []string{
	"grant_type", "ticket", "audience", "rpt", "claim_token", "claim_token_format", "pct", "response_mode", "response_permissions_limit",
	"response_include_resource_name", "submit_request", "permission_resource_format", "permission_resource_matching_uri", "scope",
	"client_id", "subject_token",
}

// Token answers the grant at the token endpoint, which has read the form. See docker.Endpoint.
func (s *Server) Token(w http.ResponseWriter, r *http.Request, x *httpx.Exchange, form url.Values) error {
	x.Grant = grant.NameUMA
	request, err := s.parse(r.Header, form)
	if err != nil {
		return s.ofToken(err)
	}
	request.ID, request.Source, request.Time = x.ID, x.Source, x.Start
	answer, err := s.Granter.RequestingParty(r.Context(), request)
	if err != nil {
		return s.ofToken(s.translate(err))
	}
	noStore(w.Header())
	httpx.WriteBody(w, http.StatusOK, s.appendAnswer(nil, request.Mode, &answer))
	return nil
}

// parse reads the request once. What could be read in two ways is refused.
func (s *Server) parse(header http.Header, form url.Values) (*grant.UMARequest, error) {
	if err := httpx.Once(form, single...); err != nil {
		return nil, err
	}
	request := &grant.UMARequest{
		Audience: form.Get("audience"), Ticket: form.Get("ticket"), RPT: form.Get("rpt"), ClaimToken: form.Get("claim_token"),
		Keycloak: s.Keycloak,
	}
	var err error
	if request.Bearer, request.Credentials, err = credentialsOf(header); err != nil {
		return nil, err
	}
	if form.Has("subject_token") {
		return nil, httpx.BadRequest("subject_token is not served with this grant: exchange it for a token, and come with that")
	}
	if err := claimsOf(form); err != nil {
		return nil, s.worded(err, "Invalid claims")
	}
	if err := s.wishes(request, form); err != nil {
		return nil, err
	}
	return request, permissionsOf(request, form)
}

// claimsOf refuses claims that nobody signed.
func claimsOf(form url.Values) *httpx.Error {
	format := form.Get("claim_token_format")
	switch {
	case form.Get("claim_token") == "" && format != "":
		return httpx.BadRequest("claim_token is missing")
	case format != "" && format != formatIDToken:
		return httpx.BadRequest("claim_token must be an ID token (claim_token_format=" + formatIDToken + "): claims that nobody signed prove nothing")
	}
	return nil
}

// worded says it in Keycloak's words where the server spells so: its clients compare descriptions.
func (s *Server) worded(err *httpx.Error, keycloaks string) error {
	if s.Keycloak {
		return httpx.BadRequest(keycloaks)
	}
	return err
}

// wishes reads what the answer shall be.
func (s *Server) wishes(request *grant.UMARequest, form url.Values) (err error) {
	switch form.Get("response_mode") {
	case "":
	case "decision":
		request.Mode = grant.ModeDecision
	case "permissions":
		request.Mode = grant.ModePermissions
	default:
		return s.worded(httpx.BadRequest("response_mode must be decision or permissions"), "Invalid response_mode")
	}
	if limit := form.Get("response_permissions_limit"); limit != "" {
		request.Most, err = strconv.Atoi(limit)
		if err != nil || request.Most < 1 || request.Most > maxLimit {
			return httpx.BadRequest("response_permissions_limit must be a number from 1 to " + strconv.Itoa(maxLimit))
		}
	}
	if request.Names, err = boolOf(form, "response_include_resource_name", true); err != nil {
		return err
	}
	// Where nobody said so, one owner is asked as Keycloak does, and not all whose resources a ticket happens to name.
	request.SubmitOne = s.Keycloak && request.Ticket != "" && form.Get("submit_request") == ""
	request.Submit, err = boolOf(form, "submit_request", false)
	return err
}

func permissionsOf(request *grant.UMARequest, form url.Values) error {
	var as permission.Form
	switch form.Get("permission_resource_format") {
	case "", "id":
	case "uri":
		as.ByURI = true
	default:
		return httpx.BadRequest("permission_resource_format must be id or uri")
	}
	var err error
	if as.Matching, err = boolOf(form, "permission_resource_matching_uri", false); err != nil {
		return err
	}
	if !form.Has("permission") {
		return nil
	}
	if request.Permissions, err = permission.Parse(form["permission"], as); err != nil {
		return httpx.BadRequest(err.Error())
	}
	return nil
}

func boolOf(form url.Values, name string, otherwise bool) (bool, error) {
	switch form.Get(name) {
	case "":
		return otherwise, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, httpx.BadRequest(name + " must be true or false")
}

// appendAnswer appends a token (RFC 6749, section 5.1; UMA 2.0, Grant, section 3.3.5), a decision or permissions. There is no
// refresh token: the client asks again, and policy with it.
func (s *Server) appendAnswer(dst []byte, mode grant.Mode, answer *grant.UMAAnswer) []byte {
	switch mode {
	case grant.ModeDecision:
		return append(dst, "{\"result\":true}\n"...)
	case grant.ModePermissions:
		return append(token.AppendPermissions(dst, answer.Permissions), '\n')
	}
	// A token has letters, digits, "-", "_" and "." only: nothing to be quoted.
	dst = append(append(dst, `{"access_token":"`...), answer.Text...)
	dst = strconv.AppendInt(append(dst, `","token_type":"Bearer","expires_in":`...), int64(answer.ExpiresIn/time.Second), 10)
	dst = strconv.AppendBool(append(dst, `,"upgraded":`...), answer.Upgraded)
	if s.Keycloak {
		dst = append(dst, `,"not-before-policy":0`...)
	}
	return append(dst, "}\n"...)
}

// credentialsOf reads who asks: a bearer, or a client by Basic.
func credentialsOf(header http.Header) (bearer string, client identity.Credentials, err error) {
	given, err := httpx.ReadAuthorization(header)
	switch {
	case err == httpx.ErrMalformed: //nolint:errorlint // it comes as it is
		return "", client, unproved("the Authorization header is malformed")
	case err != nil:
		return "", client, err
	}
	switch given.Scheme {
	case "":
		return "", client, nil
	case httpx.Bearer:
		if given.Token == "" {
			return "", client, unproved("the bearer token is missing")
		}
		return given.Token, client, nil
	case httpx.Basic:
		name, password, err := given.Client()
		if err != nil {
			return "", client, unproved("name and password must be encoded as in a form (RFC 6749, section 2.3.1)")
		}
		return "", identity.Credentials{Username: name, Password: password, Present: name != "" || password != ""}, nil
	}
	return "", client, unproved("the Authorization header must be of the scheme Basic or Bearer")
}
