package grant

import (
	"net/netip"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// Request is one ask for a token, parsed once. Nothing below an endpoint sees the HTTP request.
type Request struct {
	// ID names the request in logs and audit records.
	ID   string
	Time time.Time
	// Source is the zero Addr if it is not known.
	Source netip.Addr
	// Audience is what the token shall be for: `service` in Docker's protocol.
	Audience string
	// Scopes are what is asked for; none is an ask, too: it proves a login.
	Scopes []scope.Scope
	// Credentials are as they came.
	Credentials identity.Credentials
	// Access says that the token shall be one for a service (RFC 9068), and not one for a registry.
	Access bool
	// Ident says that it shall be one of the Provide Ident API, NATS that it shall say what its bearer may do at NATS servers, and
	// Lasting that it shall have no expiry.
	Ident, NATS, Lasting bool
	// UMA asks for a token that stands for the caller at protected resources.
	UMA bool
	// Ids are what policies must say of the caller.
	Ids issue.Ids
	// Bearer is a token of ours for the audience BearerAudience, by which the caller is proved.
	Bearer, BearerAudience string
	// AsClient says that the credentials are those of an OAuth client.
	AsClient bool
	// Subject is a token that speaks for the caller in an exchange (RFC 8693), and SubjectType is what it is said to be;
	// credentials beside it are the client's.
	Subject, SubjectType string
	// Refresh is a refresh token as it came; credentials beside it mean nothing.
	Refresh string
	// Offline says that a refresh token is asked for.
	Offline bool
	// ClientID and Account are claims that nobody proved: audit data, never identity.
	ClientID, Account string
}

// Answer is what a request got.
type Answer struct {
	issue.Token
	// Refresh is a refresh token: a new one, or the one that came. Empty if there is none.
	Refresh string
}

// Grant is one way to a token.
type Grant interface {
	// Name labels the grant in metrics and audit records.
	Name(*Request) string
	// Check refuses a request that lacks what the grant needs.
	Check(*Request) *Error
}
