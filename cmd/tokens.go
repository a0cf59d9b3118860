package cmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
func (s *session) known(ctx context.Context) (*record.Index, []v1alpha1.IssuedToken, error) {
	index := &record.Index{}
	var tokens []v1alpha1.IssuedToken
	err := s.pages(ctx, "issuedtokens", func(page string) (string, error) {
		var list v1alpha1.IssuedTokenList
		err := s.client.List(ctx, &list, client.InNamespace(s.namespace), client.Limit(pageSize), client.Continue(page))
		tokens = append(tokens, list.Items...)
		return list.Continue, err
	})
	if err != nil {
		return nil, nil, err
	}
	err = s.pages(ctx, "tokenrevocations", func(page string) (string, error) {
		var list v1alpha1.TokenRevocationList
		err := s.client.List(ctx, &list, client.InNamespace(s.namespace), client.Limit(pageSize), client.Continue(page))
		for i := range list.Items {
			index.PutRevocation(&list.Items[i])
		}
		return list.Continue, err
	})
	return index, tokens, err
}

// pages asks for one page after the other.
func (s *session) pages(_ context.Context, resource string, next func(page string) (string, error)) error {
	page := ""
	for {
		following, err := next(page)
		if err != nil {
			return s.explainTokens("list", resource, err)
		}
		if following == "" {
			return nil
		}
		page = following
	}
}

// explainTokens says what to do about an answer of the API server.
func (s *session) explainTokens(verb, resource string, err error) error {
	role := "tokenwright-platform-viewer"
	if verb == "create" {
		role = "tokenwright-platform-admin"
	}
	switch {
	case apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse):
		return fmt.Errorf("this cluster does not know %s: install Tokenwright in it, or name another with --context: %w", resource, err)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), fmt.Sprintf("cannot %s resource", verb)):
		return fmt.Errorf("you need the right to %s %s of tokenwright.dev in namespace %q, which ClusterRole %q gives: %w",
			verb, resource, s.namespace, role, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server does not accept the credentials of the kubeconfig: log in again, or name another context with --context: %w", err)
	}
	return fmt.Errorf("%s %s of namespace %q: %w", verb, resource, s.namespace, err)
}
