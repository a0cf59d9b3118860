package cmd

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// completionTimeout bounds how long a shell hangs at the tabulator key.
const completionTimeout = 5 * time.Second

// completeNames proposes the names of SigningKeys. Whatever goes wrong, nothing is proposed: never the names of files.
func (f *clusterFlags) completeNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	s, err := f.connect(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	keys, err := s.signingKeys(ctx, nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for i := range keys {
		if !slices.Contains(args, keys[i].Name) {
			names = append(names, keys[i].Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeName proposes names for the first argument, and nothing after it.
func (f *clusterFlags) completeName(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return f.completeNames(cmd, args, typed)
}

// completeKeyIDs proposes a name first, and then ids of its keys in the states, at most as many as there can be.
func (f *clusterFlags) completeKeyIDs(most int, states ...v1alpha1.KeyState) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return f.completeNames(cmd, args, typed)
		}
		if len(args) > most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		s, err := f.connect(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		key, err := s.get(ctx, args[0])
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var ids []string
		for _, e := range entriesOf(key, nil) {
			if slices.Contains(states, e.State) && !slices.Contains(args, e.KeyID) {
				ids = append(ids, fmt.Sprintf("%s\t%s", e.KeyID, e.State))
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}
