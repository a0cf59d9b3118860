// Package keyring owns the life of signing keys: their states and times, the decision what happens next (Plan), how a
// set of keys is kept in a Secret, their ids, their public form (JWKS, PEM) and their certificates. It is pure: time,
// randomness and what is already public come in as arguments. It does not own where a Secret or ConfigMap is written
// (controllers), and it signs no tokens (token).
package keyring
