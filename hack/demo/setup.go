package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// impostor is a user name that must never get in by a password: it is the name of a ServiceAccount.
const impostor = "system:serviceaccount:team-a:ci"

func (d *demo) setUp(ctx context.Context) error {
	steps := []struct {
		say string
		do  func(context.Context) error
	}{
		{"Start etcd and an API server", d.startCluster},
		{"Install the chart's objects", d.install},
		{"Start the manager and two servers under their own ServiceAccounts", d.startTokenwright},
		{"Create the users' passwords and apply config/samples", d.applySamples},
		{"Start a stock registry that trusts the ConfigMap's ca.crt", d.startRegistry},
		{"Push public/hello for everybody to pull", d.seed},
	}
	for _, s := range steps {
		begin := time.Now()
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(s.say), err)
		}
		fmt.Fprintf(d.out, "     %s (%.1f s)\n", s.say, time.Since(begin).Seconds())
	}
	return nil
}

func (d *demo) startCluster(context.Context) (err error) {
	d.cluster, err = startCluster(d.dir)
	return err
}

func (d *demo) install(ctx context.Context) error {
	for i := range d.backends {
		for _, address := range []*string{&d.backends[i].address, &d.backends[i].health} {
			var err error
			if *address, err = freeAddress(); err != nil {
				return err
			}
		}
		d.urls[i] = "http://" + d.backends[i].address
	}
	front, err := newBalancer(d.backends[:]...)
	if err != nil {
		return err
	}
	d.front, d.issuer = front, fmt.Sprintf("http://localhost:%d", front.port())
	return d.cluster.installChart(ctx, d.issuer)
}

func (d *demo) startTokenwright(ctx context.Context) error {
	binary := filepath.Join(controlplane.Root(), "bin", "tokenwright")
	kubeconfig, err := d.cluster.kubeconfigOf(ctx, systemNamespace, "tokenwright-manager")
	if err != nil {
		return err
	}
	// Verifiers with other clocks are not part of the demo: it allows them one second, not sixty, so that a standby may
	// sign soon after it was published.
	_, err = d.startProcess("manager", []string{"KUBECONFIG=" + kubeconfig}, binary, "manager",
		"--namespace="+systemNamespace, "--ca-namespace="+caNamespace, "--clock-skew=1s",
		"--metrics-listen=127.0.0.1:0", "--health-listen=127.0.0.1:0")
	if err != nil {
		return err
	}
	kubeconfig, err = d.cluster.kubeconfigOf(ctx, systemNamespace, "tokenwright-server")
	if err != nil {
		return err
	}
	for i, backend := range d.backends {
		name := fmt.Sprintf("server-%d", i+1)
		d.servers[i], err = d.startProcess(name, []string{"KUBECONFIG=" + kubeconfig}, binary, "server",
			"--namespace="+systemNamespace, "--issuer="+d.issuer, "--listen="+backend.address,
			"--health-listen="+backend.health, "--pod-name="+name, "--audit-file="+filepath.Join(d.dir, name+".audit"))
		if err != nil {
			return err
		}
		if err := eventually(ctx, time.Minute, func() error {
			return answers(ctx, "http://"+backend.health+"/readyz", http.StatusOK)
		}); err != nil {
			return fmt.Errorf("%s is not ready: %w", name, err)
		}
	}
	return nil
}

// answers tells whether an address answers with the status.
func answers(ctx context.Context, url string, want int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != want {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}

func (d *demo) applySamples(ctx context.Context) error {
	d.passwords = map[string]string{}
	var file strings.Builder
	for _, user := range []string{"alice", "bob", "publisher", impostor} {
		d.passwords[user] = randomPassword()
		hash, err := bcrypt.GenerateFromPassword([]byte(d.passwords[user]), 10)
		if err != nil {
			return fmt.Errorf("hash a password: %w", err)
		}
		fmt.Fprintf(&file, "%s:%s\n", user, hash)
	}
	secret := fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"users","namespace":%q,
		"labels":{"tokenwright.dev/watch":"true"}},"data":{"htpasswd":%q}}`,
		systemNamespace, base64.StdEncoding.EncodeToString([]byte(file.String())))
	if err := d.cluster.apply(ctx, secret); err != nil {
		return err
	}
	samples := filepath.Join(controlplane.Root(), "config", "samples")
	if _, err := d.cluster.kubectl(ctx, "apply", "--server-side", "-k", samples); err != nil {
		return err
	}
	for _, kind := range []string{"signingkeys", "identityproviders", "accesspolicies", "clusteraccesspolicies"} {
		if _, err := d.cluster.kubectl(ctx, "wait", kind, "--all", "--all-namespaces", "--for=condition=Ready", "--timeout=60s"); err != nil {
			return err
		}
	}
	return nil
}

func randomPassword() string {
	return rand.Text()
}

func (d *demo) startRegistry(ctx context.Context) error {
	ca, err := d.cluster.get(ctx, systemNamespace, "configmap/registry-keys", `{.data.ca\.crt}`)
	if err != nil {
		return err
	}
	bundle := filepath.Join(d.dir, "ca.crt")
	if err := os.WriteFile(bundle, []byte(ca+"\n"), 0o600); err != nil {
		return fmt.Errorf("write ca.crt: %w", err)
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	d.registry = strings.Replace(address, "127.0.0.1", "localhost", 1)
	config := fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}
http: {addr: %q}
auth:
  token: {realm: %q, service: %q, issuer: %q, rootcertbundle: %q}
`, filepath.Join(d.dir, "registry"), address, d.issuer+"/token", audience, d.issuer, bundle)
	path := filepath.Join(d.dir, "registry.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return fmt.Errorf("write the registry's configuration: %w", err)
	}
	binary := filepath.Join(controlplane.Root(), "bin", "registry", "registry")
	if _, err := d.startProcess("registry", []string{"OTEL_TRACES_EXPORTER=none"}, binary, "serve", path); err != nil {
		return err
	}
	return eventually(ctx, time.Minute, func() error {
		return answers(ctx, "http://"+d.registry+"/v2/", http.StatusUnauthorized)
	})
}

// seed lets the publisher push what the samples let everybody pull; the right to push is taken away afterwards.
func (d *demo) seed(ctx context.Context) error {
	if err := d.cluster.apply(ctx, publisherPolicy); err != nil {
		return err
	}
	publisher, err := d.client("publisher", "publisher", d.passwords["publisher"])
	if err != nil {
		return err
	}
	if err := eventually(ctx, 10*time.Second, func() error { return publisher.push(ctx, "public/hello:v1") }); err != nil {
		return err
	}
	_, err = d.cluster.kubectl(ctx, "delete", "clusteraccesspolicy", "publisher-pushes-public")
	return err
}
