package stage

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// Registry is the configuration of a registry of distribution 2.8 or 3 that believes tokens.
type Registry struct {
	// Name names its files and its log.
	Name string
	// Binary is distribution 3's `registry` or 2.8's `docker-registry`.
	Binary string
	// Storage is a folder that may be shared.
	Storage string
	// Address is host:port.
	Address string
	// Issuer and Service are what iss and aud must be. Clients get tokens at <Issuer>/token.
	Issuer, Service string
	// Trust is the line that says which keys are trusted: `rootcertbundle: "file"` or `jwks: "file"`.
	Trust string
}

// Distribution3 is the binary that `make registry` builds.
func Distribution3() string { return filepath.Join(controlplane.Root(), "bin", "registry", "registry") }

// Start writes the configuration, runs the registry and waits until it refuses who has no token.
func (r Registry) Start(ctx context.Context, processes *Processes) (*Process, error) {
	config := fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}
http: {addr: %q}
auth:
  token: {realm: %q, service: %q, issuer: %q, %s}
`, r.Storage, r.Address, r.Issuer+"/token", r.Service, r.Issuer, r.Trust)
	path := filepath.Join(processes.Dir, r.Name+".yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("write the registry's configuration: %w", err)
	}
	process, err := processes.Start(r.Name, []string{"OTEL_TRACES_EXPORTER=none"}, r.Binary, "serve", path)
	if err != nil {
		return nil, err
	}
	return process, r.Ready(ctx)
}

// Ready waits until the registry refuses who has no token.
func (r Registry) Ready(ctx context.Context) error {
	return Eventually(ctx, time.Minute, func() error {
		return Answers(ctx, "http://"+r.Address+"/v2/", http.StatusUnauthorized)
	})
}

// Host is the name under which clients find the token server of plain HTTP that the registry names.
func (r Registry) Host() string { return strings.Replace(r.Address, "127.0.0.1", "localhost", 1) }
