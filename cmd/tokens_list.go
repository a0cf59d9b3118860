package cmd

import (
	"cmp"
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/revocation"
)

// What a record is worth, as the list says it. Policy and provider are asked at each use, and may say no to a live one.
const (
	tokenLive    = "Live"
	tokenRevoked = "Revoked"
	tokenExpired = "Expired"
)

// tokenEntry is one record as -o json and -o yaml show it.
type tokenEntry struct {
	ID       string                   `json:"id"`
	State    string                   `json:"state"`
	Type     v1alpha1.IssuedTokenType `json:"type"`
	Subject  string                   `json:"subject"`
	Provider string                   `json:"provider"`
	Audience v1alpha1.Audience        `json:"audience"`
	ClientID string                   `json:"clientID,omitempty"`
	Created  v1alpha1.DateTime        `json:"created"`
	Expires  v1alpha1.DateTime        `json:"expires"`
	LastUsed v1alpha1.DateTime        `json:"lastUsed,omitempty"`
}

// tokensFlags are the flags of `tokenwright tokens list`.
type tokensFlags struct {
	subject, audience, client, output string
	all                               bool
}

func newTokensListCommand(cluster *clusterFlags) *cobra.Command {
	var f tokensFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List recorded tokens that are good, or all with --all",
		Example: `  tokenwright tokens list
  tokenwright tokens list --subject=alice --all
  tokenwright tokens list --subject=alice -o name | xargs tokenwright tokens revoke`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := cluster.connect(cmd)
			if err != nil {
				return err
			}
			return s.listTokens(cmd.Context(), f)
		},
	}
	cmd.Flags().StringVar(&f.subject, "subject", "", "list only tokens of this user, with the provider's prefix")
	cmd.Flags().StringVar(&f.audience, "audience", "", "list only tokens for this audience")
	cmd.Flags().StringVar(&f.client, "client", "", "list only tokens of clients that call themselves this")
	cmd.Flags().BoolVar(&f.all, "all", false, "list also what is revoked or expired and not collected yet")
	addOutput(cmd, &f.output, "table; name: ids only; json, yaml", outputTable, outputName, outputJSON, outputYAML)
	return cmd
}

func (s *session) listTokens(ctx context.Context, f tokensFlags) error {
	index, tokens, err := s.known(ctx)
	if err != nil {
		return err
	}
	var entries []tokenEntry
	for _, t := range tokens {
		if e := s.entryOf(index, t); f.wants(e) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b tokenEntry) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(b.Created, a.Created), cmp.Compare(a.ID, b.ID))
	})
	return s.listingOfTokens().write(s.out, f.output, entries)
}

func (f tokensFlags) wants(e tokenEntry) bool {
	return (f.all || e.State == tokenLive) && (f.subject == "" || f.subject == e.Subject) &&
		(f.audience == "" || f.audience == string(e.Audience)) && (f.client == "" || f.client == e.ClientID)
}

func (s *session) entryOf(index *record.Index, t *v1alpha1.IssuedToken) tokenEntry {
	e := tokenEntry{
		ID: t.Spec.ID, State: tokenLive, Type: t.Spec.Type, Subject: t.Spec.Subject.Username, Provider: t.Spec.Provider.Name,
		Audience: t.Spec.Audience, ClientID: t.Spec.ClientID, Expires: t.Spec.Expires, LastUsed: t.Status.LastUsed,
		Created: v1alpha1.NewDateTime(t.CreationTimestamp.Time),
	}
	switch {
	case index.Revoked(t) || !t.DeletionTimestamp.IsZero():
		e.State = tokenRevoked
	case !s.now().Before(revocation.Time(t.Spec.Expires)):
		e.State = tokenExpired
	}
	return e
}

func (s *session) listingOfTokens() listing[tokenEntry] {
	return listing[tokenEntry]{
		head: []string{"ID", "SUBJECT", "TYPE", "AUDIENCE", "CLIENT", "STATE", "CREATED", "EXPIRES", "LAST USED"},
		name: func(e tokenEntry) string { return e.ID },
		row: func(e tokenEntry) []string {
			return []string{
				e.ID, e.Subject, string(e.Type), string(e.Audience), e.ClientID, e.State, s.distance(e.Created),
				s.distance(e.Expires), s.distance(e.LastUsed),
			}
		},
	}
}
