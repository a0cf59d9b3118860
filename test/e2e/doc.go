// Package e2e drives real processes: API server, managers, servers, registries and verifiers, while keys rotate under
// load, managers are killed and keys are revoked. Its tests have the build tag e2e; `make e2e-keys` runs them.
package e2e
