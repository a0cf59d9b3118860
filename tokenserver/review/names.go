package review

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

var (
	placeholder = regexp.MustCompile(`\$\{[^}]*\}`)
	// misspelt is a placeholder without its "$", which is a text like any other.
	misspelt = regexp.MustCompile(`\{(subject|labels|account|service|name)[.:}]`)
	// foreign are characters that no repository has in its name (OCI distribution specification), and patterns have
	// neither. Letters in upper case are among them.
	foreign = regexp.MustCompile(`[^a-z0-9._/:*-]`)
)

// oddName says what is hardly meant about a name, although it is allowed: what was written for another program's
// patterns matches nothing here, and looks as if it did. It returns nothing if all is well.
func oddName(typ, name string) string {
	text := placeholder.ReplaceAllString(name, "x")
	switch {
	case misspelt.MatchString(text):
		return fmt.Sprintf("%q: a placeholder begins with ${subject.: this one is a text", name)
	case typ != v1alpha1.TypeRepository:
		return ""
	case strings.Contains(text, ".*"):
		return fmt.Sprintf("%q: names are no regular expressions: .* is a dot and whatever follows", name)
	}
	if found := foreign.FindString(text); found != "" {
		return fmt.Sprintf("%q: no repository has %q in its name, and it means nothing in a pattern", name, found)
	}
	return ""
}
