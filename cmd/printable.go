package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"
)

// printable makes a text harmless to a terminal: whatever is not a letter, mark, number, sign or space stands as an escape
// sequence of Go. File names, policies and arguments are written by others, and could else move the cursor, or pass off
// one line as two. The runes in except are left as they are.
func printable(text string, except ...rune) string {
	harmless := func(r rune, size int) bool {
		return unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) || slices.Contains(except, r)
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case harmless(r, size):
			b.WriteString(text[i : i+size])
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		default:
			quoted := fmt.Sprintf("%+q", string(r))
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}

// nothing stands where a column has no value.
const nothing = "-"

// writeLine writes one line, whatever the text holds.
func writeLine(out io.Writer, text string) error {
	_, err := fmt.Fprintln(out, printable(text))
	return err
}

// writeTable writes rows in columns; an empty cell is "-".
func writeTable(out io.Writer, rows [][]string) error {
	table := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	for _, row := range rows {
		cells := make([]string, 0, len(row))
		for _, cell := range row {
			if cell = printable(cell); cell == "" {
				cell = nothing
			}
			cells = append(cells, cell)
		}
		if _, err := fmt.Fprintln(table, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return table.Flush()
}

// writeJSON writes a value for programs, and for terminals all the same.
func writeJSON(out io.Writer, value any) error {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	_, err := io.WriteString(out, escapedJSON(b.String()))
	return err
}

// printer writes for people, and is silent about an output that is closed: there is nowhere else to say it.
type printer struct{ out io.Writer }

// line writes one line, whatever the arguments hold.
func (p printer) line(format string, args ...any) { _ = writeLine(p.out, fmt.Sprintf(format, args...)) }

// table writes rows in columns.
func (p printer) table(rows [][]string) { _ = writeTable(p.out, rows) }

// json writes a value. A program must not take a part of it for the whole: what cannot be written is an error.
func (p printer) json(value any) error { return writeJSON(p.out, value) }

// escapedJSON escapes what JSON allows in texts and terminals obey, such as U+009B.
func escapedJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
