package docker

import (
	"errors"
	"net/http"
	"strings"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
)

// challenge is what a 401 must have (RFC 9110, section 11.6.1). The realm says nothing that a client acts on.
const challenge = `Basic realm="tokenwright", charset="UTF-8"`

// translate gives a grant's error the status and the code of RFC 6749 (section 5.2). Only a missing proof is 401, also
// for the password grant, where the RFC says 400: clients of registries take 400 for a server that knows no POST. There
// is no 403 and no 500: to containerd both are final.
func translate(err error) error {
	var failure *grant.Error
	if !errors.As(err, &failure) {
		return err
	}
	e := &httpx.Error{Status: http.StatusBadRequest, Message: failure.Message, RetryAfter: failure.RetryAfter, Cause: failure.Cause}
	switch failure.Kind {
	case grant.BadCredentials:
		e.Status, e.Code = http.StatusUnauthorized, "invalid_grant"
	case grant.TooManyRequests:
		// RFC 6749 has no word for it; this is the one that says: the same again, later.
		e.Status, e.Code = http.StatusTooManyRequests, "temporarily_unavailable"
	case grant.BadClient:
		e.Status, e.Code = http.StatusUnauthorized, "invalid_client"
	case grant.Unavailable:
		e.Status, e.Code = http.StatusServiceUnavailable, "temporarily_unavailable"
	case grant.UnknownAudience, grant.NotAllowed:
		e.Code = "invalid_target" // RFC 8707
	case grant.InvalidScope:
		e.Code = "invalid_scope"
	case grant.UnsupportedGrant:
		e.Code = "unsupported_grant_type"
	case grant.InvalidRequest:
		e.Code = "invalid_request"
	default:
		return httpx.Internal(err)
	}
	return e
}

func unauthorized(message string, cause error) error {
	return translate(&grant.Error{Kind: grant.BadCredentials, Message: message, Cause: cause})
}

func unsupportedGrant(uma bool) error {
	return translate(&grant.Error{Kind: grant.UnsupportedGrant, Message: "the grant types served here are " + strings.Join(GrantTypes(uma), ", ")})
}

func tooManyScopes(cause error) error {
	return translate(&grant.Error{Kind: grant.InvalidScope, Message: cause.Error()})
}

// problem is the body of every error: the registry's form, and on POST RFC 6749's in the same object.
type problem struct {
	Errors      []registryError `json:"errors"`
	Error       string          `json:"error,omitempty"`
	Description string          `json:"error_description,omitempty"`
}

type registryError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// WriteError writes an error as distribution's clients read it.
func WriteError(w http.ResponseWriter, r *http.Request, e *httpx.Error) {
	noStore(w.Header())
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	body := problem{Errors: []registryError{{Code: registryCode(e), Message: e.Message}}}
	if r.Method == http.MethodPost {
		body.Error, body.Description = e.Code, e.Message
	}
	httpx.WriteJSON(w, e.Status, body)
}

// registryCode is the code in the spelling of distribution's registry/api/errcode, where it has one.
func registryCode(e *httpx.Error) string {
	switch e.Status {
	case http.StatusUnauthorized:
		return "UNAUTHORIZED"
	case http.StatusMethodNotAllowed:
		return "UNSUPPORTED"
	case http.StatusTooManyRequests:
		return "TOOMANYREQUESTS"
	case http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	case http.StatusInternalServerError:
		return "UNKNOWN"
	}
	return strings.ToUpper(e.Code)
}
