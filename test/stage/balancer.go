package stage

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// Balancer stands in for a Kubernetes Service: one address before some replicas, each connection goes to one that is
// ready.
type Balancer struct {
	listener net.Listener
	backends []Backend
	next     atomic.Uint32
	wait     sync.WaitGroup
}

// Backend is a replica: the host and port where it listens, and the URL that answers with 200 while it is ready.
type Backend struct {
	Address, Ready string
}

// NewBalancer listens on loopback. Close must be called.
func NewBalancer(backends ...Backend) (*Balancer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	b := &Balancer{listener: l, backends: backends}
	b.wait.Add(1)
	go b.serve()
	return b, nil
}

// Port is where it listens on loopback.
func (b *Balancer) Port() int { return b.listener.Addr().(*net.TCPAddr).Port }

func (b *Balancer) serve() {
	defer b.wait.Done()
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.forward(conn)
	}
}

func (b *Balancer) forward(client net.Conn) {
	defer func() { _ = client.Close() }()
	first := int(b.next.Add(1))
	for i := range b.backends {
		chosen := b.backends[(first+i)%len(b.backends)]
		if Answers(context.Background(), chosen.Ready, http.StatusOK) != nil {
			continue
		}
		server, err := net.Dial("tcp", chosen.Address)
		if err != nil {
			continue
		}
		done := make(chan struct{})
		go func() {
			_, _ = io.Copy(server, client)
			_ = server.(*net.TCPConn).CloseWrite()
			close(done)
		}()
		_, _ = io.Copy(client, server)
		_ = client.Close()
		_ = server.Close()
		<-done
		return
	}
}

// Close stops listening. Connections that are open end with their clients.
func (b *Balancer) Close() {
	_ = b.listener.Close()
	b.wait.Wait()
}
