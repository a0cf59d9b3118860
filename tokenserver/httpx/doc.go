// Package httpx bounds, names, counts and recovers every HTTP request. It owns the limits of the listeners, the request
// id, the caller's address and the error value that travels from an endpoint to its encoder. It does not own what an
// error looks like on the wire: each endpoint brings its own encoder. It knows no tokens and no policies.
package httpx
