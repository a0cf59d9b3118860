// Package token signs tokens: claims in, a compact JWS (RFC 7515) out. It owns the header, the encoding of signatures
// and the claims of registry tokens. It is pure but for the random numbers that signing takes. It does not own which key
// may sign, or when (keyring), nor who gets what (issue).
package token
