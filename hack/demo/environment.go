package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/tokenwright/tokenwright/test/stage"
)

// Names of the variables of bin/demo.env. Scripts rely on them.
const (
	envKubeconfig = "KUBECONFIG"
	envServer     = "SERVER_URL"
	envServer2    = "SERVER_URL_2"
	envRegistry   = "REGISTRY"
	envNamespace  = "NAMESPACE"
	envPassword   = "ALICE_PASSWORD"
)

// environment is bin/demo.env: assignments that a POSIX shell can source.
func (d *demo) environment() string {
	var b strings.Builder
	for _, v := range [][2]string{
		{envKubeconfig, d.Cluster.Kubeconfig},
		{envServer, d.Servers[0].URL},
		{envServer2, d.Servers[1].URL},
		{envRegistry, d.registry},
		{envNamespace, stage.SystemNamespace},
		{envPassword, d.passwords["alice"]},
	} {
		fmt.Fprintf(&b, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	return b.String()
}

// scripts sources what would be bin/demo.env in shells that have nothing else, and uses what a script then finds in its
// environment, and that alone.
func (d *demo) scripts(ctx context.Context) error {
	file := filepath.Join(d.Dir, "demo.env")
	if err := os.WriteFile(file, []byte(d.environment()), 0o600); err != nil {
		return fmt.Errorf("write demo.env: %w", err)
	}
	for _, shell := range []string{"bash", "sh"} {
		found, err := sourced(ctx, shell, file)
		if err == nil {
			err = d.works(ctx, found)
		}
		if err != nil {
			return fmt.Errorf("in %s: %w", shell, err)
		}
	}
	return nil
}

// sourced returns the environment of a program that a script starts after it has sourced the file.
func sourced(ctx context.Context, shell, file string) (map[string]string, error) {
	printed, err := stage.Command(ctx, nil, nil, "env", "-i", "PATH="+os.Getenv("PATH"), shell, "-euc", `. "$1"; exec env`, shell, file)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for line := range strings.Lines(printed) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		found[name] = value
	}
	return found, nil
}

// works has kubectl, a client of both servers, and one of the registry go by the variables.
func (d *demo) works(ctx context.Context, env map[string]string) error {
	failures := []error{stage.Answers(ctx, "http://"+env[envRegistry]+"/v2/", http.StatusUnauthorized)}
	_, err := stage.Command(ctx, []string{envKubeconfig + "=" + env[envKubeconfig]}, nil,
		d.Cluster.KubectlPath(), "get", "issuedtokens,tokenrevocations", "--namespace="+env[envNamespace])
	failures = append(failures, err)
	for _, name := range []string{envServer, envServer2} {
		a, err := d.ask(ctx, env[name], "alice", env[envPassword], "team-a/app", "pull")
		if err == nil && (a.Status != http.StatusOK || !a.may("team-a/app", "pull")) {
			err = fmt.Errorf("$%s answers alice with %d", name, a.Status)
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}
