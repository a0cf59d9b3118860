// Package crd holds the CustomResourceDefinitions as `make generate` writes them, for what checks objects without an API
// server. It does not own how they are read.
package crd

import "embed"

// Bases has a file for each kind, in the folder bases.
//
//go:embed bases/*.yaml
var Bases embed.FS
