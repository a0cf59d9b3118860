//go:build tools

// Package clients pins the stock clients that the end-to-end test of clients drives. It is a module of its own so that
// their dependencies stay out of the product's.
package clients

import (
	_ "github.com/containerd/containerd/v2/cmd/containerd"
	_ "github.com/containerd/containerd/v2/cmd/ctr"
	_ "github.com/regclient/regclient/cmd/regctl"
)
