//go:build e2e

package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// skopeo is Debian's.
func (s *scene) skopeo(program string) tool {
	login := func(user string) holding {
		return func(ctx context.Context, folder, secret string) (client, error) {
			c := skopeo{scene: s, program: program, folder: folder}
			return c, run(ctx, folder, secret, program, "login", "--tls-verify=false", "--authfile", c.authFile(),
				"--username", user, "--password-stdin", s.registry)
		}
	}
	return tool{
		name: "skopeo",
		password: func(_ context.Context, folder, password string) (client, error) {
			return skopeo{s, program, folder, "alice:" + password}, nil
		},
		login:      login("alice"),
		byPassword: grant{Name: "basic"},
		tokens: map[string]way{
			"as identitytoken of the auth file": {
				func(_ context.Context, folder, token string) (client, error) {
					c := skopeo{scene: s, program: program, folder: folder}
					return c, s.identityToken(c.authFile(), token)
				},
				grant{"refresh_token", "containers/image"},
			},
			// Without a client_id: HTTP Basic.
			"as the password of <token>": {login("<token>"), grant{Name: "refresh_token"}},
		},
		refusal: "invalid username/password", revoke: s.revokeAtAServer,
	}
}

// findSkopeo is SKOPEO, or that of the PATH, or what `make e2e-clients` has fetched.
func findSkopeo() (string, error) {
	if path := os.Getenv("SKOPEO"); path != "" {
		return path, nil
	}
	if path, err := exec.LookPath("skopeo"); err == nil {
		return path, nil
	}
	path := binary("clients", "skopeo")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("no skopeo: run `make e2e-clients`, install the package skopeo, or set SKOPEO to its file: %w", err)
	}
	return path, nil
}

type skopeo struct {
	scene           *scene
	program, folder string
	// credentials are user:password, or there is an auth file.
	credentials string
}

func (c skopeo) authFile() string { return filepath.Join(c.folder, "auth.json") }

// auth are the flags that give it its credential.
func (c skopeo) auth(end string) []string {
	if c.credentials != "" {
		return []string{"--" + end + "-creds", c.credentials}
	}
	return []string{"--authfile", c.authFile()}
}

func (c skopeo) copy(ctx context.Context, end, from, to string) error {
	args := append([]string{c.program, "--insecure-policy", "copy", "--" + end + "-tls-verify=false"}, c.auth(end)...)
	return run(ctx, c.folder, "", append(args, from, to)...)
}

func (c skopeo) push(ctx context.Context, name string) error {
	return c.copy(ctx, "dest", "docker-archive:"+c.scene.image, "docker://"+name)
}

func (c skopeo) pull(ctx context.Context, name string) error {
	path, err := fresh(c.folder)
	if err != nil {
		return err
	}
	return c.copy(ctx, "src", "docker://"+name, "docker-archive:"+path)
}
