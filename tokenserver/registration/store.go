package registration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"

	"github.com/tokenwright/tokenwright/tokenserver/attempt"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const (
	kindResource = "ProtectedResource"
	kindRequest  = "PermissionRequest"
	// fieldOwner owns what the server writes, as kubectl owns what it applies.
	fieldOwner = "tokenwright/server"
)

// Beside these, errors wrap attempt.ErrUnavailable: nothing is known to be stored, and a later try may succeed; or
// attempt.ErrRefused: the API server does not store such an object.
var (
	// ErrNotFound is when there is no such object, or another one in its place.
	ErrNotFound = errors.New("there is no such object")
	// ErrOwned is when somebody else has written the spec, who would have to change it. See Owned.
	ErrOwned = errors.New("somebody else owns the object")
	// ErrTaken is when an object of the name says something else.
	ErrTaken = errors.New("the name is taken")
)

// Owned says who owns an object. It wraps ErrOwned.
type Owned struct {
	// Manager is the field manager, such as kubectl.
	Manager string
}

// Error implements error.
func (o *Owned) Error() string { return fmt.Sprintf("%v: %s wrote its spec", ErrOwned, o.Manager) }

// Unwrap returns ErrOwned.
func (*Owned) Unwrap() error { return ErrOwned }

// Options are what a Store needs.
type Options struct {
	// Client leads to the API server.
	Client Client
	// Index is what was observed of PermissionRequests, and Snapshots of all else.
	Index     *Index
	Snapshots *snapshot.Holder
	// Now is the clock.
	Now func() time.Time
	Log logr.Logger
}

// Store reads and writes the objects. It may be used by many at once.
type Store struct{ options Options }

// New returns a Store.
func New(o Options) *Store { return &Store{o} }

// Index is what was observed of PermissionRequests.
func (s *Store) Index() *Index { return s.options.Index }

// do tries a call while that can help. What the API server refuses is for the log, too: it may be a right that the server lacks.
func (s *Store) do(ctx context.Context, what string, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, attempt.Timeout)
	defer cancel()
	var final error
	err := attempt.Do(ctx, what, func(ctx context.Context) error {
		err := call(ctx)
		for _, known := range []error{ErrNotFound, ErrOwned, ErrTaken} {
			if errors.Is(err, known) {
				final = err // not worth another try
				return nil
			}
		}
		return err
	})
	switch {
	case errors.Is(err, attempt.ErrRefused):
		s.options.Log.Info("The API server refused an object", "reason", err.Error())
		return err
	case err != nil:
		return err
	case final != nil:
		return fmt.Errorf("%s: %w", what, final)
	}
	return nil
}

// await waits a moment until this server goes by what was written.
func (s *Store) await(ctx context.Context, what string, seen func() bool) {
	if !attempt.Observed(ctx, seen) {
		s.options.Log.Info("Stored, but this server has not seen it yet", "object", what)
	}
}
