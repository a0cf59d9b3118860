//go:build e2e

package clients

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

// client is a stock client with a credential, or with none.
type client interface {
	// push pushes the image of the scene under a name of the registry's.
	push(ctx context.Context, name string) error
	// pull fetches the image whole, with nothing left of an earlier pull.
	pull(ctx context.Context, name string) error
}

// holding makes a client, with a folder of its own, that has a credential.
type holding func(ctx context.Context, folder, credential string) (client, error)

// tool is a stock client of registries.
type tool struct {
	name string
	// password is how it holds alice's password, without asking anybody whether it is right.
	password holding
	// login is its own command for that, if it asks whether the password is right.
	login holding
	// byPassword is how the servers see it come with a password.
	byPassword grant
	// tokens are the ways in which it holds a refresh token.
	tokens map[string]way
	// refusal is what its own error says, whatever else it says, when the token server refuses a credential.
	refusal string
	// revoke is how its refresh tokens are taken back.
	revoke func(ctx context.Context, token string) error
}

// way is one way of holding a refresh token, and how the servers see the client come with it.
type way struct {
	hold holding
	seen grant
}

// story is what every tool must be able to do, and what it must not.
func (s *scene) story(ctx context.Context, t *testing.T, c tool) {
	name := func(tag string) string { return s.registry + "/clients/" + c.name + ":" + tag }
	mine := s.hold(ctx, t, c.password, s.password)
	t.Run("it pushes and pulls with alice's password", func(t *testing.T) {
		grants := s.grantsDuring(t, func() { works(ctx, t, mine, name("password")) })
		if diff := cmp.Diff([]grant{c.byPassword}, grants); diff != "" {
			t.Errorf("How the servers saw it come (-want +got):\n%s", diff)
		}
	})
	t.Run("it is refused with another password", func(t *testing.T) {
		c.fails(ctx, t, s.hold(ctx, t, c.password, "not-her-password"), name("password"))
	})
	if c.login != nil {
		t.Run("its login takes alice's password, and no other", func(t *testing.T) {
			works(ctx, t, s.hold(ctx, t, c.login, s.password), name("login"))
			_, err := c.login(ctx, t.TempDir(), "not-her-password")
			c.refused(t, "log in", err)
		})
	}
	for _, how := range slices.Sorted(maps.Keys(c.tokens)) {
		way := c.tokens[how]
		t.Run("it pushes and pulls with a refresh token "+how+", until that is revoked", func(t *testing.T) {
			a, err := s.login(ctx, s.Issuer)
			if err != nil || a.RefreshToken == "" {
				t.Fatalf("Log alice in: %d: %v", a.status, err)
			}
			client := s.hold(ctx, t, way.hold, a.RefreshToken)
			grants := s.grantsDuring(t, func() { works(ctx, t, client, name("token")) })
			if diff := cmp.Diff([]grant{way.seen}, grants); diff != "" {
				t.Errorf("How the servers saw it come (-want +got):\n%s", diff)
			}
			if err := c.revoke(ctx, a.RefreshToken); err != nil {
				t.Fatalf("Revoke the refresh token: %v", err)
			}
			begin := time.Now()
			if err := s.isRefused(ctx, a.RefreshToken); err != nil {
				t.Fatal(err)
			}
			t.Logf("Both servers refused the refresh token %s after it was revoked", time.Since(begin).Round(time.Millisecond))
			c.fails(ctx, t, client, name("token"))
			// Had the registry or a server been away, nothing would have been shown.
			works(ctx, t, mine, name("token"))
		})
	}
}

// hold makes a client in a folder of its own.
func (s *scene) hold(ctx context.Context, t *testing.T, with holding, credential string) client {
	t.Helper()
	c, err := with(ctx, t.TempDir(), credential)
	if err != nil {
		t.Fatalf("Give the client its credential: %v", err)
	}
	return c
}

func works(ctx context.Context, t *testing.T, c client, name string) {
	t.Helper()
	if err := errors.Join(c.push(ctx, name), c.pull(ctx, name)); err != nil {
		t.Fatal(err)
	}
}

// fails tries what must be refused.
func (c tool) fails(ctx context.Context, t *testing.T, with client, name string) {
	t.Helper()
	c.refused(t, "pull", with.pull(ctx, name))
	c.refused(t, "push", with.push(ctx, name))
}

// refused fails the test unless the tool's error is that of a refusal: a registry that is down refuses nothing.
func (c tool) refused(t *testing.T, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("It could %s", what)
	case !strings.Contains(err.Error(), c.refusal):
		t.Errorf("It could not %s, and not because it was refused: want an error with %q: %v", what, c.refusal, err)
	default:
		lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
		t.Logf("It could not %s: %s", what, lines[len(lines)-1])
	}
}

// run is a program of bin with a home of its own, so that nothing of the developer's is read or changed.
func run(ctx context.Context, home, stdin string, args ...string) error {
	env := []string{
		"HOME=" + home, "DOCKER_CONFIG=" + home, "REGCTL_CONFIG=" + filepath.Join(home, "regctl.json"), "XDG_RUNTIME_DIR=" + home,
		"XDG_CONFIG_HOME=" + home, "REGISTRY_AUTH_FILE=" + filepath.Join(home, "auth.json"),
	}
	_, err := stage.Command(ctx, env, strings.NewReader(stdin), args...)
	return err
}

// binary is a program that `make e2e-clients` has built.
func binary(folder, name string) string {
	return filepath.Join(controlplane.Root(), "bin", folder, name)
}

// fresh is a file of the client's folder that is not there.
func fresh(folder string) (string, error) {
	path := filepath.Join(folder, "pulled.tar")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("remove what was pulled before: %w", err)
	}
	return path, nil
}
