// Package oauth is what OAuth has beside the token endpoint: introspection (RFC 7662) and revocation (RFC 7009), for callers
// who prove who they are. It owns the two forms, their answers and their errors, and how often one caller may have something
// stored. It does not own which tokens are good and who may ask about them (package grant and below), nor the grants of
// POST /token (package docker, which reads that form).
package oauth
