package stage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// Tokenwright is the program as it is installed: a cluster with the chart, managers and two servers under the rights of
// their own ServiceAccounts, and a balancer before the servers. Close must be called.
type Tokenwright struct {
	// Dir is where all that runs keeps its files. Close removes it.
	Dir       string
	Cluster   *Cluster
	Processes Processes
	Servers   [2]Server
	// Issuer is the balancer's URL.
	Issuer string
	// UMA, set before Install, has the chart's uma.enabled: servers may and do serve protected resources.
	UMA bool

	front *Balancer
}

// Server is one of the replicas, and how it is reached beside the balancer.
type Server struct {
	*Process
	// URL is where it serves, and Audit the file of its audit records.
	URL, Audit string

	address, health string
}

// NewTokenwright makes a folder, in which nothing runs yet.
func NewTokenwright(name string) (*Tokenwright, error) {
	dir, err := os.MkdirTemp("", "tokenwright-"+name+"-")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	return &Tokenwright{Dir: dir, Processes: Processes{Dir: dir}}, nil
}

// Binary is what `make build` builds.
func Binary() string { return filepath.Join(controlplane.Root(), "bin", "tokenwright") }

// StartCluster starts a control plane with nothing in it.
func (t *Tokenwright) StartCluster(context.Context) (err error) {
	t.Cluster, err = StartCluster(t.Dir)
	return err
}

// Install listens in the servers' place, and applies the chart, which must know where.
func (t *Tokenwright) Install(ctx context.Context) error {
	var backends []Backend
	for i := range t.Servers {
		s := &t.Servers[i]
		var errs [2]error
		s.address, errs[0] = FreeAddress()
		s.health, errs[1] = FreeAddress()
		if err := errors.Join(errs[:]...); err != nil {
			return err
		}
		s.URL, s.Audit = "http://"+s.address, filepath.Join(t.Dir, serverName(i)+".audit")
		backends = append(backends, Backend{Address: s.address, Ready: s.ready()})
	}
	front, err := NewBalancer(backends...)
	if err != nil {
		return err
	}
	t.front, t.Issuer = front, fmt.Sprintf("http://localhost:%d", front.Port())
	return t.Cluster.InstallChart(ctx, t.Issuer, fmt.Sprintf("uma.enabled=%t", t.UMA))
}

// URLs are where the servers serve.
func (t *Tokenwright) URLs() [2]string { return [2]string{t.Servers[0].URL, t.Servers[1].URL} }

func serverName(i int) string { return fmt.Sprintf("server-%d", i+1) }

func (s *Server) ready() string { return "http://" + s.health + "/readyz" }

// StartManager starts a manager. Where it listens is up to the flags.
func (t *Tokenwright) StartManager(ctx context.Context, name string, flags ...string) (*Process, error) {
	return t.start(ctx, name, "manager", append([]string{"--ca-namespace=" + CANamespace}, flags...))
}

// StartServers starts the servers one after the other, and waits until each is ready.
func (t *Tokenwright) StartServers(ctx context.Context, flags ...string) (err error) {
	for i := range t.Servers {
		s, name := &t.Servers[i], serverName(i)
		own := []string{
			"--issuer=" + t.Issuer, "--listen=" + s.address, "--health-listen=" + s.health, "--pod-name=" + name, "--audit-file=" + s.Audit,
		}
		if t.UMA {
			own = append(own, "--uma")
		}
		if s.Process, err = t.start(ctx, name, "server", append(own, flags...)); err != nil {
			return err
		}
		if err := Eventually(ctx, time.Minute, func() error { return Answers(ctx, s.ready(), http.StatusOK) }); err != nil {
			return fmt.Errorf("%s is not ready: %w", name, err)
		}
	}
	return nil
}

// start runs a component under its ServiceAccount.
func (t *Tokenwright) start(ctx context.Context, name, component string, flags []string) (*Process, error) {
	kubeconfig, err := t.Cluster.KubeconfigOf(ctx, SystemNamespace, "tokenwright-"+component)
	if err != nil {
		return nil, err
	}
	args := append([]string{Binary(), component, "--namespace=" + SystemNamespace}, flags...)
	return t.Processes.Start(name, []string{"KUBECONFIG=" + kubeconfig}, args...)
}

// Close stops what runs and leaves nothing behind.
func (t *Tokenwright) Close() error {
	t.Processes.Stop()
	if t.front != nil {
		t.front.Close()
	}
	var err error
	if t.Cluster != nil {
		err = t.Cluster.Stop()
	}
	return errors.Join(err, os.RemoveAll(t.Dir))
}
