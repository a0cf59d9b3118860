package record

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/attempt"
	"github.com/tokenwright/tokenwright/tokenserver/revocation"
)

const (
	// reasonSpent is what the revocation of a ticket says for people.
	reasonSpent = "the permission ticket was used"
	// spentFor is for how much longer than the ticket lives it is remembered: the clock of a server that looks at it may be behind
	// that of the manager, which collects what has ended.
	spentFor = 5 * time.Minute
)

// Spend uses up a token that is good for one use. Of all who try, on whatever server, at most one has success: whose create the
// API server took. All others have ErrSpent.
//
// An object that is there already always means ErrSpent, also where this very call may have made it, in a try whose answer was
// lost: it cannot be told from another's. The same token then is good for nobody, and another one must be had.
func (s *Store) Spend(ctx context.Context, id string, expires time.Time) error {
	if err := s.noRecords(); err != nil {
		return err
	}
	spec := v1alpha1.TokenRevocationSpec{
		Token: &v1alpha1.RevokedToken{ID: id}, Expires: v1alpha1.NewDateTime(expires.Add(spentFor)), Reason: reasonSpent,
	}
	name, err := revocation.Name(spec)
	if err != nil {
		return fmt.Errorf("spend a token: %w: %w", ErrRefused, err)
	}
	ctx, cancel := context.WithTimeout(ctx, attempt.Timeout)
	defer cancel()
	what := "create TokenRevocation " + name
	turn, err := s.spending.take(ctx, id)
	if err != nil {
		return attempt.Failed(what, err)
	}
	defer s.spending.give(id, turn)
	if turn.spent {
		return fmt.Errorf("token %s: %w", id, ErrSpent)
	}
	spent := false
	err = attempt.Do(ctx, what, func(ctx context.Context) error {
		err := s.options.Client.Create(ctx, &v1alpha1.TokenRevocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.options.Namespace, Name: name}, Spec: *spec.DeepCopy(),
		})
		if apierrors.IsAlreadyExists(err) {
			spent = true
			return nil
		}
		return err
	})
	turn.spent = err == nil
	switch {
	case err != nil:
		return err
	case spent:
		return fmt.Errorf("token %s: %w", id, ErrSpent)
	}
	return nil
}
