package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"time"

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
		{"Start etcd and an API server", d.StartCluster},
		{"Install the chart's objects", d.Install},
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

func (d *demo) startTokenwright(ctx context.Context) error {
	// Verifiers with other clocks are not part of the demo: it allows them one second, not sixty, so that a standby may
	// sign soon after it was published.
	if _, err := d.StartManager(ctx, "manager", "--clock-skew=1s", "--metrics-listen=127.0.0.1:0", "--health-listen=127.0.0.1:0"); err != nil {
		return err
	}
	return d.StartServers(ctx)
}

func (d *demo) applySamples(ctx context.Context) error {
	d.passwords = map[string]string{}
	for _, user := range []string{"alice", "bob", "publisher", impostor} {
		d.passwords[user] = rand.Text()
	}
	if err := d.Cluster.ApplyUsers(ctx, d.passwords, 10); err != nil {
		return err
	}
	samples := filepath.Join(controlplane.Root(), "config", "samples")
	if _, err := d.Cluster.Kubectl(ctx, "apply", "--server-side", "-k", samples); err != nil {
		return err
	}
	return d.Cluster.WaitReady(ctx, "signingkeys", "identityproviders", "accesspolicies", "clusteraccesspolicies")
}

func (d *demo) startRegistry(ctx context.Context) error {
	registry, process, err := d.StartRegistry(ctx, "registry", audience)
	d.registry, d.registryProcess = registry.Host(), process
	return err
}

// seed lets the publisher push what the samples let everybody pull; the right to push is taken away afterwards.
func (d *demo) seed(ctx context.Context) error {
	if err := d.Cluster.Apply(ctx, publisherPolicy); err != nil {
		return err
	}
	publisher, err := d.client("publisher", "publisher", d.passwords["publisher"])
	if err != nil {
		return err
	}
	if err := stage.Eventually(ctx, 10*time.Second, func() error { return publisher.push(ctx, "public/hello:v1") }); err != nil {
		return err
	}
	_, err = d.Cluster.Kubectl(ctx, "delete", "clusteraccesspolicy", "publisher-pushes-public")
	return err
}
