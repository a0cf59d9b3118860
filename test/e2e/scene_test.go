//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"os"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/tokenwright/tokenwright/test/stage"
)

// scene is all that runs.
type scene struct {
	*stage.Tokenwright
	managers []manager
	password string // alice's

	modern, debian *registry // trust the certificate authority of chain
}

// newScene sets everything up, and stops everything at the end of the test.
func newScene(ctx context.Context, t *testing.T) *scene {
	t.Helper()
	all, err := stage.NewTokenwright("e2e")
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{Tokenwright: all, password: rand.Text()}
	t.Cleanup(func() {
		if t.Failed() {
			s.Processes.PrintLogs(os.Stdout)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, step := range []func(context.Context) error{
		s.StartCluster, s.Install, s.startServers, s.startManagers, s.applyObjects, s.startRegistries, s.seed,
	} {
		if err := step(ctx); err != nil {
			t.Fatalf("Set the scene: %v", err)
		}
	}
	return s
}

func (s *scene) startServers(ctx context.Context) error {
	return s.StartServers(ctx, "--max-staleness="+maxStaleness.String(), "--jwks-max-age="+jwksMaxAge.String())
}

func (s *scene) applyObjects(ctx context.Context) error {
	if err := s.Cluster.ApplyUsers(ctx, map[string]string{"alice": s.password}, bcrypt.MinCost); err != nil {
		return err
	}
	objects := access + "---"
	for _, k := range signingKeys {
		objects += k.manifest()
	}
	if err := s.Cluster.Apply(ctx, objects); err != nil {
		return err
	}
	return s.Cluster.WaitReady(ctx, "signingkeys", "identityproviders", "clusteraccesspolicies")
}

// keys runs `tokenwright keys` as an administrator.
func (s *scene) keys(ctx context.Context, args ...string) error {
	_, err := stage.Command(ctx, []string{"KUBECONFIG=" + s.Cluster.Kubeconfig}, nil, append([]string{stage.Binary(), "keys"}, args...)...)
	return err
}
