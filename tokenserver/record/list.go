package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/revocation"
)

const (
	// MaxPerClient is how many refresh tokens a user has with one client.
	MaxPerClient = 20
	// MaxPerSubject is how many records a user has in all: the client's name is the caller's own choice.
	MaxPerSubject = 200
	// evictedReason is what the revocation of a token says that had to make room.
	evictedReason = "the user had too many refresh tokens, and this one was not used for longest"
)

// List returns the live records of a user, the oldest first; those of one second by name. The order does not change while
// records come and go.
func (s *Store) List(username string, now time.Time) []*v1alpha1.IssuedToken {
	live := slices.DeleteFunc(s.options.Index.of(username), func(t *v1alpha1.IssuedToken) bool { return !s.options.Index.Live(t, now) })
	slices.SortFunc(live, func(a, b *v1alpha1.IssuedToken) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return live
}

// Count is how many live refresh tokens a user has with the client.
func (s *Store) Count(username, clientID string, now time.Time) int {
	return len(refreshTokens(s.List(username, now), clientID))
}

func refreshTokens(of []*v1alpha1.IssuedToken, clientID string) []*v1alpha1.IssuedToken {
	return slices.DeleteFunc(of, func(t *v1alpha1.IssuedToken) bool {
		return t.Spec.Type != v1alpha1.RefreshToken || t.Spec.ClientID != clientID
	})
}

// admit refuses a record to a user who has too many. Refresh tokens that will make room for it do not count.
func (s *Store) admit(t *v1alpha1.IssuedToken) error {
	mine := s.List(t.Spec.Subject.Username, s.options.Now())
	if t.Spec.Type == v1alpha1.AccessToken {
		// Of access tokens those that are revoked count, too: their records stay until they expire.
		mine = slices.DeleteFunc(s.options.Index.of(t.Spec.Subject.Username), func(other *v1alpha1.IssuedToken) bool {
			return !s.options.Now().Before(revocation.Time(other.Spec.Expires))
		})
	}
	if len(mine) < MaxPerSubject {
		return nil
	}
	if t.Spec.Type == v1alpha1.RefreshToken && len(refreshTokens(mine, t.Spec.ClientID)) >= MaxPerClient {
		return nil
	}
	return fmt.Errorf("create an IssuedToken: %w: the user has %d records, and may have %d: revoke some", ErrRefused, len(mine), MaxPerSubject)
}

// evict revokes what a user has too many of with a client, the least recently used first, and never the new one. Another
// server may do so at the same time, with the same outcome. What could not be revoked is when the next token is made.
func (s *Store) evict(ctx context.Context, newest *v1alpha1.IssuedToken) {
	if newest.Spec.Type != v1alpha1.RefreshToken {
		return
	}
	others := slices.DeleteFunc(refreshTokens(s.List(newest.Spec.Subject.Username, s.options.Now()), newest.Spec.ClientID),
		func(t *v1alpha1.IssuedToken) bool { return t.Spec.ID == newest.Spec.ID })
	slices.SortStableFunc(others, func(a, b *v1alpha1.IssuedToken) int { return lastUsed(a).Compare(lastUsed(b)) })
	var failures []error
	for _, t := range others[:max(0, len(others)-(MaxPerClient-1))] {
		failures = append(failures, s.Revoke(ctx, v1alpha1.TokenRevocationSpec{
			Token: &v1alpha1.RevokedToken{ID: t.Spec.ID}, Expires: t.Spec.Expires, Reason: evictedReason,
		}))
	}
	if err := errors.Join(failures...); err != nil {
		s.options.Log.Error(err, "Could not revoke the refresh tokens that a user has too many of")
	}
}

// lastUsed is when a token was used last, or made.
func lastUsed(t *v1alpha1.IssuedToken) time.Time {
	if used, err := t.Status.LastUsed.Parse(); err == nil {
		return used
	}
	return t.CreationTimestamp.Time
}
