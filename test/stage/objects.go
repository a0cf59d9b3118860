package stage

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// ApplyUsers writes the passwords of users into the Secret `users`, under the key `htpasswd`, at a cost of bcrypt.
func (c *Cluster) ApplyUsers(ctx context.Context, passwords map[string]string, cost int) error {
	var file strings.Builder
	for _, user := range slices.Sorted(maps.Keys(passwords)) {
		hash, err := bcrypt.GenerateFromPassword([]byte(passwords[user]), cost)
		if err != nil {
			return fmt.Errorf("hash a password: %w", err)
		}
		fmt.Fprintf(&file, "%s:%s\n", user, hash)
	}
	return c.Apply(ctx, fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: users, namespace: %s, labels: {tokenwright.dev/watch: "true"}}
data: {htpasswd: %s}
`, SystemNamespace, base64.StdEncoding.EncodeToString([]byte(file.String()))))
}

// WaitReady waits until the manager calls all objects of these kinds ready.
func (c *Cluster) WaitReady(ctx context.Context, kinds ...string) error {
	for _, kind := range kinds {
		if _, err := c.Kubectl(ctx, "wait", kind, "--all", "--all-namespaces", "--for=condition=Ready", "--timeout=60s"); err != nil {
			return err
		}
	}
	return nil
}

// Published writes an entry of the ConfigMap that a SigningKey publishes to a file. The file is replaced and not
// overwritten: somebody may be reading it.
func (c *Cluster) Published(ctx context.Context, signingKey, entry, path string) error {
	text, err := c.Get(ctx, SystemNamespace, "configmap/"+signingKey+"-keys", "{.data."+strings.ReplaceAll(entry, ".", `\.`)+"}")
	if err == nil && text == "" {
		err = fmt.Errorf("ConfigMap %s-keys has no %s", signingKey, entry)
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", []byte(text+"\n"), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(path+".new", path)
}

// StartRegistry starts distribution 3, which knows the certificate authority that the SigningKey publishes and nothing
// else of it.
func (t *Tokenwright) StartRegistry(ctx context.Context, signingKey, audience string) (Registry, *Process, error) {
	bundle := filepath.Join(t.Dir, signingKey+"-ca.crt")
	if err := t.Cluster.Published(ctx, signingKey, "ca.crt", bundle); err != nil {
		return Registry{}, nil, err
	}
	address, err := FreeAddress()
	if err != nil {
		return Registry{}, nil, err
	}
	r := Registry{
		Name: "registry", Binary: Distribution3(), Storage: filepath.Join(t.Dir, "registry"), Address: address,
		Issuer: t.Issuer, Service: audience, Trust: fmt.Sprintf("rootcertbundle: %q", bundle),
	}
	process, err := r.Start(ctx, &t.Processes)
	return r, process, err
}
