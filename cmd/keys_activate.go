package cmd

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// assumedSkew is the manager's default of --clock-skew, which a client cannot see.
const assumedSkew = time.Minute

func newKeysActivateCommand(cluster *clusterFlags) *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use:   "activate NAME KEYID",
		Short: "Let the standby sign, in mode Manual",
		Long: `Let the standby of a SigningKey in mode Manual sign, when those who verify know it. The key is named by its id in any
format. One that was not public for long enough signs as soon as it was: publishAhead and a minute for the clocks.`,
		Example:           `  tokenwright keys activate registry "$(tokenwright keys list registry --state=Published -o name)"`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: cluster.completeKeyIDs(1, v1alpha1.KeyPublished),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := cluster.connect(cmd)
			if err != nil {
				return err
			}
			return s.activate(cmd.Context(), args[0], args[1], w)
		},
	}
	w.register(cmd, false, patience, "it signs")
	return cmd
}

// activate names the standby that shall sign, and tells from when on it will.
func (s *session) activate(ctx context.Context, name, id string, w waiting) error {
	key, err := s.get(ctx, name)
	if err != nil {
		return err
	}
	standby, signs, err := s.chosen(key, id)
	if err != nil {
		return err
	}
	if signs {
		s.say("%s", successor(standby.KeyID, standby.KeyID))
		return nil
	}
	before := key.Status.ActiveKeyID
	if _, err := s.annotate(ctx, key, v1alpha1.AnnotationActivate, standby.KeyID); err != nil {
		return err
	}
	ready := readyTime(key, standby)
	at, _ := ready.Parse() // ours
	if s.now().Before(at) {
		s.say("Key %q will sign from %s on: %s and a minute after it was published.", standby.KeyID, s.pointInTime(ready), key.Spec.Rotation.PublishAhead)
	} else {
		s.say("Key %q will sign now: it has been public for long enough.", standby.KeyID)
	}
	for _, line := range notes(key) {
		s.warn("%s", line)
	}
	if !w.wait {
		return nil
	}
	if err := s.tooLate(w, ready); err != nil {
		return err
	}
	if key, err = s.await(ctx, name, w.timeout, "the activation", func(key *v1alpha1.SigningKey) (bool, error) {
		k, known := find(key, standby.Thumbprint)
		if !known || k.State == v1alpha1.KeyRevoked {
			return false, fmt.Errorf("key %q of SigningKey %q was revoked or dropped meanwhile", standby.KeyID, name)
		}
		return k.State == v1alpha1.KeyActive || k.State == v1alpha1.KeyRetired, living(key)
	}); err != nil {
		return err
	}
	s.say("%s", successor(key.Status.ActiveKeyID, before))
	return nil
}

// chosen returns the standby that the id names and that may be activated, or the key that signs already.
func (s *session) chosen(key *v1alpha1.SigningKey, id string) (standby v1alpha1.KeyStatus, signs bool, err error) {
	if err := living(key); err != nil {
		return v1alpha1.KeyStatus{}, false, err
	}
	if mode := key.Spec.Rotation.Mode; mode != v1alpha1.RotationManual {
		return v1alpha1.KeyStatus{}, false, fmt.Errorf(
			"SigningKey %q has rotation.mode %s, in which nobody names the next key; to ask for the next one: %s",
			key.Name, mode, s.command("rotate", key.Name))
	}
	k, known := find(key, id)
	switch {
	case !known:
		return k, false, fmt.Errorf("SigningKey %q has no key %q; its %s", key.Name, id, standbyOf(key))
	case k.State == v1alpha1.KeyActive:
		return k, true, nil
	case k.State == v1alpha1.KeyPending:
		return k, false, fmt.Errorf("key %q of SigningKey %q is Pending: it must be Published first, and those who verify must know it: %s",
			id, key.Name, standing(key))
	case k.State != v1alpha1.KeyPublished:
		return k, false, fmt.Errorf("key %q of SigningKey %q is %s and will never sign again; its %s", id, key.Name, k.State, standbyOf(key))
	}
	return k, false, nil
}

// standbyOf tells which key can be activated.
func standbyOf(key *v1alpha1.SigningKey) string {
	if k, ok := inState(key, v1alpha1.KeyPublished); ok {
		return fmt.Sprintf("standby is %q", k.KeyID)
	}
	if k, ok := inState(key, v1alpha1.KeyPending); ok {
		return fmt.Sprintf("standby is %q, which is not Published yet", k.KeyID)
	}
	return "standby is not made yet"
}

// activateCommand is the command that activates the standby.
func (s *session) activateCommand(key *v1alpha1.SigningKey) string {
	id := "KEYID"
	if k, ok := inState(key, v1alpha1.KeyPublished); ok {
		id = k.KeyID
	}
	return s.command("activate", key.Name, id)
}

// publishAhead is how long a key has to be public before it signs.
func publishAhead(key *v1alpha1.SigningKey) time.Duration {
	if d, err := key.Spec.Rotation.PublishAhead.Parse(); err == nil {
		return d
	}
	return 2 * time.Hour // the schema's default
}

// readyTime is from when on the standby may sign; now if it is not said when it was published.
func readyTime(key *v1alpha1.SigningKey, standby v1alpha1.KeyStatus) v1alpha1.DateTime {
	published, err := standby.PublishedTime.Parse()
	if err != nil {
		return ""
	}
	return v1alpha1.NewDateTime(published.Add(publishAhead(key) + assumedSkew))
}
