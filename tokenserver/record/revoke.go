package record

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/attempt"
	"github.com/tokenwright/tokenwright/tokenserver/revocation"
)

// Revoke stores a revocation, and waits a moment until this server goes by it. To revoke what is revoked already is
// success.
func (s *Store) Revoke(ctx context.Context, spec v1alpha1.TokenRevocationSpec) error {
	if err := s.noRecords(); err != nil {
		return err
	}
	names, err := revocation.Names(spec)
	if err != nil {
		return fmt.Errorf("create a TokenRevocation: %w: %w", ErrRefused, err)
	}
	ctx, cancel := context.WithTimeout(ctx, attempt.Timeout)
	defer cancel()
	for _, name := range names {
		var enough bool
		err := attempt.Do(ctx, "create TokenRevocation "+name, func(ctx context.Context) (err error) {
			enough, err = s.revokeAs(ctx, name, spec)
			return err
		})
		if err != nil {
			return err
		}
		if enough {
			s.await(ctx, "TokenRevocation "+name, func() bool { return s.options.Index.revocations.Has(name) })
			return nil
		}
	}
	return fmt.Errorf("create TokenRevocation %s: %w: an object of the name says something else", names[0], ErrRefused)
}

// revokeAs creates the object, or finds one that revokes the same for at least as long.
func (s *Store) revokeAs(ctx context.Context, name string, spec v1alpha1.TokenRevocationSpec) (enough bool, err error) {
	r := &v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Namespace: s.options.Namespace, Name: name}, Spec: *spec.DeepCopy()}
	if err := s.options.Client.Create(ctx, r); !apierrors.IsAlreadyExists(err) {
		return err == nil, err
	}
	there := &v1alpha1.TokenRevocation{}
	if err := s.options.Client.Get(ctx, client.ObjectKeyFromObject(r), there); err != nil {
		if apierrors.IsNotFound(err) {
			return false, apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("tokenrevocations").GroupResource(), name, err)
		}
		return false, err
	}
	return revocation.Covers(there, spec), nil
}
