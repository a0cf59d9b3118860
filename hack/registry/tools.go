//go:build tools

// Package registry pins the stock registry and the stock client that the demo and the end-to-end tests drive. It is a
// module of its own so that their dependencies stay out of the product's.
package registry

import (
	_ "github.com/distribution/distribution/v3/cmd/registry"
	_ "github.com/google/go-containerregistry/cmd/crane"
)
