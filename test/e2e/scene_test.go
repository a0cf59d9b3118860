//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

// scene is all that runs.
type scene struct {
	dir       string
	cluster   *stage.Cluster
	processes stage.Processes
	servers   [2]string       // URLs
	front     *stage.Balancer // before the servers
	issuer    string          // the balancer's URL
	managers  []manager
	password  string // alice's

	modern, debian *registry // trust the certificate authority of chain
}

// newScene sets everything up, and stops everything at the end of the test.
func newScene(ctx context.Context, t *testing.T) *scene {
	t.Helper()
	dir, err := os.MkdirTemp("", "tokenwright-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{dir: dir, processes: stage.Processes{Dir: dir}, password: rand.Text()}
	t.Cleanup(func() {
		if t.Failed() {
			s.processes.PrintLogs(os.Stdout)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	for _, step := range []func(context.Context) error{s.install, s.startManagers, s.applyObjects, s.startRegistries, s.seed} {
		if err := step(ctx); err != nil {
			t.Fatalf("Set the scene: %v", err)
		}
	}
	return s
}

func (s *scene) close() error {
	s.processes.Stop()
	if s.front != nil {
		s.front.Close()
	}
	var err error
	if s.cluster != nil {
		err = s.cluster.Stop()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// install starts the control plane, the balancer and the servers: the chart must know the balancer's address.
func (s *scene) install(ctx context.Context) (err error) {
	if s.cluster, err = stage.StartCluster(s.dir); err != nil {
		return err
	}
	var listen, health [2]string
	var backends []stage.Backend
	for i := range s.servers {
		if listen[i], err = stage.FreeAddress(); err != nil {
			return err
		}
		if health[i], err = stage.FreeAddress(); err != nil {
			return err
		}
		s.servers[i] = "http://" + listen[i]
		backends = append(backends, stage.Backend{Address: listen[i], Ready: "http://" + health[i] + "/readyz"})
	}
	if s.front, err = stage.NewBalancer(backends...); err != nil {
		return err
	}
	s.issuer = fmt.Sprintf("http://localhost:%d", s.front.Port())
	if err := s.cluster.InstallChart(ctx, s.issuer); err != nil {
		return err
	}
	kubeconfig, err := s.cluster.KubeconfigOf(ctx, stage.SystemNamespace, "tokenwright-server")
	if err != nil {
		return err
	}
	for i := range s.servers {
		name := fmt.Sprintf("server-%d", i+1)
		if _, err := s.processes.Start(name, []string{"KUBECONFIG=" + kubeconfig}, tokenwright(), "server",
			"--namespace="+stage.SystemNamespace, "--issuer="+s.issuer, "--listen="+listen[i], "--health-listen="+health[i],
			"--pod-name="+name, "--max-staleness="+maxStaleness.String(), "--jwks-max-age="+jwksMaxAge.String(),
			"--audit-file="+filepath.Join(s.dir, name+".audit")); err != nil {
			return err
		}
		if err := stage.Eventually(ctx, time.Minute, func() error {
			return stage.Answers(ctx, backends[i].Ready, http.StatusOK)
		}); err != nil {
			return fmt.Errorf("%s is not ready: %w", name, err)
		}
	}
	return nil
}

func tokenwright() string { return filepath.Join(controlplane.Root(), "bin", "tokenwright") }

func (s *scene) applyObjects(ctx context.Context) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(s.password), bcrypt.MinCost)
	if err != nil {
		return fmt.Errorf("hash a password: %w", err)
	}
	users := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "alice:%s\n", hash))
	objects := access + fmt.Sprintf(`---
apiVersion: v1
kind: Secret
metadata: {name: users, namespace: tokenwright-system, labels: {tokenwright.dev/watch: "true"}}
data: {htpasswd: %s}
---`, users)
	for _, k := range signingKeys {
		objects += k.manifest()
	}
	if err := s.cluster.Apply(ctx, objects); err != nil {
		return err
	}
	for _, kind := range []string{"signingkeys", "identityproviders", "clusteraccesspolicies"} {
		if _, err := s.cluster.Kubectl(ctx, "wait", kind, "--all", "--all-namespaces", "--for=condition=Ready", "--timeout=60s"); err != nil {
			return err
		}
	}
	return nil
}

// keys runs `tokenwright keys` as an administrator.
func (s *scene) keys(ctx context.Context, args ...string) error {
	_, err := stage.Command(ctx, []string{"KUBECONFIG=" + s.cluster.Kubeconfig}, nil, append([]string{tokenwright(), "keys"}, args...)...)
	return err
}

// published writes an entry of the ConfigMap that the SigningKey publishes to a file.
func (s *scene) published(ctx context.Context, k signingKey, jsonPath, path string) error {
	text, err := s.cluster.Get(ctx, stage.SystemNamespace, "configmap/"+k.name+"-keys", jsonPath)
	if err == nil && text == "" {
		err = fmt.Errorf("ConfigMap %s-keys has no %s", k.name, jsonPath)
	}
	if err != nil {
		return err
	}
	// Replaced, not overwritten: somebody may be reading.
	if err := os.WriteFile(path+".new", []byte(text+"\n"), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(path+".new", path)
}
