//go:build e2e

package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/test/stage"
)

// startContainerd starts containerd in the scene's folder, beside any that the machine has.
func (s *scene) startContainerd(ctx context.Context) (*containerd, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("containerd runs as root only: run this test as root")
	}
	dir := filepath.Join(s.Dir, "containerd")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for containerd: %w", err)
	}
	c := &containerd{scene: s, home: dir, address: filepath.Join(dir, "containerd.sock")}
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, containerdConfig, dir, dir, c.address), 0o600); err != nil {
		return nil, fmt.Errorf("write containerd's configuration: %w", err)
	}
	if _, err := s.Processes.Start("containerd", nil, binary("clients", "containerd"), "--config", config); err != nil {
		return nil, err
	}
	return c, stage.Eventually(ctx, time.Minute, func() error { return c.ctr(ctx, "version") })
}

// containerdConfig needs nothing of the machine but root: plain folders as snapshots, no kubelet's API, no runtime.
const containerdConfig = `
version = 3
root = %q
state = "%s/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]

[grpc]
address = %q

[plugins."io.containerd.transfer.v1.local"]
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
platform = "linux"
snapshotter = "native"
`

// containerd is what a node has; ctr is how it is told to pull.
type containerd struct {
	scene         *scene
	home, address string
}

func (c *containerd) ctr(ctx context.Context, args ...string) error {
	return run(ctx, c.home, "", append([]string{binary("clients", "ctr"), "--address", c.address}, args...)...)
}

func (c *containerd) tool() tool {
	flag := func(name, user string) holding {
		return func(_ context.Context, _, secret string) (client, error) {
			return ctr{c, []string{name, user + secret}}, nil
		}
	}
	return tool{
		name: "containerd", password: flag("--user", "alice:"),
		// Not "basic": it got in by its first try, which is a POST. Its GET says nothing of a client_id.
		byPassword: grant{"password", "containerd-client"},
		tokens: map[string]way{
			"as --refresh":               {flag("--refresh", ""), grant{"refresh_token", "containerd-client"}},
			"as the password of <token>": {flag("--user", "<token>:"), grant{"refresh_token", "containerd-client"}},
		},
		refusal: "401 Unauthorized", revoke: c.scene.revokeAtAServer,
	}
}

// ctr is containerd with the flags of a credential.
type ctr struct {
	containerd *containerd
	credential []string
}

func (c ctr) images(ctx context.Context, command string, args ...string) error {
	flags := append([]string{"images", command, "--plain-http"}, c.credential...)
	return c.containerd.ctr(ctx, append(flags, args...)...)
}

func (c ctr) push(ctx context.Context, name string) error {
	if err := c.containerd.ctr(ctx, "images", "import", "--snapshotter", "native", c.containerd.scene.image); err != nil {
		return err
	}
	return c.images(ctx, "push", name, imageName)
}

// pull removes what was pulled or imported before, with its content: there is no other image.
func (c ctr) pull(ctx context.Context, name string) error {
	for _, image := range []string{name, imageName} {
		if err := c.containerd.ctr(ctx, "images", "rm", "--sync", image); err != nil && !strings.Contains(err.Error(), "not found") {
			return err
		}
	}
	return c.images(ctx, "pull", "--snapshotter", "native", name)
}
