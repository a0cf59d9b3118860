package record

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/attempt"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
)

const (
	// readsPerSecond and readsAtOnce are the budget of one server for records that it has not observed.
	readsPerSecond = 20
	readsAtOnce    = 50
	// knownFor is how long it is remembered what such a read found, for at most mostKnown ids.
	knownFor  = 10 * time.Second
	mostKnown = 4096
)

// Get returns the record of a token's id, live or not: see Index.Live. An id that was not observed costs the API server a
// read, once in a while and within a budget, so its token must have been verified before: the MAC of a refresh token, the
// signature of another.
func (s *Store) Get(ctx context.Context, id string) (*v1alpha1.IssuedToken, error) {
	place, ok := slot.Parse(id)
	if !ok {
		return nil, ErrNotFound
	}
	if t := s.options.Index.named(place.Name()); t != nil && t.Spec.ID == id {
		return t, nil
	}
	if s.options.Client == nil {
		return nil, ErrNotFound
	}
	if t, ok := s.remembered(id); ok {
		return found(t)
	}
	// The read goes on when the first who asked for it is gone: others may wait for it.
	answer := s.flight.DoChan(id, func() (any, error) { return s.read(context.WithoutCancel(ctx), place) })
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("read IssuedToken %s: %w: %w", place.Name(), ErrUnavailable, ctx.Err())
	case result := <-answer:
		if result.Err != nil {
			return nil, result.Err
		}
		t, _ := result.Val.(*v1alpha1.IssuedToken)
		return found(t)
	}
}

func found(t *v1alpha1.IssuedToken) (*v1alpha1.IssuedToken, error) {
	if t == nil {
		return nil, ErrNotFound
	}
	return t, nil
}

// remembered returns what a read found a short time ago; nil if there was no record.
func (s *Store) remembered(id string) (*v1alpha1.IssuedToken, bool) {
	value, ok := s.known.Get(id)
	t, _ := value.(*v1alpha1.IssuedToken)
	return t, ok
}

// read asks the API server. No error is remembered.
func (s *Store) read(ctx context.Context, id slot.ID) (*v1alpha1.IssuedToken, error) {
	if t, ok := s.remembered(id.String()); ok {
		return t, nil // the read before this one has just ended
	}
	what := "read IssuedToken " + id.Name()
	if !s.reads.AllowN(s.options.Now(), 1) {
		return nil, fmt.Errorf("%s: %w: too many records were asked for that are not known", what, ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, attempt.Timeout)
	defer cancel()
	t := &v1alpha1.IssuedToken{}
	err := s.options.Client.Get(ctx, client.ObjectKey{Namespace: s.options.Namespace, Name: id.Name()}, t)
	switch {
	case apierrors.IsNotFound(err), err == nil && t.Spec.ID != id.String():
		t = nil
	case err != nil:
		return nil, attempt.Failed(what, err)
	}
	s.known.Add(id.String(), t, knownFor)
	return t, nil
}
