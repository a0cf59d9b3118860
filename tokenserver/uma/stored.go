package uma

import (
	"errors"
	"net/http"

	"github.com/tokenwright/tokenwright/tokenserver/attempt"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
)

// notStored says why something is not known to be stored.
func notStored(err error) error {
	var known *httpx.Error
	var owned *registration.Owned
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &owned):
		return taken("the resource is declared with kubectl or from Git, and is changed there: the field manager " + audit.Claimed(owned.Manager) + " wrote its spec")
	case errors.Is(err, registration.ErrNotFound):
		return httpx.NotFound()
	case errors.Is(err, registration.ErrTaken):
		return taken("another resource was registered by the name")
	case errors.Is(err, permission.ErrNotTaken):
		return &httpx.Error{Status: http.StatusForbidden, Code: "request_denied", Message: "the request is not taken: there are too many, or the resource takes none", Cause: err}
	case errors.Is(err, attempt.ErrRefused):
		return &httpx.Error{Status: http.StatusForbidden, Code: "access_denied", Message: "the cluster does not take the object", Cause: err}
	}
	return &httpx.Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Message: "it cannot be stored at present",
		RetryAfter: max(attempt.RetryLater, attempt.RetryAfter(err)), Cause: err,
	}
}

// stores is an error on a server that stores nothing.
func (s *Server) stores() error {
	if s.Registrations == nil {
		return &httpx.Error{Status: http.StatusBadRequest, Code: "not_supported", Message: "this server runs without a cluster, and stores nothing"}
	}
	return nil
}
