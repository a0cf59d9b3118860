//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/tokenwright/tokenwright/test/stage"
)

// byFile are registries that read the JWKS from a file when they start.
type byFile struct {
	scene *scene
	path  string
	// rolled are two replicas behind one address, forgotten is never restarted.
	rolled    [2]*registry
	together  *registry
	forgotten *registry
	front     *stage.Balancer
}

// startByFile starts the registries with what is published now. They share the storage of the registry that was seeded.
func (s *scene) startByFile(ctx context.Context) (_ *byFile, err error) {
	b := &byFile{scene: s, path: filepath.Join(s.Dir, "jwks.json")}
	old := filepath.Join(s.Dir, "jwks-old.json")
	for _, path := range []string{b.path, old} {
		if err := s.Cluster.Published(ctx, file.name, "jwks.json", path); err != nil {
			return nil, err
		}
	}
	start := func(name, title, path string) (*registry, error) {
		return s.startRegistry(ctx, name, title, stage.Distribution3(), "storage-3", file, fmt.Sprintf("jwks: %q", path))
	}
	var backends []stage.Backend
	for i := range b.rolled {
		if b.rolled[i], err = start(fmt.Sprintf("registry-file-%d", i+1), "", b.path); err != nil {
			return nil, err
		}
		backends = append(backends, stage.Backend{Address: b.rolled[i].Address, Ready: b.rolled[i].url + "/"})
	}
	if b.forgotten, err = start("registry-file-old", controlPrefix+"distribution 3.1, JWKS file, not restarted", old); err != nil {
		return nil, err
	}
	if b.front, err = stage.NewBalancer(backends...); err != nil {
		return nil, err
	}
	b.together = &registry{title: "distribution 3.1, JWKS file, 2 replicas", url: fmt.Sprintf("http://127.0.0.1:%d", b.front.Port())}
	return b, nil
}

// rotateOften rotates a few times at once, and then now and then until the context ends: retired keys must leave, or
// there is no room for more.
func (b *byFile) rotateOften(ctx context.Context) error {
	for n := 1; n <= fileRotations || pause(ctx, 20*time.Second); n++ {
		if err := b.rotate(ctx); err != nil && (ctx.Err() == nil || n <= fileRotations) {
			return fmt.Errorf("rotation %d of registries with a JWKS file: %w", n, err)
		}
	}
	return nil
}

// rotate is what docs/signingkey.md says: publish, restart, activate.
func (b *byFile) rotate(ctx context.Context) error {
	var standby string
	if err := stage.Eventually(ctx, time.Minute, func() (err error) {
		standby, err = b.scene.field(ctx, file, `{.status.keys[?(@.state=="Published")].keyID}`)
		return err
	}); err != nil {
		return fmt.Errorf("wait for a standby: %w", err)
	}
	if err := b.scene.Cluster.Published(ctx, file.name, "jwks.json", b.path); err != nil {
		return err
	}
	for _, r := range b.rolled {
		r.Restart()
		if err := r.Ready(ctx); err != nil {
			return fmt.Errorf("restart a registry: %w", err)
		}
		if err := stage.Answers(ctx, r.url+"/", http.StatusOK); err != nil {
			return fmt.Errorf("the balancer takes it for dead: %w", err)
		}
	}
	if err := b.scene.keys(ctx, "activate", file.name, standby); err != nil {
		return err
	}
	return stage.Eventually(ctx, time.Minute, func() error {
		active, err := b.scene.field(ctx, file, `{.status.activeKeyID}`)
		if err == nil && active != standby {
			err = fmt.Errorf("key %s signs, and %s was to", active, standby)
		}
		return err
	})
}

// field reads a field of a SigningKey that is not empty.
func (s *scene) field(ctx context.Context, k signingKey, jsonPath string) (string, error) {
	text, err := s.Cluster.Get(ctx, stage.SystemNamespace, "signingkey/"+k.name, jsonPath)
	if err == nil && text == "" {
		err = fmt.Errorf("SigningKey %s has no %s", k.name, jsonPath)
	}
	return text, err
}

// annotate sets an annotation of a SigningKey.
func (s *scene) annotate(ctx context.Context, k signingKey, name, value string) error {
	_, err := s.Cluster.Kubectl(ctx, "annotate", "signingkey/"+k.name, "--namespace="+stage.SystemNamespace, "--overwrite", name+"="+value)
	return err
}
