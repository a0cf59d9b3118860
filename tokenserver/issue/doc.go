// Package issue is the only way to a token: decide, mint, audit, in this order and without an exit between them. It owns
// what goes into a registry token and how long it lives. It does not own who asks (package identity), what a policy
// means (package policy), nor how keys come and go (packages keyring and observe).
package issue
