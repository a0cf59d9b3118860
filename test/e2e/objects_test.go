//go:build e2e

package e2e

import (
	"fmt"
	"time"
)

// signingKey is a SigningKey of the scene.
type signingKey struct {
	name, identification, mode string
	interval, ahead            time.Duration
}

// The SigningKeys. Their tokens live for a minute, and see many rotations.
var (
	// chain is for registries that know the certificate authority and are never restarted.
	chain = signingKey{name: "chain", identification: "X509Chain", mode: "Automatic", interval: 5 * time.Second}
	// fetched is for verifiers that fetch the JWKS: its standby is public for as long as these may not know it.
	fetched = signingKey{
		name: "fetched", identification: "KeyID", mode: "Automatic", interval: 9 * time.Second,
		ahead: jwksMaxAge + maxStaleness + clockSkew,
	}
	// file is for registries that read the JWKS once, at start.
	file = signingKey{
		name: "file", identification: "KeyID", mode: "Manual", interval: 30 * time.Second,
		ahead: jwksMaxAge + maxStaleness + clockSkew,
	}
	// restless is always about to be rotated, so that a killed manager is often in the middle of it.
	restless = signingKey{name: "restless", identification: "X509Chain", mode: "Automatic", interval: 2 * time.Second}
)

var signingKeys = []signingKey{chain, fetched, file, restless}

// What managers and servers are told, so that rotations follow each other in seconds.
const (
	clockSkew     = time.Second
	maxStaleness  = 5 * time.Second
	jwksMaxAge    = time.Second
	tokenLifetime = time.Minute
)

func (k signingKey) audience() string { return k.name + ".example.com" }

func (k signingKey) manifest() string {
	return fmt.Sprintf(`
apiVersion: tokenwright.dev/v1alpha1
kind: SigningKey
metadata:
  name: %s
  namespace: tokenwright-system
  annotations: {tokenwright.dev/test-interval: %s}
spec:
  audiences: [%s]
  keyIdentification: %s
  tokenLifetime: %s
  rotation: {mode: %s, interval: 1m, publishAhead: %s}
---`, k.name, k.interval, k.audience(), k.identification, wire(tokenLifetime), k.mode, wire(k.ahead))
}

// wire writes a duration as the API wants it.
func wire(d time.Duration) string { return fmt.Sprintf("%ds", int(d/time.Second)) }

// The image that everybody may pull and alice may push.
const (
	repository = "e2e/app"
	tag        = "v1"
)

const access = `
apiVersion: tokenwright.dev/v1alpha1
kind: IdentityProvider
metadata: {name: users, namespace: tokenwright-system}
spec: {htpasswd: {secretRef: {name: users, key: htpasswd}}}
---
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: anyone-pulls}
spec:
  subjects: [{kind: Group, name: "system:unauthenticated"}, {kind: Group, name: "system:authenticated"}]
  rules: [{type: repository, names: ["e2e/**"], actions: [pull]}]
---
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: alice-pushes}
spec:
  subjects: [{kind: User, name: alice}]
  rules: [{type: repository, names: ["e2e/**"], actions: [pull, push]}]
`
