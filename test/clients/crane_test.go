//go:build e2e

package clients

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
)

// crane is go-containerregistry's. Its `auth login` stores what it is given and asks nobody.
func (s *scene) crane() tool {
	login := func(user string) holding {
		return func(ctx context.Context, folder, secret string) (client, error) {
			return crane{s, folder}, run(ctx, folder, secret, binary("registry", "crane"), "auth", "login", s.registry, "--username", user, "--password-stdin")
		}
	}
	return tool{
		name: "crane", password: login("alice"),
		byPassword: grant{Name: "basic"},
		tokens: map[string]way{
			"as identitytoken of config.json": {
				func(_ context.Context, folder, token string) (client, error) {
					return crane{s, folder}, s.identityToken(filepath.Join(folder, "config.json"), token)
				},
				grant{"refresh_token", "go-containerregistry"},
			},
			// It does not see an identity token in that, and sends it by HTTP Basic.
			"as the password of <token>": {login("<token>"), grant{Name: "refresh_token"}},
		},
		refusal: "UNAUTHORIZED", revoke: s.revokeAtAServer,
	}
}

// identityToken writes a file as `docker login` does: the user's name stays, the password does not.
func (s *scene) identityToken(path, token string) error {
	entry := map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte("alice:")), "identitytoken": token}
	config, err := json.Marshal(map[string]any{"auths": map[string]any{s.registry: entry}})
	if err != nil {
		return err
	}
	return os.WriteFile(path, config, 0o600)
}

type crane struct {
	scene  *scene
	folder string
}

func (c crane) push(ctx context.Context, name string) error {
	return run(ctx, c.folder, "", binary("registry", "crane"), "push", "--insecure", c.scene.image, name)
}

func (c crane) pull(ctx context.Context, name string) error {
	path, err := fresh(c.folder)
	if err != nil {
		return err
	}
	return run(ctx, c.folder, "", binary("registry", "crane"), "pull", "--insecure", name, path)
}
