package cmd

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// pollEvery is how often --wait looks.
const pollEvery = 500 * time.Millisecond

// await looks at the SigningKey until done says so, and returns it as it was last. What is not done in time is an error
// that says what was waited for, and what the SigningKey says of itself.
func (s *session) await(
	ctx context.Context, name string, timeout time.Duration, what string, done func(*v1alpha1.SigningKey) (bool, error),
) (*v1alpha1.SigningKey, error) {
	var last *v1alpha1.SigningKey
	var trouble error
	err := wait.PollUntilContextTimeout(ctx, pollEvery, timeout, true, func(ctx context.Context) (bool, error) {
		key, begun := &v1alpha1.SigningKey{}, time.Now()
		err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, key)
		switch {
		case err == nil:
			last, trouble = key, nil
			return done(key)
		case apierrors.IsNotFound(err), apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
			return false, s.explain(ctx, "get", name, err)
		}
		// The API server is away, perhaps for a moment. A request that our own timeout cut off at its start says nothing.
		if end, _ := ctx.Deadline(); begun.Add(pollEvery).Before(end) {
			trouble = err
		}
		return false, nil
	})
	switch {
	case err == nil:
		return last, nil
	case !wait.Interrupted(err):
		return last, err
	case trouble != nil || last == nil:
		return last, fmt.Errorf("%s is not known to have come about: the API server did not answer within %s: %w", what, timeout, trouble)
	}
	return last, fmt.Errorf("%s did not come about within %s: %s", what, timeout, standing(last))
}

// tooLate says in advance that waiting is in vain, if the time is known and lies past the timeout.
func (s *session) tooLate(w waiting, at v1alpha1.DateTime) error {
	when, err := at.Parse()
	if err != nil || !when.After(s.now().Add(w.timeout)) {
		return nil
	}
	return fmt.Errorf("that is later than --timeout=%s: not waiting; the request stands", w.timeout)
}
