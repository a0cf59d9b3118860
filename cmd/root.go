// Package cmd owns the command line: flags, and wiring them to the packages that do the work.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Execute runs the command that the arguments name, and returns the exit status: 0; 1 for an error, or for an answer that
// a script must see; of commands that give such answers, 2 for an error.
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
	command, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errNo):
		return 1
	}
	fmt.Fprintln(stderr, "error:", printable(err.Error(), '\n')) //nolint:errcheck // there is nowhere else to say it
	return errorStatus(command)
}

// errNo is returned by commands whose answer, which they have given, is no.
var errNo = errors.New("the answer is no")

// answers is the annotation of commands, and of those below them, that answer with the status 0 or 1.
const answers = "tokenwright.dev/answers"

// errorStatus is the status of an error: it must not look like an answer.
func errorStatus(command *cobra.Command) int {
	for c := command; c != nil; c = c.Parent() {
		if _, ok := c.Annotations[answers]; ok {
			return 2
		}
	}
	return 1
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
	root.AddCommand(
		newManagerCommand(), newServerCommand(), newKeysCommand(), newPolicyCommand(), newTokensCommand(),
		newRevokeCommand(), newRequestsCommand(), newVersionCommand(),
	)
	return root
}
