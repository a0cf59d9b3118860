// Package cmd owns the command line: flags, and wiring them to the packages that do the work.
package cmd

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Execute runs the command that the arguments name, and returns the exit status: 0 or 1.
func Execute() int {
	redirectLibraries()
	return run(context.Background(), invokedAs(newRootCommand(), os.Args[0]), os.Args[1:], os.Stdout, os.Stderr)
}

func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return run(ctx, newRootCommand(), args, stdout, stderr)
}

func run(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	root.SetArgs(withKeyIDs(args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "error:", err) //nolint:errcheck // there is nowhere else to say it
		return 1
	}
	return 0
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tokenwright",
		Short: "A Kubernetes-native authority for short-lived, scoped tokens",
		// Errors are printed once, by execute; a page of usage would hide them.
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddCommand(newManagerCommand(), newServerCommand(), newKeysCommand(), newVersionCommand())
	return root
}
