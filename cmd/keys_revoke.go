package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// againAfterConflict is how often a write is tried again, if others write the same object meanwhile: in an emergency the
// manager does.
var againAfterConflict = wait.Backoff{Steps: 12, Duration: 20 * time.Millisecond, Factor: 1.5, Jitter: 0.5}

// revokeFlags are the flags of `tokenwright keys revoke`.
type revokeFlags struct {
	waiting
	all bool
}

func newKeysRevokeCommand(cluster *clusterFlags) *cobra.Command {
	var f revokeFlags
	cmd := &cobra.Command{
		Use:   "revoke NAME {KEYID... | --all}",
		Short: "Take keys out of service for ever: a private key has leaked",
		Long: `Take keys out of service for ever, because a private key has leaked. The ids, in any format, are added to
spec.revokedKeyIDs. A key that signs is replaced at once by the standby, and where that is revoked too, by a new one.

All private keys of a SigningKey lie in one Secret. If that Secret has leaked, or a backup of it, give --all: it takes
every key that is not Revoked already. Retired keys are among them, whose private halves are erased: a copy from before
still has them.

Whoever can still read the Secret can read the new keys: close the leak first.

An id that no key has is added as well, with a warning. At most 64 ids can be listed; if there would be more, those that
name no key any more are dropped, the oldest first.`,
		Example: `  tokenwright keys revoke registry --all
  tokenwright keys revoke registry 8qjioA3ZA7ti2JIE7c-U8smBFuZolQZvhSHDPU3hhB8`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cluster.completeKeyIDs(maxRevokedKeyIDs, lifeOrder[:4]...),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case f.all && len(args) > 1:
				return errors.New("key ids and --all must not be given together")
			case !f.all && len(args) == 1:
				return errors.New("the ids of the keys must be given, or --all")
			}
			s, err := cluster.connect(cmd)
			if err != nil {
				return err
			}
			return s.revoke(cmd.Context(), args[0], args[1:], f)
		},
	}
	f.register(cmd, true, time.Minute, "the keys are revoked and another signs")
	cmd.Flags().BoolVar(&f.all, "all", false, "revoke every key of the SigningKey that is not revoked already")
	return cmd
}

// revoke names the keys in the spec, waits until the manager has replaced them, and tells what that does not reach.
func (s *session) revoke(ctx context.Context, name string, ids []string, f revokeFlags) error {
	key, r, err := s.addRevoked(ctx, name, func(key *v1alpha1.SigningKey) (keyRevocation, error) {
		if f.all {
			return revokeAll(key)
		}
		return revoke(key, ids)
	})
	if err != nil {
		return err
	}
	s.tellRevocation(key, r)
	if len(r.dead) == 0 {
		return nil
	}
	var failure error
	if f.wait {
		now, err := s.await(ctx, name, f.timeout, "the replacement of the keys", func(now *v1alpha1.SigningKey) (bool, error) {
			return replaced(now, r), nil
		})
		switch {
		case err != nil:
			failure = fmt.Errorf("spec.revokedKeyIDs is written, but %w", err)
		case now.Status.ActiveKeyID != "":
			s.say("%s", successor(now.Status.ActiveKeyID, key.Status.ActiveKeyID))
		}
	}
	s.tellReach(key, r)
	return failure
}

// addRevoked writes what is decided, by compare and swap, and decides anew when somebody else was faster. It returns the
// SigningKey as it was written, with the status of before.
func (s *session) addRevoked(
	ctx context.Context, name string, decide func(*v1alpha1.SigningKey) (keyRevocation, error),
) (key *v1alpha1.SigningKey, r keyRevocation, err error) {
	err = retry.RetryOnConflict(againAfterConflict, func() error {
		if key, err = s.get(ctx, name); err != nil {
			return err
		}
		if r, err = decide(key); err != nil || len(r.added) == 0 {
			return err
		}
		patch := client.MergeFromWithOptions(key.DeepCopy(), client.MergeFromWithOptimisticLock{})
		key.Spec.RevokedKeyIDs = r.ids
		if err := s.client.Patch(ctx, key, patch, cliOwner); err != nil {
			return s.explain(ctx, "patch", name, err)
		}
		return nil
	})
	return key, r, err
}

// replaced says whether the manager has done what was asked: the named keys are Revoked or gone, and another signs. A
// SigningKey that is being deleted gets no successor.
func replaced(now *v1alpha1.SigningKey, r keyRevocation) bool {
	for _, dead := range r.dead {
		if k, known := find(now, dead.Thumbprint); known && k.State != v1alpha1.KeyRevoked {
			return false
		}
	}
	_, signs := inState(now, v1alpha1.KeyActive)
	return signs || !now.DeletionTimestamp.IsZero()
}
