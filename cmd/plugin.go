package cmd

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// The program under the name by which kubectl finds it as a plugin, and what a person types then.
const (
	pluginFile = "kubectl-tokenwright"
	pluginName = "kubectl tokenwright"
)

// invokedAs makes usage lines, examples and messages say what was typed, if kubectl started the program as its plugin.
func invokedAs(root *cobra.Command, program string) *cobra.Command {
	if strings.TrimSuffix(filepath.Base(program), ".exe") != pluginFile {
		return root
	}
	typed := root.Name()
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: pluginName}
	commands := []*cobra.Command{root}
	for len(commands) > 0 {
		c := commands[0]
		commands = append(commands[1:], c.Commands()...)
		c.Example = strings.ReplaceAll(c.Example, typed+" ", pluginName+" ")
	}
	return root
}
