package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/tokenwright/tokenwright/hack/bench/load"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

// server is a token server under measurement.
type server struct {
	*process
	address, health string
	// ready is how long it took from its start to its readiness.
	ready time.Duration
}

// binary is what `make build` builds.
func binary(name string) string { return filepath.Join(controlplane.Root(), "bin", name) }

// startServer starts a token server on free ports of loopback and waits until it is ready.
func startServer(ctx context.Context, dir, name string, core int, environment []string, flags ...string) (*server, error) {
	address, err := stage.FreeAddress()
	if err != nil {
		return nil, err
	}
	health, err := stage.FreeAddress()
	if err != nil {
		return nil, err
	}
	args := append([]string{
		binary("tokenwright"), "server", "--issuer=" + issuer, "--listen=" + address, "--health-listen=" + health,
		"--audit-file=" + filepath.Join(dir, name+".audit"),
	}, flags...)
	began := time.Now()
	p, err := start(dir, name, core, environment, args...)
	if err != nil {
		return nil, err
	}
	s := &server{process: p, address: address, health: health}
	err = p.await(ctx, patience, 5*time.Millisecond, func() error {
		return stage.Answers(ctx, "http://"+health+"/readyz", http.StatusOK)
	})
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s is not ready: %w", name, err)
	}
	s.ready = time.Since(began)
	return s, nil
}

// pull asks for what everybody may have, without credentials.
func (s *server) pull(service string) contestant { return s.ask(service, "public/app:pull", "") }

// push asks for what only alice may have.
func (s *server) push(service, authorization string) contestant {
	return s.ask(service, "team-a/app:pull,push", authorization)
}

func (s *server) ask(service, scope, authorization string) contestant {
	return contestant{s.process, load.Target{
		Address: s.address, Path: "/token?service=" + service + "&scope=repository:" + scope, Authorization: authorization,
	}}
}

var errNoToken = errors.New("the answer has no token")
