// Package v1alpha1 holds the kinds of tokenwright.dev: who may do what (AccessPolicy, ClusterAccessPolicy), what tokens
// are signed with (SigningKey), and who is asking (IdentityProvider).
//
// It imports apimachinery and the standard library only, so that anybody can read and write these objects cheaply.
// Whatever the schema accepts, these types decode: a value that a typed client cannot decode would stop every informer,
// so durations and times are strings of our own with a pattern, parsed by the compiler of the thing that uses them.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +kubebuilder:ac:output:package="applyconfiguration"
// +groupName=tokenwright.dev
package v1alpha1
