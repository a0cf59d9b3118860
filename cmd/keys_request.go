package cmd

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// answerWithin is how long a command waits for the manager to take notice of a request, so as to say when it is followed.
const answerWithin = 5 * time.Second

// newRequest is a value that no request had before: the time is for people, the rest for two at the same time.
func (s *session) newRequest() string {
	return s.now().UTC().Format(time.RFC3339Nano) + "-" + rand.Text()[:8]
}

// annotate sets one annotation and touches nothing else, and returns the SigningKey as the API server holds it then.
func (s *session) annotate(ctx context.Context, key *v1alpha1.SigningKey, annotation, value string) (*v1alpha1.SigningKey, error) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{annotation: value}}})
	if err != nil {
		return nil, fmt.Errorf("encode the annotation %s: %w", annotation, err)
	}
	patched := key.DeepCopy()
	if err := s.client.Patch(ctx, patched, client.RawPatch(types.MergePatchType, patch), cliOwner); err != nil {
		return nil, s.explain(ctx, "patch", key.Name, err)
	}
	return patched, nil
}

// answer waits for a moment until the manager has written a status that knows of the request, and returns the SigningKey
// as it is then. Any change will do: a status that was computed before the request is not accepted after it, because the
// manager writes a status only for the version of the object that it looked at.
func (s *session) answer(ctx context.Context, asked *v1alpha1.SigningKey) (key *v1alpha1.SigningKey, answered bool) {
	key = asked
	err := wait.PollUntilContextTimeout(ctx, pollEvery/2, answerWithin, true, func(ctx context.Context) (bool, error) {
		now := &v1alpha1.SigningKey{}
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(asked), now); err != nil {
			return false, nil //nolint:nilerr // the request is made; without an answer less is said
		}
		key = now
		return !reflect.DeepEqual(now.Status, asked.Status), nil
	})
	return key, err == nil
}

// living refuses a request to a SigningKey that does not follow any more.
func living(key *v1alpha1.SigningKey) error {
	if key.DeletionTimestamp.IsZero() {
		return nil
	}
	return fmt.Errorf("SigningKey %q is being deleted: nothing is signed with it any more", key.Name)
}
