package record

import (
	"context"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/attempt"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
)

// Draw draws a record's id: slot.Draw, or slot.DrawUUID.
type Draw func(random io.Reader, lists int) (slot.ID, error)

// Create stores a record. It gives it a name and an id unless it has an id already, as after a failure: storing the same
// twice is harmless, and makes one object. On success t is what is stored.
//
// A user who has too many refresh tokens loses those that were not used for longest; one who has too many records of all
// kinds gets no more.
func (s *Store) Create(ctx context.Context, t *v1alpha1.IssuedToken, draw Draw) error {
	if err := s.noRecords(); err != nil {
		return err
	}
	if err := s.admit(t); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, attempt.Timeout)
	defer cancel()
	for range attempt.Most {
		if err := s.place(t, draw); err != nil {
			return err
		}
		stored, taken := &v1alpha1.IssuedToken{}, false
		err := attempt.Do(ctx, "create IssuedToken "+t.Name, func(ctx context.Context) (err error) {
			*stored = v1alpha1.IssuedToken{ObjectMeta: metav1.ObjectMeta{Namespace: s.options.Namespace, Name: t.Name}, Spec: *t.Spec.DeepCopy()}
			taken, err = s.createOrFind(ctx, stored)
			return err
		})
		if err != nil {
			return err
		}
		if taken {
			t.Spec.ID, t.Name = "", ""
			continue
		}
		stored.DeepCopyInto(t)
		s.await(ctx, "IssuedToken "+t.Name, func() bool { return s.options.Index.observed(t) })
		s.evict(ctx, t)
		return nil
	}
	return fmt.Errorf("create an IssuedToken: %w: no free place in a status list was found", ErrUnavailable)
}

// place draws the record's place in a status list, which is its name and a part of its id.
func (s *Store) place(t *v1alpha1.IssuedToken, draw Draw) error {
	if t.Spec.ID != "" {
		id, ok := slot.Parse(t.Spec.ID)
		if !ok {
			return fmt.Errorf("create an IssuedToken: %w: its id is none", ErrRefused)
		}
		t.Name = id.Name()
		return nil
	}
	for {
		id, err := draw(s.options.Random, slot.Lists(s.options.Index.Len()))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if s.options.Index.named(id.Name()) == nil {
			t.Name, t.Spec.ID = id.Name(), id.String()
			return nil
		}
	}
}

// createOrFind creates the object, or finds that it is there already, from a try whose answer was lost. It returns whether
// another has its place.
func (s *Store) createOrFind(ctx context.Context, t *v1alpha1.IssuedToken) (taken bool, err error) {
	key, mine := client.ObjectKeyFromObject(t), t.Spec.DeepCopy()
	if err = s.options.Client.Create(ctx, t); !apierrors.IsAlreadyExists(err) {
		return false, err
	}
	*t = v1alpha1.IssuedToken{}
	switch err := s.options.Client.Get(ctx, key, t); {
	case apierrors.IsNotFound(err): // it was just collected
		return false, apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("issuedtokens").GroupResource(), key.Name, err)
	case err != nil:
		return false, err
	}
	return !equality.Semantic.DeepEqual(*mine, t.Spec), nil
}

// observed says whether the object was seen.
func (x *Index) observed(t *v1alpha1.IssuedToken) bool {
	seen := x.named(t.Name)
	return seen != nil && seen.UID == t.UID
}
