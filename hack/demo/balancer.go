package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// balancer stands in for a Kubernetes Service: one address before the server replicas, each connection goes to one that
// is ready.
type balancer struct {
	listener net.Listener
	backends []backend
	next     atomic.Uint32
	wait     sync.WaitGroup
}

// backend is a replica: where it listens, and where it says that it is ready.
type backend struct {
	address, health string
}

func newBalancer(backends ...backend) (*balancer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	b := &balancer{listener: l, backends: backends}
	b.wait.Add(1)
	go b.serve()
	return b, nil
}

func (b *balancer) port() int { return b.listener.Addr().(*net.TCPAddr).Port }

func (b *balancer) serve() {
	defer b.wait.Done()
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.forward(conn)
	}
}

func (b *balancer) forward(client net.Conn) {
	defer func() { _ = client.Close() }()
	first := int(b.next.Add(1))
	for i := range b.backends {
		chosen := b.backends[(first+i)%len(b.backends)]
		if answers(context.Background(), "http://"+chosen.health+"/readyz", http.StatusOK) != nil {
			continue
		}
		server, err := net.Dial("tcp", chosen.address)
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

func (b *balancer) close() {
	_ = b.listener.Close()
	b.wait.Wait()
}
