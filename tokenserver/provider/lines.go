package provider

import (
	"bytes"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Bounds of a file. A Secret holds at most 1 MiB anyway; the offline tools read files that no API server has bounded.
const (
	maxFile  = 1 << 20
	maxLines = 50_000
	// maxName is the longest name that a policy's subject can speak of, in bytes, prefix included.
	maxName = 256
)

// tooLarge returns a fatal problem if the file is past its bounds.
func tooLarge(what string, file []byte) []Problem {
	if len(file) > maxFile || bytes.Count(file, []byte{'\n'}) > maxLines {
		return []Problem{fatal(v1alpha1.ReasonInvalidEntry,
			"the %s file must have at most %d bytes and %d lines", what, maxFile, maxLines)}
	}
	return nil
}

// lines yields line numbers, from 1, and lines without their end; comments and empty lines are left out.
func lines(file []byte) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		number := 0
		for line := range bytes.Lines(file) {
			number++
			text := strings.TrimRight(string(line), " \t\r\n")
			if text == "" || strings.HasPrefix(text, "#") {
				continue
			}
			if !yield(number, text) {
				return
			}
		}
	}
}

// nameFault says why a name cannot be used with the prefix, or nothing.
func nameFault(prefix, name string) string {
	switch {
	case name == "":
		return "the name is empty"
	case strings.HasPrefix(name, reserved):
		return reservedFault
	}
	return spellingFault(prefix, name)
}

const reservedFault = "names that start with " + reserved + " belong to Kubernetes"

// spellingFault says why a name that is not empty cannot be used with the prefix, or nothing.
func spellingFault(prefix, name string) string {
	switch {
	case strings.HasPrefix(prefix+name, reserved):
		return reservedFault
	case len(prefix)+len(name) > maxName:
		return "the name is longer than " + strconv.Itoa(maxName) + " bytes"
	case !printable(name) || strings.TrimSpace(name) != name:
		return "the name has characters that cannot be seen"
	}
	return ""
}

// printable says whether each character can be seen: two names that look alike to a person and differ in an invisible
// character would be two users.
func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// faults collects the lines that cannot be used, by why.
type faults struct {
	file  string
	order []string
	lines map[string][]int
}

func (f *faults) add(line int, why string) {
	if f.lines == nil {
		f.lines = map[string][]int{}
	}
	if _, ok := f.lines[why]; !ok {
		f.order = append(f.order, why)
	}
	f.lines[why] = append(f.lines[why], line)
}

// problems has one problem for each kind of fault; each names the first lines only, so that it fits into a condition.
func (f *faults) problems() []Problem {
	const shown = 10
	var out []Problem
	for _, why := range f.order {
		all := f.lines[why]
		text := make([]string, 0, shown)
		for _, n := range all[:min(shown, len(all))] {
			text = append(text, strconv.Itoa(n))
		}
		message := fmt.Sprintf("%s file, line %s", f.file, strings.Join(text, ", "))
		if more := len(all) - shown; more > 0 {
			message += fmt.Sprintf(" and %d more", more)
		}
		out = append(out, Problem{Reason: v1alpha1.ReasonInvalidEntry, Message: message + ": " + why})
	}
	return out
}
