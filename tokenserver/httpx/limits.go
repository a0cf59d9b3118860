package httpx

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
)

// The limits of every listener. None is configurable: a client that needs more is not one that we know.
const (
	// MaxBody is the largest request body, and the longest request target, in bytes: a GET carries in its target what
	// a POST carries in its body.
	MaxBody = 64 << 10
	// MaxHeader is the largest sum of names and values of the header fields, in bytes.
	MaxHeader = 16 << 10

	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 60 * time.Second
)

// NewServer returns a server with the limits. net/http itself cuts a connection off only past the target and the header
// together, so that what is merely too long can still be answered in the endpoint's own form.
func NewServer(ctx context.Context, handler http.Handler, logger logr.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    MaxBody + MaxHeader,
		ErrorLog:          log.New(serverLog{logger}, "", 0),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
}

// serverLog carries net/http's own complaints (bad handshakes, mostly) to the log. They are the client's doing.
type serverLog struct{ logger logr.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	l.logger.V(1).Info("Connection failed", "problem", string(line))
	return len(line), nil
}

// checkSize refuses a request whose target, header or announced body is too long.
func checkSize(r *http.Request) *Error {
	if len(r.RequestURI) > MaxBody {
		return &Error{Status: http.StatusRequestURITooLong, Code: "invalid_request", Message: "the request target is longer than 64 KiB"}
	}
	if r.ContentLength > MaxBody {
		return tooLarge(nil)
	}
	size := 0
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	if size > MaxHeader {
		return &Error{
			Status: http.StatusRequestHeaderFieldsTooLarge, Code: "invalid_request",
			Message: "the header is larger than 16 KiB",
		}
	}
	return nil
}

// ReadBody returns the whole body, or a 413 if it is larger than MaxBody.
func ReadBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, tooLarge(err)
	case err != nil:
		return nil, &Error{Status: http.StatusBadRequest, Code: "invalid_request", Message: "the body could not be read", Cause: err}
	}
	return body, nil
}

func tooLarge(cause error) *Error {
	return &Error{
		Status: http.StatusRequestEntityTooLarge, Code: "invalid_request",
		Message: "the body is larger than 64 KiB", Cause: cause,
	}
}
