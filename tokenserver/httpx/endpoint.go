package httpx

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/go-logr/logr"
)

// Recorder counts requests. The grant comes from a fixed set of names.
type Recorder interface {
	Request(endpoint, grant string, status int, took time.Duration)
	Panic(endpoint string)
}

// Endpoint is one handler with its own encoder of errors. It is an http.Handler that has bounded, named, counted and
// recovered the request by the time that Handle sees it.
type Endpoint struct {
	// Name labels the endpoint in metrics and logs.
	Name string
	// Methods are what is answered; all else is 405 with them in Allow. None means every method.
	Methods []string
	// Handle answers, or returns an error and has written nothing.
	Handle func(w http.ResponseWriter, r *http.Request, x *Exchange) error
	// WriteError writes an error in the endpoint's own form.
	WriteError func(w http.ResponseWriter, r *http.Request, e *Error)
	// Proxies are believed when they say for whom they ask.
	Proxies  Proxies
	Recorder Recorder
	Log      logr.Logger
	Now      func() time.Time
}

// Values of headers that every answer has. Nobody changes them: net/http replaces values, and appends to a copy.
var (
	noSniff         = []string{"nosniff"}
	noContent       = []string{"default-src 'none'; frame-ancestors 'none'"}
	contentTypeJSON = []string{"application/json"}
)

// ServeHTTP implements http.Handler.
func (p *Endpoint) ServeHTTP(writer http.ResponseWriter, r *http.Request) {
	both := struct { // one allocation for the two
		Exchange
		responseWriter
	}{newExchange(r, p.Proxies, p.Now()), responseWriter{ResponseWriter: writer}}
	x, w := &both.Exchange, &both.responseWriter
	header := w.Header()
	header["X-Request-Id"] = []string{x.ID}
	header["X-Content-Type-Options"], header["Content-Security-Policy"] = noSniff, noContent

	defer func() {
		p.Recorder.Request(p.Name, x.Grant, w.status, p.Now().Sub(x.Start))
	}()
	if err := p.handle(w, r, x); err != nil {
		p.fail(w, r, x, err)
	}
}

// handle turns a panic into an error. The stack goes to the log, once; the client learns nothing.
func (p *Endpoint) handle(w *responseWriter, r *http.Request, x *Exchange) (err error) {
	defer func() {
		switch value := recover(); {
		case value == nil:
		case value == http.ErrAbortHandler: //nolint:errorlint // net/http's own sentinel, which must go on unwrapped
			panic(value)
		default:
			p.Recorder.Panic(p.Name)
			p.Log.Error(fmt.Errorf("%v", value), "Recovered from a panic", "requestID", x.ID, "endpoint", p.Name, "stack", string(debug.Stack()))
			err = Internal(errPanicked)
		}
	}()
	if e := checkSize(r); e != nil {
		return e
	}
	if len(p.Methods) > 0 && !slices.Contains(p.Methods, r.Method) {
		for _, method := range p.Methods {
			w.Header().Add("Allow", method)
		}
		return MethodNotAllowed()
	}
	return p.Handle(w, r, x)
}

var errPanicked = errors.New("the handler panicked")

// fail writes the error, unless an answer has begun: then the only honest thing left is to break the connection.
func (p *Endpoint) fail(w *responseWriter, r *http.Request, x *Exchange, err error) {
	e := asError(err)
	switch {
	case e.Status == http.StatusServiceUnavailable:
		p.Log.Info("Could not serve a request", "requestID", x.ID, "endpoint", p.Name, "status", e.Status, "reason", e.Error())
	case e.Status >= http.StatusInternalServerError:
		p.Log.Error(e, "Request failed", "requestID", x.ID, "endpoint", p.Name, "status", e.Status)
	default:
		p.Log.V(1).Info("Refused a request", "requestID", x.ID, "endpoint", p.Name, "status", e.Status, "reason", e.Error())
	}
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	if e.Status == http.StatusRequestEntityTooLarge {
		w.Header().Set("Connection", "close")
	}
	e.SetRetryAfter(w.Header())
	if e.Write != nil {
		e.Write(w, r, e)
		return
	}
	p.WriteError(w, r, e)
}

// responseWriter remembers the status for the metrics.
type responseWriter struct {
	http.ResponseWriter
	status int
}

func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}
