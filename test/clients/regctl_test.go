//go:build e2e

package clients

import (
	"context"
	"path/filepath"
)

// regctl is regclient's.
func (s *scene) regctl() tool {
	const id = "regclient/regctl"
	login := func(user string, flags ...string) holding {
		return func(ctx context.Context, folder, secret string) (client, error) {
			c := regctl{s, folder}
			if err := c.plain(ctx); err != nil {
				return nil, err
			}
			args := append([]string{binary("clients", "regctl"), "registry", "login", s.registry, "--user", user, "--pass-stdin"}, flags...)
			return c, run(ctx, folder, secret, args...)
		}
	}
	return tool{
		name: "regctl", password: login("alice", "--skip-check"), login: login("alice"),
		byPassword: grant{"basic", id},
		tokens: map[string]way{
			"as the password of <token>": {login("<token>"), grant{"refresh_token", id}},
			"as identitytoken of config.json": {
				func(ctx context.Context, folder, token string) (client, error) {
					c := regctl{s, folder}
					if err := s.identityToken(filepath.Join(folder, "config.json"), token); err != nil {
						return nil, err
					}
					return c, c.plain(ctx)
				},
				grant{"refresh_token", id},
			},
		},
		refusal: "unauthorized", revoke: s.revokeByObject,
	}
}

type regctl struct {
	scene  *scene
	folder string
}

// plain tells it that the registry has no TLS.
func (c regctl) plain(ctx context.Context) error {
	return run(ctx, c.folder, "", binary("clients", "regctl"), "registry", "set", c.scene.registry, "--tls", "disabled", "--skip-check")
}

func (c regctl) push(ctx context.Context, name string) error {
	return run(ctx, c.folder, "", binary("clients", "regctl"), "image", "import", name, c.scene.image)
}

func (c regctl) pull(ctx context.Context, name string) error {
	path, err := fresh(c.folder)
	if err != nil {
		return err
	}
	return run(ctx, c.folder, "", binary("clients", "regctl"), "image", "export", name, path)
}
