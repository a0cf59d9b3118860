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
	"github.com/tokenwright/tokenwright/test/stage"
)

// audience is that of config/samples.
const audience = "registry.example.com"

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
	d.cluster, err = stage.StartCluster(d.dir)
	return err
}

func (d *demo) install(ctx context.Context) error {
	var backends []stage.Backend
	for i := range d.urls {
		address, err := stage.FreeAddress()
		if err != nil {
			return err
		}
		if d.health[i], err = stage.FreeAddress(); err != nil {
			return err
		}
		d.urls[i] = "http://" + address
		backends = append(backends, stage.Backend{Address: address, Ready: "http://" + d.health[i] + "/readyz"})
	}
	front, err := stage.NewBalancer(backends...)
	if err != nil {
		return err
	}
	d.front, d.issuer = front, fmt.Sprintf("http://localhost:%d", front.Port())
	return d.cluster.InstallChart(ctx, d.issuer)
}

func (d *demo) startTokenwright(ctx context.Context) error {
	binary := filepath.Join(controlplane.Root(), "bin", "tokenwright")
	kubeconfig, err := d.cluster.KubeconfigOf(ctx, stage.SystemNamespace, "tokenwright-manager")
	if err != nil {
		return err
	}
	// Verifiers with other clocks are not part of the demo: it allows them one second, not sixty, so that a standby may
	// sign soon after it was published.
	_, err = d.processes.Start("manager", []string{"KUBECONFIG=" + kubeconfig}, binary, "manager",
		"--namespace="+stage.SystemNamespace, "--ca-namespace="+stage.CANamespace, "--clock-skew=1s",
		"--metrics-listen=127.0.0.1:0", "--health-listen=127.0.0.1:0")
	if err != nil {
		return err
	}
	kubeconfig, err = d.cluster.KubeconfigOf(ctx, stage.SystemNamespace, "tokenwright-server")
	if err != nil {
		return err
	}
	for i, health := range d.health {
		name := fmt.Sprintf("server-%d", i+1)
		d.servers[i], err = d.processes.Start(name, []string{"KUBECONFIG=" + kubeconfig}, binary, "server",
			"--namespace="+stage.SystemNamespace, "--issuer="+d.issuer, "--listen="+strings.TrimPrefix(d.urls[i], "http://"),
			"--health-listen="+health, "--pod-name="+name, "--audit-file="+filepath.Join(d.dir, name+".audit"))
		if err != nil {
			return err
		}
		if err := stage.Eventually(ctx, time.Minute, func() error {
			return stage.Answers(ctx, "http://"+health+"/readyz", http.StatusOK)
		}); err != nil {
			return fmt.Errorf("%s is not ready: %w", name, err)
		}
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
		stage.SystemNamespace, base64.StdEncoding.EncodeToString([]byte(file.String())))
	if err := d.cluster.Apply(ctx, secret); err != nil {
		return err
	}
	samples := filepath.Join(controlplane.Root(), "config", "samples")
	if _, err := d.cluster.Kubectl(ctx, "apply", "--server-side", "-k", samples); err != nil {
		return err
	}
	for _, kind := range []string{"signingkeys", "identityproviders", "accesspolicies", "clusteraccesspolicies"} {
		if _, err := d.cluster.Kubectl(ctx, "wait", kind, "--all", "--all-namespaces", "--for=condition=Ready", "--timeout=60s"); err != nil {
			return err
		}
	}
	return nil
}

func randomPassword() string {
	return rand.Text()
}

func (d *demo) startRegistry(ctx context.Context) error {
	ca, err := d.cluster.Get(ctx, stage.SystemNamespace, "configmap/registry-keys", `{.data.ca\.crt}`)
	if err != nil {
		return err
	}
	bundle := filepath.Join(d.dir, "ca.crt")
	if err := os.WriteFile(bundle, []byte(ca+"\n"), 0o600); err != nil {
		return fmt.Errorf("write ca.crt: %w", err)
	}
	address, err := stage.FreeAddress()
	if err != nil {
		return err
	}
	registry := stage.Registry{
		Name: "registry", Binary: stage.Distribution3(), Storage: filepath.Join(d.dir, "registry"), Address: address,
		Issuer: d.issuer, Service: audience, Trust: fmt.Sprintf("rootcertbundle: %q", bundle),
	}
	d.registry = registry.Host()
	d.registryProcess, err = registry.Start(ctx, &d.processes)
	return err
}

// seed lets the publisher push what the samples let everybody pull; the right to push is taken away afterwards.
func (d *demo) seed(ctx context.Context) error {
	if err := d.cluster.Apply(ctx, publisherPolicy); err != nil {
		return err
	}
	publisher, err := d.client("publisher", "publisher", d.passwords["publisher"])
	if err != nil {
		return err
	}
	if err := stage.Eventually(ctx, 10*time.Second, func() error { return publisher.push(ctx, "public/hello:v1") }); err != nil {
		return err
	}
	_, err = d.cluster.Kubectl(ctx, "delete", "clusteraccesspolicy", "publisher-pushes-public")
	return err
}
