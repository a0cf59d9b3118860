// Package provider compiles IdentityProviders: what an object and its Secret say becomes an immutable value that package
// identity can ask. It owns the grammar of the htpasswd and groups files, the rule that no file and no token of an
// issuer can produce a name of Kubernetes' own (system:), and which of two providers that claim the same names keeps them. It does not check
// passwords or tokens, and it reads nothing by itself.
package provider

import "github.com/tokenwright/tokenwright/api/v1alpha1"

// Provider is a compiled IdentityProvider. It is immutable; exactly one of Htpasswd, Kubernetes and JWT is set.
type Provider struct {
	// Name and UID are the object's.
	Name, UID string
	// Prefix is put before the names of users and groups; Htpasswd.Groups have it already, Htpasswd.Hashes
	// do not.
	Prefix string
	// Generation is the object's.
	Generation int64
	// SecretVersion is the resourceVersion of the Secret that was read; empty if there is none.
	SecretVersion string

	// Htpasswd knows users by name and password.
	Htpasswd *Htpasswd
	// Kubernetes knows the ServiceAccounts of the cluster by their tokens.
	Kubernetes *Kubernetes
	// JWT knows callers by the tokens of one issuer: a copy of the spec, whose expressions and certificates have not been
	// looked at (see package openid).
	JWT *v1alpha1.JWTProvider
}

// Htpasswd is a parsed htpasswd file and its groups.
type Htpasswd struct {
	// Hashes are the bcrypt hashes by user name, without the prefix.
	Hashes map[string][]byte
	// Groups are the groups by user name; the user name is without the prefix, the groups are with it, sorted.
	Groups map[string][]string
	// Cost is the highest bcrypt cost in the file: what looking for an unknown user has to cost.
	Cost int
}

// Kubernetes says how ServiceAccount tokens are verified.
type Kubernetes struct {
	// Audiences are what a token must have been made for; one is enough.
	Audiences []string
	// Verification is one of the three ways, never empty.
	Verification v1alpha1.Verification
}

// Problem is something that is wrong with a provider. It holds no content of a Secret, only line numbers.
type Problem struct {
	// Reason is one of the v1alpha1.Reason constants.
	Reason string
	// Message is for people.
	Message string
	// Fatal says that the provider cannot serve at all; otherwise only the lines in question are not used.
	Fatal bool
}

// Secret is what Compile needs of a Secret.
type Secret struct {
	Labels          map[string]string
	Data            map[string][]byte
	ResourceVersion string
}
