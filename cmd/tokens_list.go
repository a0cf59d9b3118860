package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

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
			if outputs := []string{"table", "name", "json", "yaml"}; !slices.Contains(outputs, f.output) {
				return fmt.Errorf("--output must be table, name, json or yaml, not %q", f.output)
			}
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
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "table; name: ids only; json, yaml")
	return cmd
}

func (s *session) listTokens(ctx context.Context, f tokensFlags) error {
	index, tokens, err := s.known(ctx)
	if err != nil {
		return err
	}
	entries := []tokenEntry{} // [] and not null in JSON
	for i := range tokens {
		if e := s.entryOf(index, &tokens[i]); f.wants(e) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b tokenEntry) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(b.Created, a.Created), cmp.Compare(a.ID, b.ID))
	})
	if err := s.printTokens(entries, f.output); err != nil {
		return fmt.Errorf("write the list: %w", err)
	}
	return nil
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

func (s *session) printTokens(entries []tokenEntry, output string) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(entries)
	case "yaml":
		text, err := yaml.Marshal(entries)
		if err != nil {
			return err
		}
		_, err = s.out.Write(text)
		return err
	case "name":
		for _, e := range entries {
			if _, err := fmt.Fprintln(s.out, e.ID); err != nil {
				return err
			}
		}
		return nil
	}
	return s.tableOfTokens(entries)
}

func (s *session) tableOfTokens(entries []tokenEntry) error {
	if len(entries) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(s.out, 0, 8, 3, ' ', 0)
	rows := [][]string{{"ID", "SUBJECT", "TYPE", "AUDIENCE", "CLIENT", "STATE", "CREATED", "EXPIRES", "LAST USED"}}
	for _, e := range entries {
		used := nothing
		if e.LastUsed != "" {
			used = s.distance(e.LastUsed)
		}
		rows = append(rows, []string{
			e.ID, e.Subject, string(e.Type), string(e.Audience), cmp.Or(e.ClientID, nothing), e.State, s.distance(e.Created),
			s.distance(e.Expires), used,
		})
	}
	for _, row := range rows {
		for i := range row { // a client may call itself anything
			row[i] = printable(row[i])
		}
		if _, err := fmt.Fprintln(table, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return table.Flush()
}
