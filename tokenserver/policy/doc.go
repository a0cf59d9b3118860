// Package policy owns what callers may do: it compiles AccessPolicies and ClusterAccessPolicies, indexes them, and
// decides what of a request is granted, and why. It is pure: objects, callers and the time come in as arguments. It does
// not know who the caller is (package identity), which namespaces an audience admits (package snapshot), nor how a grant
// becomes a token (package issue).
//
// What is in force depends on the given policies only, never on their order or history. What cannot be understood is
// never to the caller's advantage: a broken Allow grants nothing, a broken Deny denies within its whole reach.
package policy
