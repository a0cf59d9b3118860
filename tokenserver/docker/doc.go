// Package docker is the Docker token protocol: GET and POST of one path, parsed once into a grant.Request, and the
// answer in the form that registries' clients read (distribution's token.md and oauth.md). It does not own who gets what
// (package grant and below).
package docker
