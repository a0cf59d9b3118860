// Package audit writes one JSON line for every token, before the token is sent. It owns the form of the line, and the
// promise that a line whose Write has returned nil has been handed to the operating system. It does not own what is
// written to it, and does not rotate files: what holds the file must truncate it in place or restart the server.
package audit
