package controlplane

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
)

// SystemNamespace is where the generated roles are bound.
const SystemNamespace = "tokenwright-system"

// ServerConfig grants the server's ServiceAccount what config/rbac/server gives it, and returns a configuration with
// these rights and no others.
func (p *Plane) ServerConfig(ctx context.Context) (*rest.Config, error) {
	return p.serverConfig(ctx, "server/service_account.yaml", "server/role.yaml", "server/role_binding.yaml")
}

// UMAServerConfig is ServerConfig of a server with --uma, which may more: config/rbac/server-uma.
func (p *Plane) UMAServerConfig(ctx context.Context) (*rest.Config, error) {
	if _, err := p.ServerConfig(ctx); err != nil {
		return nil, err
	}
	return p.serverConfig(ctx, "server-uma/role.yaml", "server-uma/role_binding.yaml")
}

// serverConfig applies files of config/rbac.
func (p *Plane) serverConfig(ctx context.Context, files ...string) (*rest.Config, error) {
	if err := p.CreateNamespace(ctx, SystemNamespace, nil); err != nil {
		return nil, err
	}
	for _, file := range files {
		if err := p.Apply(ctx, filepath.Join("config", "rbac", filepath.FromSlash(file))); err != nil {
			return nil, err
		}
	}
	return p.ConfigOf(ctx, SystemNamespace, "tokenwright-server")
}

// Apply creates the objects of a YAML file of the project, with an administrator's rights; those that exist are left as
// they are.
func (p *Plane) Apply(ctx context.Context, path string) error {
	content, err := os.ReadFile(filepath.Join(Root(), path))
	if err != nil {
		return err
	}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := ignoreExisting(p.Client.Create(ctx, object)); err != nil {
			return fmt.Errorf("apply %s of %s: %w", object.GetKind(), path, err)
		}
	}
}
