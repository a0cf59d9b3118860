//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

// registry is a running registry, or several behind one address. It verifies a token by being asked for a manifest.
type registry struct {
	stage.Registry
	*stage.Process
	title string
	url   string
}

func (r *registry) name() string { return r.title }

// verify asks for the manifest. A connection that breaks is tried again: registries are restarted.
func (r *registry) verify(ctx context.Context, t token) error {
	var err error
	for range 5 {
		var resp *http.Response
		if resp, err = r.get(ctx, t); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			switch resp.StatusCode {
			case http.StatusOK:
				return nil
			case http.StatusUnauthorized, http.StatusForbidden:
				return fmt.Errorf("%w: %s", errRefused, resp.Status)
			}
			err = errors.New(resp.Status)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return err
}

// oneByOne makes a connection for each request, so that a balancer sees each.
var oneByOne = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (r *registry) get(ctx context.Context, t token) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/v2/"+repository+"/manifests/"+tag, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+t.text)
	req.Header.Set("Accept", "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json")
	return oneByOne.Do(req)
}

// debianRegistry is distribution 2.8 as Debian builds it.
func debianRegistry(ctx context.Context) (string, error) {
	path := os.Getenv("DOCKER_REGISTRY")
	if path == "" {
		path = filepath.Join(controlplane.Root(), "bin", "registry2", "docker-registry")
	}
	out, err := stage.Command(ctx, nil, nil, path, "--version")
	if err != nil {
		return "", fmt.Errorf("no docker-registry: run `make registry2`, or set DOCKER_REGISTRY to the file of a docker-registry 2.8: %w", err)
	}
	if !strings.Contains(out, " 2.8.") {
		return "", fmt.Errorf("set DOCKER_REGISTRY to the file of a docker-registry 2.8: %s says %q", path, strings.TrimSpace(out))
	}
	return path, nil
}

// startRegistries starts the two that know the certificate authority and nothing else.
func (s *scene) startRegistries(ctx context.Context) error {
	debian, err := debianRegistry(ctx)
	if err != nil {
		return err
	}
	bundle := filepath.Join(s.Dir, "ca.crt")
	if err := s.Cluster.Published(ctx, chain.name, "ca.crt", bundle); err != nil {
		return err
	}
	trust := fmt.Sprintf("rootcertbundle: %q", bundle)
	if s.modern, err = s.startRegistry(ctx, "registry-3", "distribution 3.1, x5c", stage.Distribution3(), "storage-3", chain, trust); err != nil {
		return err
	}
	s.debian, err = s.startRegistry(ctx, "registry-2", "distribution 2.8.2 (Debian), x5c", debian, "storage-2", chain, trust)
	return err
}

func (s *scene) startRegistry(ctx context.Context, name, title, binary, storage string, k signingKey, trust string) (*registry, error) {
	address, err := stage.FreeAddress()
	if err != nil {
		return nil, err
	}
	r := &registry{title: title, url: "http://" + address, Registry: stage.Registry{
		Name: name, Binary: binary, Storage: filepath.Join(s.Dir, storage), Address: address,
		Issuer: s.Issuer, Service: k.audience(), Trust: trust,
	}}
	r.Process, err = r.Start(ctx, &s.Processes)
	return r, err
}

// crane runs the stock client as alice.
func (s *scene) crane(ctx context.Context, stdin string, args ...string) error {
	_, err := stage.Command(ctx, []string{"DOCKER_CONFIG=" + filepath.Join(s.Dir, "docker")}, strings.NewReader(stdin),
		append([]string{filepath.Join(controlplane.Root(), "bin", "registry", "crane")}, args...)...)
	return err
}

func (s *scene) push(ctx context.Context, r *registry, image string) error {
	return s.crane(ctx, "", "append", "--insecure", "-f", s.layer(), "-t", r.Host()+"/"+image)
}

func (s *scene) pull(ctx context.Context, r *registry) error {
	return s.crane(ctx, "", "pull", "--insecure", r.Host()+"/"+repository+":"+tag, filepath.Join(s.Dir, r.Registry.Name+".tar"))
}

func (s *scene) layer() string { return filepath.Join(s.Dir, "layer.tar") }

// seed logs alice in and pushes the image.
func (s *scene) seed(ctx context.Context) error {
	var layer bytes.Buffer
	w, text := tar.NewWriter(&layer), []byte("Hello from the end-to-end tests.\n")
	err := w.WriteHeader(&tar.Header{Name: "hello.txt", Mode: 0o644, Size: int64(len(text))})
	_, writeErr := w.Write(text)
	if err := errors.Join(err, writeErr, w.Close(), os.WriteFile(s.layer(), layer.Bytes(), 0o600)); err != nil {
		return fmt.Errorf("make a layer: %w", err)
	}
	for _, r := range []*registry{s.modern, s.debian} {
		if err := s.crane(ctx, s.password, "auth", "login", r.Host(), "--username", "alice", "--password-stdin"); err != nil {
			return err
		}
		if err := stage.Eventually(ctx, 30*time.Second, func() error { return s.push(ctx, r, repository+":"+tag) }); err != nil {
			return err
		}
	}
	return nil
}
