package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// rotateFlags are the flags of `tokenwright keys rotate`.
type rotateFlags struct {
	waiting
	authority bool
	confirm   bool
}

func newKeysRotateCommand(cluster *clusterFlags) *cobra.Command {
	var f rotateFlags
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Ask for the next key, or for a new certificate authority",
		Long: `Ask for the next key of a SigningKey: the standby signs as soon as it has been public for long enough. Tokens that
are out stay valid. In mode Manual it is "keys activate" that rotates.

With --certificate-authority ask for a new certificate authority instead. It takes three steps, and no token is refused
meanwhile:
  1. --certificate-authority: the new one is published in ca.crt, beside the old;
  2. every registry that reads ca.crt is restarted, so that it trusts both;
  3. --certificate-authority --confirm: certificates are from the new one from then on.`,
		Example: `  tokenwright keys rotate registry --wait
  tokenwright keys rotate registry --certificate-authority
  tokenwright keys rotate registry --certificate-authority --confirm`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cluster.completeName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.confirm && !f.authority {
				return errors.New("--confirm must be given together with --certificate-authority")
			}
			s, err := cluster.connect(cmd)
			if err != nil {
				return err
			}
			key, err := s.get(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			switch {
			case f.confirm:
				return s.confirmAuthority(cmd.Context(), key, f.waiting)
			case f.authority:
				return s.rotateAuthority(cmd.Context(), key, f.waiting)
			}
			return s.rotate(cmd.Context(), key, f.waiting)
		},
	}
	f.register(cmd, false, patience, "it has happened")
	cmd.Flags().BoolVar(&f.authority, "certificate-authority", false, "ask for a new certificate authority, not for a new key")
	cmd.Flags().BoolVar(&f.confirm, "confirm", false,
		"with --certificate-authority: say that all registries trust the new one, so that certificates are from it from now on")
	return cmd
}

// rotate asks for the next key, and tells when it will sign.
func (s *session) rotate(ctx context.Context, key *v1alpha1.SigningKey, w waiting) error {
	if err := living(key); err != nil {
		return err
	}
	if key.Spec.Rotation.Mode == v1alpha1.RotationManual {
		return fmt.Errorf("SigningKey %q has rotation.mode Manual: the next key signs when somebody names it: %s",
			key.Name, s.activateCommand(key))
	}
	before := key.Status.ActiveKeyID
	asked, err := s.annotate(ctx, key, v1alpha1.AnnotationRotate, s.newRequest())
	if err != nil {
		return err
	}
	s.say("Asked for the next key of SigningKey %q.", key.Name)
	now, answered := s.answer(ctx, asked)
	done := rotated(now)
	// Where a request waited before, another one need not change the status.
	waited := key.Annotations[v1alpha1.AnnotationRotate] != "" && !rotated(key)
	if !done {
		s.tellNext(now, answered || waited)
	}
	if key.Spec.Rotation.Mode == v1alpha1.RotationNever {
		s.say("In mode Never verifiers hold one key: give them the new key.pem of ConfigMap %q as soon as it signs.", keyring.ConfigMapName(key))
	}
	for _, line := range notes(now) {
		s.warn("%s", line)
	}
	if !done && w.wait {
		if err := s.tooLate(w, now.Status.NextRotationTime); err != nil {
			return err
		}
		if now, err = s.await(ctx, key.Name, w.timeout, "the rotation", func(key *v1alpha1.SigningKey) (bool, error) {
			return rotated(key), living(key)
		}); err != nil {
			return err
		}
		done = true
	}
	if done {
		s.say("%s", successor(now.Status.ActiveKeyID, before))
	}
	return nil
}

// tellNext says when the next key will sign, if the status speaks of the request.
func (s *session) tellNext(key *v1alpha1.SigningKey, known bool) {
	ready := meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)
	switch next := key.Status.NextRotationTime; {
	case !known && ready:
		s.warn("the manager has not taken notice within %s: is it running? The request stands", answerWithin)
	case !known:
		// What stands in the way is in the notes.
	case next != "":
		s.say("It will sign from %s on.", s.pointInTime(next))
	default:
		s.say("It will sign when it has been public for %s and a minute.", key.Spec.Rotation.PublishAhead)
	}
}

// rotated says whether the request that the SigningKey carries was followed. If somebody has asked after us, one rotation
// is for both.
func rotated(key *v1alpha1.SigningKey) bool {
	asked := key.Annotations[v1alpha1.AnnotationRotate]
	return asked != "" && key.Status.LastHandledRotate == asked
}

// successor says which key signs, and instead of which.
func successor(now, before string) string {
	switch before {
	case "":
		return fmt.Sprintf("Key %q signs now.", now)
	case now:
		return fmt.Sprintf("Key %q signs, as before.", now)
	}
	return fmt.Sprintf("Key %q signs now, instead of %q.", now, before)
}
