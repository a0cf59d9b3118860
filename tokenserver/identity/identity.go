// Package identity owns the proof: credentials in, Caller out. It checks passwords against htpasswd providers,
// ServiceAccount tokens against the cluster and other tokens against their issuers, within bounds on what junk may cost, and remembers for a short time what it
// found out. It does not own which providers there are (packages provider and snapshot), what a caller may do (policy),
// nor what the client is told (the endpoints).
//
// No error, time or cost tells whether a user exists.
package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/go-logr/logr"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// The errors of Authenticate. What wraps them is for the log, not for the client.
var (
	// ErrBadCredentials says that the credentials prove nothing: 401.
	ErrBadCredentials = errors.New("the credentials were not accepted")
	// ErrUnavailable says that nothing could tell whether the credentials are good: 503, try again.
	ErrUnavailable = errors.New("the credentials could not be checked")
)

// Limited says that the credentials were not looked at, because of what else came from the same address: 429. It is never
// for good.
type Limited struct {
	// RetryAfter is when they would be.
	RetryAfter time.Duration

	cause error
}

// Error is for the log.
func (l *Limited) Error() string {
	return fmt.Sprintf("the credentials were not looked at, and will be in %s: %v", l.RetryAfter, l.cause)
}

// Unwrap returns the cause.
func (l *Limited) Unwrap() error { return l.cause }

var errTooManyWrong = errors.New("too many wrong passwords came from the address")

func limited(retryAfter time.Duration, cause error) error {
	return &Limited{RetryAfter: retryAfter, cause: cause}
}

const (
	// maxPassword is bcrypt's own limit in bytes; what is longer would be cut off silently. No signed token is as short,
	// so that the length alone says which of the two a password is.
	maxPassword = 72
	// maxToken is the longest token in bytes; real ones have one or two thousand.
	maxToken = 16 << 10
)

// Credentials are what a client sent, unchecked.
type Credentials struct {
	// Username and Password come from Basic authentication or from a form. A token may come as the password, whatever
	// the user name is.
	Username, Password string
	// Present says that credentials came at all; without any the caller is anonymous.
	Present bool
	// Source is where they came from; the zero Addr if that is not known. It proves nothing: failures are counted for it.
	Source netip.Addr
}

// Options are what an Authenticator works with. The zero value serves htpasswd providers.
type Options struct {
	// Cluster answers for ServiceAccounts; nil: there is none, and their tokens prove nothing.
	Cluster Cluster
	// Log gets failures of the cluster and of issuers to answer; never credentials.
	Log logr.Logger
	// PasswordChecks is how many passwords are hashed at a time; 0: half of the processors, so that callers who need no
	// hashing are served meanwhile.
	PasswordChecks int
	// Reviews is how many TokenReviews are under way at a time; 0: 16.
	Reviews int
}

// Authenticator proves callers. It may be used by any number of requests.
type Authenticator struct {
	seal      seal
	passwords *passwords
	accounts  *accounts
	issuers   *issuers
}

// New returns an Authenticator.
func New(o Options) *Authenticator {
	s := newSeal()
	return &Authenticator{
		seal: s, passwords: newPasswords(s, o.PasswordChecks), accounts: newAccounts(o), issuers: newIssuers(o.Log),
	}
}

// Authenticate says who asks. The error is ErrBadCredentials or ErrUnavailable, wrapped with the cause, or a
// *Limited.
func (a *Authenticator) Authenticate(ctx context.Context, s *snapshot.Snapshot, c Credentials, now time.Time) (caller.Caller, error) {
	switch {
	case !c.Present:
		return caller.Anonymous(), nil
	case looksLikeToken(c.Password):
		return a.token(ctx, s, c.Password, now)
	case len(c.Password) > maxPassword:
		return caller.Caller{}, refuse("the password has more than %d bytes", maxPassword)
	default:
		return a.user(ctx, s, c, now)
	}
}

// IsToken says whether a text can be a token that proves somebody, and can be no password. Nothing is verified.
func IsToken(text string) bool { return looksLikeToken(text) }

// looksLikeToken says whether a password can only be a JWT in compact form: too long for a password, and of three parts.
func looksLikeToken(password string) bool {
	return len(password) > maxPassword && len(password) <= maxToken && strings.Count(password, ".") == 2
}

// refuse makes an ErrBadCredentials with its cause. The arguments must not come from the credentials.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadCredentials}, args...)...)
}

// unavailable makes an ErrUnavailable with its cause.
func unavailable(cause error) error { return fmt.Errorf("%w: %w", ErrUnavailable, cause) }
