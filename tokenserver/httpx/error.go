package httpx

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// Error is an answer that is not a success. What the client may know and what only the log may know are different
// fields: a cause can hold names of Secrets or addresses of back ends.
type Error struct {
	// Status is the HTTP status code.
	Status int
	// Code is the machine-readable code in the spelling of RFC 6749, such as invalid_request.
	Code string
	// Message is public: it never holds a secret, a token or a private cause.
	Message string
	// RetryAfter becomes the Retry-After header, rounded up to whole seconds; zero leaves it out.
	RetryAfter time.Duration
	// Cause is for the log only.
	Cause error
	// Write writes the error in a form of its own; nil: in that of the endpoint.
	Write func(http.ResponseWriter, *http.Request, *Error)
}

// Error is for the log, and holds the cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// BadRequest is a 400 with the code invalid_request.
func BadRequest(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_request", Message: message}
}

// MethodNotAllowed is a 405. The caller sets the Allow header, which RFC 9110 asks for.
func MethodNotAllowed() *Error {
	return &Error{Status: http.StatusMethodNotAllowed, Code: "unsupported", Message: "the method is not allowed here"}
}

// NotFound is a 404.
func NotFound() *Error {
	return &Error{Status: http.StatusNotFound, Code: "not_found", Message: "there is nothing here"}
}

// Internal is a 500. It tells the client nothing.
func Internal(cause error) *Error {
	return &Error{Status: http.StatusInternalServerError, Code: "server_error", Message: "internal error", Cause: cause}
}

// asError turns whatever a handler returned into an Error; what is not one is internal.
func asError(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return Internal(err)
}

// SetRetryAfter sets the header if there is something to say.
func (e *Error) SetRetryAfter(h http.Header) {
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
}
