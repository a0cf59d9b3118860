package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// keepRunning says how to reach what runs, writes bin/demo.env for scripts, and waits for Ctrl-C.
func (d *demo) keepRunning(ctx context.Context) (err error) {
	env := filepath.Join(controlplane.Root(), "bin", "demo.env")
	if err := os.WriteFile(env, []byte(d.environment()), 0o600); err != nil {
		return fmt.Errorf("write bin/demo.env: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(env)) }()
	fmt.Fprintf(d.out, `
All of it runs on; Ctrl-C stops it. For scripts: . bin/demo.env

  kubeconfig   %s
  servers      %s  %s  (clients use %s)
  registry     %s

Three commands to try:

  . bin/demo.env; %s get tokenwright --all-namespaces
  . bin/demo.env; curl -su "alice:$ALICE_PASSWORD" "$SERVER_URL/token?service=%s&scope=repository:team-a/app:pull"
  . bin/demo.env; bin/registry/crane manifest --insecure "$REGISTRY/public/hello:v1"
`, d.Cluster.Kubeconfig, d.Servers[0].URL, d.Servers[1].URL, d.Issuer, d.registry, d.Cluster.KubectlPath(), audience)
	<-ctx.Done()
	fmt.Fprintln(d.out, "\nStopping.")
	return nil
}
