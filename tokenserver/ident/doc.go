// Package ident serves the API of Provide Ident: POST /api/v1/authenticate, /api/v1/tokens and /.well-known/keys. It owns its
// bodies, statuses, pages and errors. It does not own who a bearer is or what it may have (package grant), nor what is
// recorded (package record).
package ident
