// Package agreement holds what people are told of policies to what servers do: the answers about a request, and the token
// that an issuer makes of it, for policies, callers and scopes at random.
package agreement
