// Package expr owns the CEL of `when.expression`: its variables, its functions (a part of those of Kubernetes) and its
// bounds, on what compiling may take as on what evaluating may cost. It compiles once and evaluates often. It does not
// decide what an expression that fails means: package policy does.
package expr
