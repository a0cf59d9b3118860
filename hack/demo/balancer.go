package main

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// balancer stands in for a Kubernetes Service: one address before the server replicas, each connection goes to one that
// accepts it.
type balancer struct {
	listener net.Listener
	backends []string
	next     atomic.Uint32
	wait     sync.WaitGroup
}

func newBalancer(backends ...string) (*balancer, error) {
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
		server, err := net.Dial("tcp", b.backends[(first+i)%len(b.backends)])
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
