// Package expr owns the CEL of `when.expression`: its variables, its libraries (those of Kubernetes) and its bounds. It
// compiles once and evaluates often. It does not decide what an expression that fails means: package policy does.
package expr
