//go:build e2e

package clients

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/tokenwright/tokenwright/test/stage"
)

// scene is all that runs.
type scene struct {
	*stage.Tokenwright
	registry string // as images name it
	password string // alice's
	image    string // a file
}

// newScene sets everything up, and stops everything at the end of the test.
func newScene(ctx context.Context, t *testing.T) *scene {
	t.Helper()
	all, err := stage.NewTokenwright("clients")
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{Tokenwright: all, password: rand.Text(), image: filepath.Join(all.Dir, "image.tar")}
	t.Cleanup(func() {
		if t.Failed() {
			s.Processes.PrintLogs(os.Stdout)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, step := range []func(context.Context) error{
		s.StartCluster, s.Install, s.startTokenwright, s.applyObjects, s.startRegistry, s.tokensCome,
	} {
		if err := step(ctx); err != nil {
			t.Fatalf("Set the scene: %v", err)
		}
	}
	if err := writeImage(s.image); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *scene) startTokenwright(ctx context.Context) error {
	if _, err := s.StartManager(ctx, "manager", "--metrics-listen=127.0.0.1:0", "--health-listen=127.0.0.1:0"); err != nil {
		return err
	}
	return s.StartServers(ctx)
}

func (s *scene) applyObjects(ctx context.Context) error {
	if err := s.Cluster.ApplyUsers(ctx, map[string]string{"alice": s.password}, bcrypt.MinCost); err != nil {
		return err
	}
	if err := s.Cluster.Apply(ctx, fmt.Sprintf(objects, audience)); err != nil {
		return err
	}
	return s.Cluster.WaitReady(ctx, "signingkeys", "identityproviders", "clusteraccesspolicies")
}

const audience = "registry.example.com"

// objects let alice work on clients/**, with a refresh token or without; nobody else may pull.
const objects = `
apiVersion: tokenwright.dev/v1alpha1
kind: IdentityProvider
metadata: {name: users, namespace: tokenwright-system}
spec: {htpasswd: {secretRef: {name: users, key: htpasswd}}}
---
apiVersion: tokenwright.dev/v1alpha1
kind: SigningKey
metadata: {name: registry, namespace: tokenwright-system}
spec:
  audiences: [%s]
  keyIdentification: X509Chain
  tokenLifetime: 1m
  rotation: {interval: 720h, publishAhead: 0s}
---
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: alice-pushes}
spec:
  subjects: [{kind: User, name: alice}]
  rules: [{type: repository, names: ["clients/**"], actions: [pull, push]}]
  offlineAccess: {maxLifetime: 24h}
`

func (s *scene) startRegistry(ctx context.Context) error {
	registry, _, err := s.StartRegistry(ctx, "registry", audience)
	s.registry = registry.Host()
	return err
}

// tokensCome waits until both servers, and the balancer before them, know the key, the user and the policy.
func (s *scene) tokensCome(ctx context.Context) error {
	urls := s.URLs()
	for _, url := range append(urls[:], s.Issuer) {
		if err := stage.Eventually(ctx, time.Minute, func() error {
			a, err := s.login(ctx, url)
			if err == nil && (a.status != http.StatusOK || a.RefreshToken == "") {
				err = fmt.Errorf("%s answers alice's login with %d and no refresh token", url, a.status)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
