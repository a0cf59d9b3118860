package ident

import (
	"errors"
	"net/http"
	"strings"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
)

// translate gives a grant's error the status that Provide's clients expect.
func translate(err error) error {
	var failure *grant.Error
	if !errors.As(err, &failure) {
		return err
	}
	e := &httpx.Error{Message: failure.Message, RetryAfter: failure.RetryAfter, Cause: failure.Cause}
	switch failure.Kind {
	case grant.BadCredentials, grant.BadClient:
		e.Status = http.StatusUnauthorized
	case grant.TooManyRequests:
		e.Status = http.StatusTooManyRequests
	case grant.NotAllowed:
		e.Status = http.StatusForbidden
	case grant.Unavailable:
		e.Status = http.StatusServiceUnavailable
	case grant.InvalidRequest, grant.UnknownAudience:
		e.Status = http.StatusBadRequest
	case grant.InvalidScope, grant.UnsupportedGrant:
		e.Status = http.StatusUnprocessableEntity
	default:
		return httpx.Internal(err)
	}
	return e
}

// mostSaid is how long a value may be that an error repeats, in bytes. All tokens are longer.
const mostSaid = 80

// said is the value of a field as an error repeats it, or instead what is wrong with it where the value is not a short text of visible
// ASCII: what a client sent by mistake could be a token, and an error is logged.
func said(value, instead string) string {
	if len(value) > mostSaid || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return instead
	}
	return value
}

func unauthorized(message string, cause error) error {
	return &httpx.Error{Status: http.StatusUnauthorized, Message: message, Cause: cause}
}

func invalid(message string) error {
	return &httpx.Error{Status: http.StatusUnprocessableEntity, Message: message}
}

func forbidden() error {
	return &httpx.Error{Status: http.StatusForbidden, Message: "forbidden"}
}

// errTokenNotFound is the answer for tokens that are not there, and for those of others: who may not touch them must not learn
// that they are.
var errTokenNotFound = &httpx.Error{Status: http.StatusNotFound, Message: "token not found"}

// problem is the body of every error.
type problem struct {
	Message string `json:"message"`
}

// challenge is what a 401 must have (RFC 9110, section 11.6.1).
const challenge = `Bearer realm="tokenwright"`

// WriteError writes an error as Provide's clients read it.
func WriteError(w http.ResponseWriter, _ *http.Request, e *httpx.Error) {
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	write(w, e.Status, problem{e.Message})
}
