package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

// crane is the stock client with the credentials of one person.
type crane struct {
	demo   *demo
	config string // folder of config.json
	layer  string
}

// client is crane, logged in; anonymous if the user is empty.
func (d *demo) client(name, user, password string) (*crane, error) {
	c := &crane{demo: d, config: filepath.Join(d.Dir, "docker-"+name), layer: filepath.Join(d.Dir, "layer.tar")}
	if err := os.MkdirAll(c.config, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for crane: %w", err)
	}
	if err := writeLayer(c.layer); err != nil {
		return nil, err
	}
	if user == "" {
		return c, nil
	}
	_, err := stage.Command(context.Background(), c.env(), strings.NewReader(password), c.binary(), "auth", "login", d.registry,
		"--username", user, "--password-stdin")
	return c, err
}

func writeLayer(path string) error {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	text := []byte("Hello from Tokenwright's demo.\n")
	if err := w.WriteHeader(&tar.Header{Name: "hello.txt", Mode: 0o644, Size: int64(len(text))}); err != nil {
		return fmt.Errorf("write a layer: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("write a layer: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write a layer: %w", err)
	}
	return os.WriteFile(path, buf.Bytes(), 0o600)
}

func (c *crane) binary() string {
	return filepath.Join(controlplane.Root(), "bin", "registry", "crane")
}

func (c *crane) env() []string { return []string{"DOCKER_CONFIG=" + c.config} }

// push makes an image of one layer and pushes it; the repository and tag are new or overwritten.
func (c *crane) push(ctx context.Context, image string) error {
	_, err := stage.Command(ctx, c.env(), nil, c.binary(), "append", "--insecure", "-f", c.layer, "-t", c.demo.registry+"/"+image)
	return err
}

// pull fetches the image whole.
func (c *crane) pull(ctx context.Context, image string) error {
	target := filepath.Join(c.config, "pulled.tar")
	_, err := stage.Command(ctx, c.env(), nil, c.binary(), "pull", "--insecure", c.demo.registry+"/"+image, target)
	return err
}
