package registration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Decision is what becomes of a request.
type Decision struct {
	State v1alpha1.RequestState
	// Scopes are those of the requested ones that are approved; none: all.
	Scopes []v1alpha1.ResourceScope
	// By is who decided, and At when.
	By string
	At time.Time
}

// maxDecidedBy is how long a name can be that the schema takes, in characters.
const maxDecidedBy = 256

// Decide stores what becomes of the request, which must be one that was read or observed: if another of the name is there by now,
// or another has decided since, it is ErrNotFound or decided again.
//
// It is a merge and no server-side apply: that would leave what kubectl approved before among the scopes.
func (s *Store) Decide(ctx context.Context, request *v1alpha1.PermissionRequest, d Decision) error {
	what := fmt.Sprintf("decide PermissionRequest %s/%s", request.Namespace, request.Name)
	if name := []rune(d.By); len(name) > maxDecidedBy {
		d.By = string(name[:maxDecidedBy])
	}
	stored := &v1alpha1.PermissionRequest{}
	err := s.do(ctx, what, func(ctx context.Context) error {
		switch err := s.options.Client.Get(ctx, client.ObjectKeyFromObject(request), stored); {
		case apierrors.IsNotFound(err):
			return ErrNotFound
		case err != nil:
			return err
		case stored.UID != request.UID || !stored.DeletionTimestamp.IsZero():
			return ErrNotFound
		case stored.Status.State == d.State && sameScopes(stored, d):
			return nil // as it is, with who decided first
		}
		patch, err := d.patch(stored)
		if err != nil {
			return err
		}
		err = s.options.Client.Status().Patch(ctx, stored, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(fieldOwner))
		if apierrors.IsNotFound(err) {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return err
	}
	s.await(ctx, what, func() bool {
		seen := s.options.Index.Get(stored.Namespace, stored.Name)
		return seen != nil && seen.Status.State == stored.Status.State && slices.Equal(seen.Status.Scopes, stored.Status.Scopes)
	})
	return nil
}

func sameScopes(stored *v1alpha1.PermissionRequest, d Decision) bool {
	return slices.Equal(stored.Status.Scopes, d.Scopes)
}

// patch goes by the version, so that it is about this object, and what was read of it.
func (d Decision) patch(stored *v1alpha1.PermissionRequest) ([]byte, error) {
	status := map[string]any{"state": d.State, "scopes": nil, "decidedBy": d.By, "decidedAt": v1alpha1.NewDateTime(d.At)}
	if len(d.Scopes) > 0 {
		status["scopes"] = d.Scopes
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": stored.ResourceVersion}, "status": status})
}

// Withdraw deletes a request, and with it what it gives.
func (s *Store) Withdraw(ctx context.Context, request *v1alpha1.PermissionRequest) error {
	what := fmt.Sprintf("delete PermissionRequest %s/%s", request.Namespace, request.Name)
	err := s.do(ctx, what, func(ctx context.Context) error {
		err := s.options.Client.Delete(ctx, request.DeepCopy(), client.Preconditions{UID: &request.UID})
		if apierrors.IsConflict(err) {
			return ErrNotFound // another one of the name
		}
		return client.IgnoreNotFound(err)
	})
	if err != nil {
		return err
	}
	s.await(ctx, what, func() bool {
		seen := s.options.Index.Get(request.Namespace, request.Name)
		return seen == nil || seen.UID != request.UID
	})
	return nil
}
