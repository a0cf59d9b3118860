package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/bcrypt"
	"sigs.k8s.io/yaml"

	"github.com/tokenwright/tokenwright/test/estate"
)

// The names of the world that is measured.
const (
	issuer       = "https://tokens.example.com"
	keyIDService = "keyid.example.com"
	chainService = "chain.example.com"
	user         = "alice"
	password     = "correct horse battery staple"
	bcryptCost   = 10
)

// fixed is what every world has beside the policies that only make it large.
const fixed = `
apiVersion: tokenwright.dev/v1alpha1
kind: SigningKey
metadata: {name: keyid, namespace: tokenwright-system%s}
spec:
  audiences: [keyid.example.com]
  keyIdentification: KeyID
  rotation: {interval: 720h, publishAhead: 2h}
---
apiVersion: tokenwright.dev/v1alpha1
kind: SigningKey
metadata: {name: chain, namespace: tokenwright-system%s}
spec:
  audiences: [chain.example.com]
  rotation: {interval: 720h, publishAhead: 0s}
---
apiVersion: tokenwright.dev/v1alpha1
kind: IdentityProvider
metadata: {name: users, namespace: tokenwright-system}
spec:
  htpasswd: {secretRef: {name: users, key: htpasswd}}
---
apiVersion: v1
kind: Secret
metadata: {name: users, namespace: tokenwright-system, labels: {tokenwright.dev/watch: "true"}}
stringData: {htpasswd: %q}
---
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: anyone-pulls-public}
spec:
  subjects: [{kind: Group, name: "system:unauthenticated"}, {kind: Group, name: "system:authenticated"}]
  rules: [{type: repository, names: ["public/**"], actions: [pull]}]
---
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: alice-pushes}
spec:
  subjects: [{kind: User, name: alice}]
  rules: [{type: repository, names: ["team-a/**"], actions: [pull, push]}]
`

// fixedPolicies is how many policies are in it.
const fixedPolicies = 2

// writeWorld writes the manifests of a world with so many policies into a new folder.
func writeWorld(folder string, policies int) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := writeFixed(folder, ""); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(folder, "estate.yaml"))
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	for i := range policies - fixedPolicies {
		if err := writePolicy(w, i); err != nil {
			return err
		}
	}
	return w.Flush()
}

// writeFixed writes the fixed part; a request for a rotation is any text that was not there before.
func writeFixed(folder, rotate string) error {
	text, err := fixedManifest(rotate)
	if err != nil {
		return err
	}
	next := filepath.Join(folder, ".fixed.yaml")
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(folder, "fixed.yaml"))
}

// fixedManifest hashes the password anew each time, which is what an administrator who adds a user does, too.
func fixedManifest(rotate string) (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
	if err != nil {
		return "", err
	}
	annotations := ""
	if rotate != "" {
		annotations = fmt.Sprintf(`, annotations: {tokenwright.dev/rotate: %q}`, rotate)
	}
	return fmt.Sprintf(fixed, annotations, annotations, user+":"+string(hash)+"\n"), nil
}

func writePolicy(w io.Writer, i int) error {
	var object any
	tenants, platforms := estate.Policy(i)
	if object = tenants; tenants == nil {
		object = platforms
	}
	text, err := yaml.Marshal(object)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "---\n%s", text)
	return err
}

// patience is for how long a server is waited for.
const patience = 2 * time.Minute
