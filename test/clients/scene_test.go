//go:build e2e

package clients

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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
	servers   [2]string // URLs
	audits    [2]string // files
	front     *stage.Balancer
	issuer    string // the balancer's URL
	registry  string // as images name it
	password  string // alice's
	image     string // a file
}

// newScene sets everything up, and stops everything at the end of the test.
func newScene(ctx context.Context, t *testing.T) *scene {
	t.Helper()
	dir, err := os.MkdirTemp("", "tokenwright-clients-")
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{dir: dir, processes: stage.Processes{Dir: dir}, password: rand.Text(), image: filepath.Join(dir, "image.tar")}
	t.Cleanup(func() {
		if t.Failed() {
			s.processes.PrintLogs(os.Stdout)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	for _, step := range []func(context.Context) error{s.install, s.startTokenwright, s.applyObjects, s.startRegistry, s.tokensCome} {
		if err := step(ctx); err != nil {
			t.Fatalf("Set the scene: %v", err)
		}
	}
	if err := writeImage(s.image); err != nil {
		t.Fatal(err)
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

func (s *scene) install(ctx context.Context) (err error) {
	if s.cluster, err = stage.StartCluster(s.dir); err != nil {
		return err
	}
	var backends []stage.Backend
	for i := range s.servers {
		address, err := stage.FreeAddress()
		if err != nil {
			return err
		}
		s.servers[i] = "http://" + address
		backends = append(backends, stage.Backend{Address: address, Ready: "http://" + address + "/.well-known/jwks.json"})
	}
	if s.front, err = stage.NewBalancer(backends...); err != nil {
		return err
	}
	s.issuer = fmt.Sprintf("http://localhost:%d", s.front.Port())
	return s.cluster.InstallChart(ctx, s.issuer)
}

// startTokenwright starts a manager and two servers, each with the rights that the chart gives it.
func (s *scene) startTokenwright(ctx context.Context) error {
	binary := filepath.Join(controlplane.Root(), "bin", "tokenwright")
	kubeconfig, err := s.cluster.KubeconfigOf(ctx, stage.SystemNamespace, "tokenwright-manager")
	if err != nil {
		return err
	}
	if _, err := s.processes.Start("manager", []string{"KUBECONFIG=" + kubeconfig}, binary, "manager",
		"--namespace="+stage.SystemNamespace, "--ca-namespace="+stage.CANamespace,
		"--metrics-listen=127.0.0.1:0", "--health-listen=127.0.0.1:0"); err != nil {
		return err
	}
	if kubeconfig, err = s.cluster.KubeconfigOf(ctx, stage.SystemNamespace, "tokenwright-server"); err != nil {
		return err
	}
	for i, url := range s.servers {
		name := fmt.Sprintf("server-%d", i+1)
		s.audits[i] = filepath.Join(s.dir, name+".audit")
		if _, err := s.processes.Start(name, []string{"KUBECONFIG=" + kubeconfig}, binary, "server",
			"--namespace="+stage.SystemNamespace, "--issuer="+s.issuer, "--listen="+strings.TrimPrefix(url, "http://"),
			"--health-listen=127.0.0.1:0", "--pod-name="+name, "--audit-file="+s.audits[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *scene) applyObjects(ctx context.Context) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(s.password), bcrypt.MinCost)
	if err != nil {
		return fmt.Errorf("hash a password: %w", err)
	}
	users := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "alice:%s\n", hash))
	if err := s.cluster.Apply(ctx, fmt.Sprintf(objects, users, audience)); err != nil {
		return err
	}
	for _, kind := range []string{"signingkeys", "identityproviders", "clusteraccesspolicies"} {
		if _, err := s.cluster.Kubectl(ctx, "wait", kind, "--all", "--all-namespaces", "--for=condition=Ready", "--timeout=60s"); err != nil {
			return err
		}
	}
	return nil
}

const audience = "registry.example.com"

// objects let alice work on clients/**, with a refresh token or without; nobody else may pull.
const objects = `
apiVersion: v1
kind: Secret
metadata: {name: users, namespace: tokenwright-system, labels: {tokenwright.dev/watch: "true"}}
data: {htpasswd: %s}
---
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
	ca, err := s.cluster.Get(ctx, stage.SystemNamespace, "configmap/registry-keys", `{.data.ca\.crt}`)
	if err != nil {
		return err
	}
	bundle := filepath.Join(s.dir, "ca.crt")
	if err := os.WriteFile(bundle, []byte(ca+"\n"), 0o600); err != nil {
		return fmt.Errorf("write ca.crt: %w", err)
	}
	address, err := stage.FreeAddress()
	if err != nil {
		return err
	}
	registry := stage.Registry{
		Name: "registry", Binary: stage.Distribution3(), Storage: filepath.Join(s.dir, "storage"), Address: address,
		Issuer: s.issuer, Service: audience, Trust: fmt.Sprintf("rootcertbundle: %q", bundle),
	}
	s.registry = registry.Host()
	_, err = registry.Start(ctx, &s.processes)
	return err
}

// tokensCome waits until both servers, and the balancer before them, know the key, the user and the policy.
func (s *scene) tokensCome(ctx context.Context) error {
	for _, url := range append(s.servers[:], s.issuer) {
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
