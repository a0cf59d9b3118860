package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/record"
)

// newTokensCommand returns `tokenwright tokens`.
func newTokensCommand() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "tokens",
		Short: "List recorded tokens, and revoke tokens",
		Long: `List recorded tokens, and revoke tokens.

Recorded are refresh tokens, and tokens without an expiry. No record holds anything that could be used as a token. To
revoke all that a user got, see tokenwright revoke.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.register(cmd)
	cmd.AddCommand(newTokensListCommand(&f), newTokensRevokeCommand(&f))
	return cmd
}

// known reads records and revocations into an index, which says of each record whether it is good.
func (s *session) known(ctx context.Context) (*record.Index, []*v1alpha1.IssuedToken, error) {
	tokens, err := pages(ctx, s.client, s.call("list", issuedTokens, ""), func(l *v1alpha1.IssuedTokenList) []v1alpha1.IssuedToken { return l.Items })
	if err != nil {
		return nil, nil, err
	}
	revocations, err := pages(ctx, s.client, s.call("list", tokenRevocations, ""), func(l *v1alpha1.TokenRevocationList) []v1alpha1.TokenRevocation { return l.Items })
	index := &record.Index{}
	for _, r := range revocations {
		index.PutRevocation(r)
	}
	return index, tokens, err
}
