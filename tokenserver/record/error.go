package record

import (
	"errors"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/attempt"
)

var (
	// ErrUnavailable is attempt.ErrUnavailable.
	ErrUnavailable = attempt.ErrUnavailable
	// ErrRefused is attempt.ErrRefused.
	ErrRefused = attempt.ErrRefused
	// ErrSpent is when a token that is good for one use was used before, or may have been.
	ErrSpent = errors.New("the token was used before")
	// ErrNotFound is when there is no such record.
	ErrNotFound = errors.New("there is no such record")
)

// RetryLater is what a client is told when something is missing that the API server, a controller or a person brings, and
// nobody says when.
const RetryLater = attempt.RetryLater

// RetryAfter is when an error of the kind ErrUnavailable is worth another try.
func RetryAfter(err error) time.Duration { return attempt.RetryAfter(err) }
