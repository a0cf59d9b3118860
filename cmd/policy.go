package cmd

import (
	"io"
	"time"

	"github.com/spf13/cobra"
)

// policyFlags are those of all commands below `tokenwright policy`.
type policyFlags struct {
	cluster clusterFlags
	// systemNamespace is where servers look for SigningKeys.
	systemNamespace string
}

// newPolicyCommand returns `tokenwright policy`.
func newPolicyCommand() *cobra.Command {
	f := &policyFlags{}
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check policies, and ask what they grant",
		Long: `Check policies, and ask what they grant: those of a cluster, or those of files before they are applied.

What is granted is decided by the code that servers decide by. The cluster is only read, and never a Secret of it.
The exit status is 0 or 1 by the answer, and 2 if there is none.`,
		Annotations: map[string]string{answers: ""},
		Args:        cobra.NoArgs,
		RunE:        func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.cluster.registerServer(cmd)
	cmd.PersistentFlags().StringVar(&f.systemNamespace, "system-namespace", defaultNamespace, "namespace of the SigningKeys: that in which Tokenwright is installed")
	cmd.AddCommand(newPolicyLintCommand(f), newPolicyCanICommand(f), newPolicyWhoCanCommand(f), newPolicyTestCommand(f), newPolicyDiffCommand(f))
	return cmd
}

// console is what a command below `tokenwright policy` writes to, and its time.
type console struct {
	printer
	errors printer
	stdin  io.Reader
	now    time.Time
}

func newConsole(cmd *cobra.Command) *console {
	return &console{printer: printer{cmd.OutOrStdout()}, errors: printer{cmd.ErrOrStderr()}, stdin: cmd.InOrStdin(), now: time.Now()}
}

// warn tells what else a person should know, where it does not get between what a script reads.
func (c *console) warn(format string, args ...any) { c.errors.line("warning: "+format, args...) }

// addFilenames adds the flag -f.
func addFilenames(cmd *cobra.Command, files *[]string, usage string) {
	cmd.Flags().StringArrayVarP(files, "filename", "f", nil, usage+"; can be given several times; - is the standard input")
}
