// Package manifest owns how objects are read from files: exactly as an API server with Tokenwright's CRDs would take
// them, so that what a pipeline accepts the cluster accepts too. It knows where each object and each of its fields
// stands. It does not know what a policy means: whether one compiles is for package policy to say.
//
// What is wrong is a Problem, with its place; whatever is right is in the Set all the same. No Problem and no error holds
// what a Secret contains.
package manifest
