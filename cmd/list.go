package cmd

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// The values of the flag -o.
const (
	outputText  = "text"
	outputTable = "table"
	outputWide  = "wide"
	outputName  = "name"
	outputJSON  = "json"
	outputYAML  = "yaml"
)

// addOutput adds the flag -o. The first format is what it is unless it is given.
func addOutput(cmd *cobra.Command, output *string, usage string, formats ...string) {
	cmd.Flags().StringVarP(output, "output", "o", formats[0], usage)
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(formats, *output) {
			return fmt.Errorf("--output must be %s, not %q", oneOf(formats), *output)
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
}

// oneOf lists what can be chosen: two or more.
func oneOf(choices []string) string {
	last := len(choices) - 1
	return strings.Join(choices[:last], ", ") + " or " + choices[last]
}

// listing says how a command shows a list of what it found.
type listing[E any] struct {
	// head names the columns of the table, and row has the cells of an entry; an empty cell is "-".
	head []string
	row  func(E) []string
	// name is what -o name shows of an entry, for the arguments of another command.
	name func(E) string
}

// write writes the entries: as JSON or YAML all that is in them, otherwise a line for each, and nothing if there is none.
func (l listing[E]) write(out io.Writer, output string, entries []E) error {
	if err := l.writeAs(out, output, append([]E{}, entries...)); err != nil { // [] and not null in JSON
		return fmt.Errorf("write the list: %w", err)
	}
	return nil
}

func (l listing[E]) writeAs(out io.Writer, output string, entries []E) error {
	switch output {
	case outputJSON:
		return writeJSON(out, entries)
	case outputYAML:
		text, err := yaml.Marshal(entries)
		if err != nil {
			return err
		}
		// The encoder escapes control characters and not what turns the direction of a line. JSON is YAML, and escapes both.
		if strings.ContainsFunc(string(text), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
			return writeJSON(out, entries)
		}
		_, err = out.Write(text)
		return err
	case outputName:
		for _, e := range entries {
			if err := writeLine(out, l.name(e)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(entries) == 0 {
		return nil
	}
	rows := [][]string{l.head}
	for _, e := range entries {
		rows = append(rows, l.row(e))
	}
	return writeTable(out, rows)
}
