// Package enforce is what a resource server puts before its handlers, so that they serve only who has a requesting party token for
// what is asked: User-Managed Access (UMA 2.0, Kantara) in the form of Keycloak's policy enforcer. A request without one is
// answered with a permission ticket, with which the client gets the token from the authorization server.
//
// It owns the way from a request to a protected resource and its scopes, the verification of tokens by the server's published keys,
// and the challenge. It does not own what is granted: that is the server's, and nothing is let in that it did not sign. Whatever
// cannot be decided is refused.
//
// Resource servers import this package into their own programs. So it needs the standard library and go-jose, and nothing else of
// this module.
package enforce
