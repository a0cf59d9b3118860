// Package docker is the token endpoint: GET and POST of one path, parsed once into a grant.Request. It owns the Docker token
// protocol, with the answer in the form that registries' clients read (distribution's token.md and oauth.md), and the forms of
// OAuth's grants for services, which share the path (RFC 6749, RFC 8693). It does not own who gets what
// (package grant and below).
package docker
