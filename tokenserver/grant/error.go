package grant

import (
	"errors"
	"fmt"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/record"
)

// Kind says what is wrong; each endpoint has its own spelling of it.
type Kind string

// The kinds of errors.
const (
	// InvalidRequest is a request that lacks something or contradicts itself.
	InvalidRequest Kind = "InvalidRequest"
	// UnsupportedGrant is a grant type that the server does not serve.
	UnsupportedGrant Kind = "UnsupportedGrant"
	// BadCredentials is a caller who did not prove who it is.
	BadCredentials Kind = "BadCredentials"
	// BadClient is an OAuth client that did not prove who it is.
	BadClient Kind = "BadClient"
	// NotAllowed is an exchange for an audience for which policy does not let the caller exchange tokens.
	NotAllowed Kind = "NotAllowed"
	// UnknownAudience is an audience that no SigningKey holds.
	UnknownAudience Kind = "UnknownAudience"
	// InvalidScope is an ask for more than one token can hold.
	InvalidScope Kind = "InvalidScope"
	// InsufficientScope is a token whose scope does not reach for what its bearer wants to do with it.
	InsufficientScope Kind = "InsufficientScope"
	// InvalidResource is an ask for a protected resource that the audience does not have.
	InvalidResource Kind = "InvalidResource"
	// InvalidTicket is a permission ticket that is not good, or not any more.
	InvalidTicket Kind = "InvalidTicket"
	// InvalidRPT is a requesting party token that cannot be upgraded.
	InvalidRPT Kind = "InvalidRPT"
	// Conflict is a change that contradicts what is stored.
	Conflict Kind = "Conflict"
	// RequestDenied is an ask for permissions of which policies grant none, or not all where all are needed.
	RequestDenied Kind = "RequestDenied"
	// RequestSubmitted is the same, and the owners of the resources were asked.
	RequestSubmitted Kind = "RequestSubmitted"
	// TooManyRequests is a caller whose address sent too many wrong passwords, or too many at once.
	TooManyRequests Kind = "TooManyRequests"
	// Unavailable is something that a later try may find repaired.
	Unavailable Kind = "Unavailable"
)

// retryAfter is what a client is told when something is missing that a controller, the API server or a person brings.
const retryAfter = record.RetryLater

// Error is why there is no token. Message is public; Cause is for the log only.
type Error struct {
	Kind       Kind
	Message    string
	RetryAfter time.Duration
	Cause      error
	// Ticket is a permission ticket for the next try, and Interval when that is worth it; only with RequestSubmitted.
	Ticket   string
	Interval time.Duration
}

// Error is for the log, and holds the cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Message
	}
	return fmt.Sprintf("%s: %v", e.Message, e.Cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

func authenticationError(err error) *Error {
	if errors.Is(err, identity.ErrBadCredentials) {
		return &Error{Kind: BadCredentials, Message: "the credentials were not accepted", Cause: err}
	}
	var limited *identity.Limited
	if errors.As(err, &limited) {
		return &Error{
			Kind: TooManyRequests, Message: "too many logins from this address failed: try again later", RetryAfter: limited.RetryAfter, Cause: err,
		}
	}
	return &Error{Kind: Unavailable, Message: "the credentials cannot be verified at present", RetryAfter: retryAfter, Cause: err}
}

func issueError(err error) *Error {
	switch {
	case errors.Is(err, issue.ErrTooLarge):
		return &Error{Kind: InvalidScope, Message: "the token would be longer than 7 KiB: ask for fewer scopes", Cause: err}
	case errors.Is(err, issue.ErrNotTheirs):
		return &Error{Kind: NotAllowed, Message: "forbidden", Cause: err}
	case errors.Is(err, issue.ErrConflict):
		return &Error{Kind: InvalidScope, Message: "conflicting_claims", Cause: err}
	case errors.Is(err, issue.ErrEnds):
		return &Error{Kind: Unavailable, Message: "what policies give ends within a minute", RetryAfter: issue.MinLifetime, Cause: err}
	case errors.Is(err, issue.ErrNoKey):
		return &Error{Kind: Unavailable, Message: "there is no usable signing key for this service at present", RetryAfter: retryAfter, Cause: err}
	}
	return &Error{Kind: Unavailable, Message: "the token could not be issued at present", RetryAfter: retryAfter, Cause: err}
}
