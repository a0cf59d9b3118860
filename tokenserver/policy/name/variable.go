package name

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// maxVariables is the number of different placeholders in one pattern; 256 characters hold no more.
const maxVariables = 16

// Values are what placeholders stand for. Empty means that the caller has no such value.
type Values struct {
	Username       string
	Namespace      string
	ServiceAccount string
	Extra          map[string][]string
}

type variableKind uint8

const (
	username variableKind = iota
	namespace
	serviceAccount
	extra
)

type variable struct {
	kind variableKind
	key  string
}

func parseVariable(body string) (variable, error) {
	switch body {
	case "subject.username":
		return variable{kind: username}, nil
	case "subject.namespace":
		return variable{kind: namespace}, nil
	case "subject.serviceAccount":
		return variable{kind: serviceAccount}, nil
	}
	key, found := strings.CutPrefix(body, "subject.extra.")
	if !found {
		return variable{}, fmt.Errorf("${%s} is unknown: must be subject.username, subject.namespace, "+
			"subject.serviceAccount or subject.extra.KEY", body)
	}
	if key == "" || strings.ContainsAny(key, "${*") {
		return variable{}, errors.New("${subject.extra.KEY} must have a key without \"$\", \"{\" and \"*\"")
	}
	return variable{kind: extra, key: key}, nil
}

// count is the number of values, usable or not.
func (v *Values) count(x variable) int {
	if x.kind == extra {
		return len(v.Extra[x.key])
	}
	return 1
}

func (v *Values) at(x variable, i int) string {
	switch x.kind {
	case username:
		return v.Username
	case namespace:
		return v.Namespace
	case serviceAccount:
		return v.ServiceAccount
	default:
		return v.Extra[x.key][i]
	}
}

// usable says whether the value may stand in a name of the grammar. A value that would make segments where it must not,
// empty segments or wildcards may not.
func usable(g Grammar, x variable, value string) bool {
	if value == "" {
		return false
	}
	if x.kind != extra && strings.ContainsRune(value, '/') {
		return false
	}
	switch g {
	case Audience:
		return true
	case NATS:
		return !strings.ContainsAny(value, ".*>") && strings.IndexFunc(value, unicode.IsSpace) < 0
	default:
		return value[0] != '/' && value[len(value)-1] != '/' && !strings.Contains(value, "//")
	}
}
