package cmd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// lifeOrder is how keys are sorted: the one that signs first, the dead last.
var lifeOrder = []v1alpha1.KeyState{
	v1alpha1.KeyActive, v1alpha1.KeyPublished, v1alpha1.KeyPending, v1alpha1.KeyRetired, v1alpha1.KeyRevoked,
}

// keyEntry is one key as -o json and -o yaml show it: what the status says, and whose it is.
type keyEntry struct {
	SigningKey string `json:"signingKey"`
	v1alpha1.KeyStatus
}

// listFlags are the flags of `tokenwright keys list`.
type listFlags struct {
	output string
	states []string
}

func newKeysListCommand(cluster *clusterFlags) *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:   "list [NAME...]",
		Short: "List the keys of all SigningKeys, or of those that are named",
		Long: `List the keys of all SigningKeys, or of those that are named.

The key that signs comes first, then the standby, then those that are retired or revoked. What is wrong with a
SigningKey follows in a line of its own, on the standard error.`,
		Example: `  tokenwright keys list
  tokenwright keys list registry -o wide
  tokenwright keys list registry --state=Published -o name`,
		ValidArgsFunction: cluster.completeNames,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := f.validate(); err != nil {
				return err
			}
			s, err := cluster.connect(cmd)
			if err != nil {
				return err
			}
			return s.list(cmd.Context(), names, f)
		},
	}
	addOutput(cmd, &f.output, "table: times from now; wide: times in RFC 3339; name: key ids only; json, yaml: all that the status says of each key",
		outputTable, outputWide, outputName, outputJSON, outputYAML)
	cmd.Flags().StringSliceVar(&f.states, "state", nil, "list only keys in these states: Pending, Published, Active, Retired, Revoked")
	return cmd
}

func (f *listFlags) validate() error {
	for i, state := range f.states {
		known := slices.IndexFunc(lifeOrder, func(k v1alpha1.KeyState) bool { return strings.EqualFold(string(k), state) })
		if known < 0 {
			return fmt.Errorf("--state must be Pending, Published, Active, Retired or Revoked, not %q", state)
		}
		f.states[i] = string(lifeOrder[known])
	}
	return nil
}

func (s *session) list(ctx context.Context, names []string, f listFlags) error {
	keys, err := s.signingKeys(ctx, names)
	if err != nil {
		return err
	}
	var entries []keyEntry
	for i := range keys {
		entries = append(entries, entriesOf(&keys[i], f.states)...)
	}
	if err := s.listingOf(f.output == outputWide).write(s.out, f.output, entries); err != nil {
		return err
	}
	if len(keys) == 0 {
		s.warn("there are no SigningKeys in namespace %q: %s", s.namespace, s.whereKeysAre(ctx))
	}
	for i := range keys {
		for _, line := range notes(&keys[i]) {
			s.warn("%s", line)
		}
	}
	return nil
}

// signingKeys returns those of the names, or all, sorted by name.
func (s *session) signingKeys(ctx context.Context, names []string) ([]v1alpha1.SigningKey, error) {
	var keys []v1alpha1.SigningKey
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		key, err := s.get(ctx, name)
		if err != nil {
			return nil, err
		}
		keys = append(keys, *key)
	}
	if len(names) > 0 {
		return keys, nil
	}
	found, err := pages(ctx, s.client, s.call("list", signingKeys, ""), func(l *v1alpha1.SigningKeyList) []v1alpha1.SigningKey { return l.Items })
	for _, key := range found {
		keys = append(keys, *key)
	}
	slices.SortFunc(keys, func(a, b v1alpha1.SigningKey) int { return cmp.Compare(a.Name, b.Name) })
	return keys, err
}

// entriesOf returns the keys in the states (none: in any) by their order of life, the younger first.
func entriesOf(key *v1alpha1.SigningKey, states []string) []keyEntry {
	var entries []keyEntry
	for _, k := range key.Status.Keys {
		if len(states) == 0 || slices.Contains(states, string(k.State)) {
			entries = append(entries, keyEntry{key.Name, k})
		}
	}
	slices.SortStableFunc(entries, func(a, b keyEntry) int {
		return cmp.Or(
			cmp.Compare(slices.Index(lifeOrder, a.State), slices.Index(lifeOrder, b.State)),
			cmp.Compare(b.CreatedTime, a.CreatedTime),
			cmp.Compare(a.Thumbprint, b.Thumbprint),
		)
	})
	return entries
}
