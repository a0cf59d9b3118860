package controlplane

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync/atomic"

	"k8s.io/client-go/rest"
)

// Fault is what becomes of the watches of one resource on their way through a Proxy. All else passes.
type Fault int32

// The faults. They begin and end in the middle of watches that are under way.
const (
	// None: everything passes.
	None Fault = iota
	// Hangs: nothing arrives any more, not even the end. So it is with a connection into nowhere.
	Hangs
	// Swallows: no event arrives, and the end does. So it is with an API server whose own cache has fallen behind.
	Swallows
)

// Proxy stands between a process and the API server.
type Proxy struct {
	// Config leads through the proxy, with the rights of who made it.
	Config *rest.Config

	front    *httptest.Server
	resource string
	fault    atomic.Int32
}

// NewProxy returns a proxy that can disturb the watches of a resource, such as secrets. Close must be called.
func NewProxy(config *rest.Config, resource string) (*Proxy, error) {
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("make a transport: %w", err)
	}
	target, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	p := &Proxy{resource: resource}
	through := httputil.NewSingleHostReverseProxy(target)
	through.Transport, through.FlushInterval, through.ErrorLog = transport, -1, log.New(io.Discard, "", 0)
	through.ModifyResponse = func(answer *http.Response) error {
		request := answer.Request
		if strings.HasSuffix(request.URL.Path, "/"+resource) && request.URL.Query().Get("watch") == "true" {
			answer.Body = &disturbed{ReadCloser: answer.Body, ctx: request.Context(), fault: &p.fault}
		}
		return nil
	}
	p.front = httptest.NewServer(through)
	p.Config = &rest.Config{Host: p.front.URL}
	return p, nil
}

// Set begins a fault, or ends it.
func (p *Proxy) Set(f Fault) { p.fault.Store(int32(f)) }

// Close ends everything that is under way.
func (p *Proxy) Close() {
	p.front.CloseClientConnections()
	p.front.Close()
}

// disturbed is the body of a watch.
type disturbed struct {
	io.ReadCloser
	ctx   context.Context
	fault *atomic.Int32
}

func (d *disturbed) Read(p []byte) (int, error) {
	for {
		n, err := d.ReadCloser.Read(p)
		switch Fault(d.fault.Load()) {
		case Hangs:
			if err != nil {
				<-d.ctx.Done()
				return 0, d.ctx.Err()
			}
		case Swallows:
			if err != nil {
				return 0, err
			}
		default:
			return n, err
		}
	}
}
