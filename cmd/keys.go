package cmd

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// cliOwner is the field manager of what the commands of people write.
const cliOwner = client.FieldOwner("tokenwright-cli")

// patience is how long --wait waits for a rotation unless told otherwise.
const patience = 5 * time.Minute

// newKeysCommand returns `tokenwright keys`.
func newKeysCommand() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "See, rotate, activate and revoke the keys of SigningKeys",
		Long: `See, rotate, activate and revoke the keys of SigningKeys.

These commands read SigningKeys and their status, and write annotations and spec.revokedKeyIDs. The manager does the
rest. They never read a Secret, so that no private key passes through them.`,
		// A command that is mistyped is an error, not a page of help.
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.register(cmd)
	cmd.AddCommand(newKeysListCommand(&f), newKeysRotateCommand(&f), newKeysActivateCommand(&f), newKeysRevokeCommand(&f))
	return cmd
}

// waiting are the flags of a command that can wait for what it asked for.
type waiting struct {
	wait    bool
	timeout time.Duration
}

func (w *waiting) register(cmd *cobra.Command, wait bool, timeout time.Duration, what string) {
	cmd.Flags().BoolVar(&w.wait, "wait", wait, "wait until "+what)
	cmd.Flags().DurationVar(&w.timeout, "timeout", timeout, "how long --wait waits; the request stands when it is over")
}

// command is what to type next, with the same flags.
func (s *session) command(args ...string) string {
	return s.program + " keys " + strings.Join(args, " ") + s.where
}

// get returns the SigningKey, or an error that says what to do.
func (s *session) get(ctx context.Context, name string) (*v1alpha1.SigningKey, error) {
	key := &v1alpha1.SigningKey{}
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, key); err != nil {
		return nil, s.explain(ctx, "get", name, err)
	}
	return key, nil
}
