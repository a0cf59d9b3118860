//go:build tools

// Package kube pins the control plane that the tests and the demo run against: an API server, etcd and kubectl, built
// from source by `make control-plane`. It is a module of its own because k8s.io/kubernetes wants replace directives
// that the product must not have.
package kube

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
