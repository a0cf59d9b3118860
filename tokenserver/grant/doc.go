// Package grant turns one parsed request into a token or an error value. It owns the request, and the numbered steps
// that every grant goes through; a grant only fills in what is its own and cannot leave a step out. It does not own how
// a request is parsed or an error is written (the endpoints), who asks (package identity), or what a token holds
// (package issue).
package grant
