package docker

import (
	"context"
	"net/http"
	"net/url"
	"sync"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
)

// Name labels the endpoint in metrics and logs.
const Name = "token"

// Path is where the endpoint is, below the root and the prefix.
const Path = "/token"

// Methods are what the endpoint answers.
func Methods() []string { return []string{http.MethodGet, http.MethodPost} }

// Granter answers requests; grant.Granter is the one.
type Granter interface {
	Grant(ctx context.Context, by grant.Grant, request *grant.Request) (grant.Answer, error)
}

// Endpoint answers GET and POST.
type Endpoint struct {
	Granter Granter
	// UMA answers the grant of requesting party tokens, whose form is its own (package uma); nil: it is not served, and neither
	// are the scopes that have a meaning only there.
	UMA func(w http.ResponseWriter, r *http.Request, x *httpx.Exchange, form url.Values) error

	// buffers are for answers, which are written to the end before the next use.
	buffers sync.Pool
}

// Handle has the form of httpx.Endpoint's. Nothing that it sends may be cached, on no path.
func (e *Endpoint) Handle(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	var form url.Values
	var unread error // is said after what is wrong with the header
	if r.Method == http.MethodPost {
		if form, unread = httpx.ReadForm(w, r); unread == nil && e.UMA != nil && isUMA(form) {
			return e.UMA(w, r, x, form)
		}
	}
	request, by, err := parse(r, form, unread, e.UMA != nil)
	if err != nil {
		return err
	}
	request.ID, request.Source, request.Time = x.ID, x.Source, x.Start
	x.Grant = by.Name(request)
	issued, err := e.Granter.Grant(r.Context(), by, request)
	if err != nil {
		return translate(err)
	}
	noStore(w.Header())
	buffer, ok := e.buffers.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	if request.Access {
		*buffer = appendAccess((*buffer)[:0], request, &issued)
	} else {
		*buffer = appendAnswer((*buffer)[:0], r.Method, &issued)
	}
	httpx.WriteBody(w, http.StatusOK, *buffer)
	e.buffers.Put(buffer)
	return nil
}

// Values of headers that every answer has. Nobody changes them: net/http replaces values, and appends to a copy.
var noStoreValue, noCacheValue = []string{"no-store"}, []string{"no-cache"}

func noStore(h http.Header) {
	h["Cache-Control"], h["Pragma"] = noStoreValue, noCacheValue
}
