// Package scope owns the grammar of the Docker token protocol's scopes: what a client asks for, as text, and the same
// as values. It does not know what a caller may have (package policy) nor how a request carries the text (package
// docker). An odd scope is never an error: registries' clients send them, and an answer without the grant is what they
// understand.
package scope

import (
	"cmp"
	"errors"
	"iter"
	"slices"
	"strings"
)

// Bounds of what is read. Whatever lies beyond is dropped, except too many scopes.
const (
	// MaxScopes is how many distinct resources one request may ask for.
	MaxScopes = 64
	// MaxNameLength is the longest name in bytes; distribution allows 255 for a repository.
	MaxNameLength = 512
	// MaxActions is how many distinct actions one scope may ask for.
	MaxActions = 64

	maxTypeLength   = 128
	maxSegments     = 64
	maxActionLength = 64
)

// ErrTooMany says that more than MaxScopes distinct resources were asked for.
var ErrTooMany = errors.New("too many scopes: at most 64 can be asked for at once")

// Scope is one resource and what is to be done with it.
type Scope struct {
	// Type is such as repository or registry, without a class: "repository(plugin)" is a repository.
	Type string
	// Name is the resource's name; it may hold one colon or more, as in "localhost:5000/app".
	Name string
	// Actions are sorted and unique, and there is at least one.
	Actions []string
}

// Parse reads scopes as they come in requests: each param holds any number of them, separated by spaces (RFC 6749,
// section 3.3, and distribution's scope.md). The answer is sorted by type and name; scopes of one resource are merged.
// What does not follow the grammar is dropped. The only error is ErrTooMany.
func Parse(params []string) ([]Scope, error) {
	var scopes []Scope
	for _, param := range params {
		for text := range strings.FieldsSeq(param) {
			for one := range separate(text) {
				typ, name, actions, ok := split(one)
				if !ok {
					continue
				}
				at := slices.IndexFunc(scopes, func(s Scope) bool { return s.Name == name && s.Type == typ })
				if at < 0 {
					if len(scopes) == MaxScopes {
						return nil, ErrTooMany
					}
					at = len(scopes)
					scopes = append(scopes, Scope{Type: typ, Name: name})
				}
				scopes[at].Actions = addActions(scopes[at].Actions, actions)
			}
		}
	}
	for i := range scopes {
		slices.Sort(scopes[i].Actions)
	}
	slices.SortFunc(scopes, func(a, b Scope) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name))
	})
	return scopes, nil
}

// separate yields the scopes of a text in which they are joined by commas, as an example of the specification has them:
// a piece with two colons or more begins a scope, one without belongs to the last. Neither names nor actions hold a
// comma, so nothing else can be meant; a piece with one colon can mean several things, and split drops it.
func separate(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start := 0
		for i := range len(text) {
			if text[i] != ',' || strings.Count(piece(text[i+1:]), ":") < 2 {
				continue
			}
			if !yield(text[start:i]) {
				return
			}
			start = i + 1
		}
		yield(text[start:])
	}
}

// piece is the text up to the next comma.
func piece(text string) string {
	before, _, _ := strings.Cut(text, ",")
	return before
}

// split cuts at the first and the last colon: a name may hold a host's port.
func split(text string) (typ, name, actions string, ok bool) {
	typ, rest, ok := strings.Cut(text, ":")
	if !ok {
		return "", "", "", false
	}
	colon := strings.LastIndexByte(rest, ':')
	if colon < 0 {
		return "", "", "", false
	}
	name, actions = rest[:colon], rest[colon+1:]
	typ, ok = dropClass(typ)
	return typ, name, actions, ok && usableName(name) && anyAction(actions)
}

// dropClass returns the type without its class, which is deprecated and means nothing any more.
func dropClass(typ string) (string, bool) {
	if base, class, found := strings.Cut(typ, "("); found {
		class, closed := strings.CutSuffix(class, ")")
		if !closed || !usableType(class) {
			return "", false
		}
		typ = base
	}
	return typ, usableType(typ)
}

func usableType(typ string) bool {
	if typ == "" || len(typ) > maxTypeLength {
		return false
	}
	for i := range len(typ) {
		if c := typ[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// usableName refuses what no resource is called: nothing, control characters and other characters that the field's
// clients never send, and a comma, which is left over where joined scopes cannot be told apart.
func usableName(name string) bool {
	if name == "" || len(name) > MaxNameLength || strings.Count(name, "/") >= maxSegments {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == ',' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func anyAction(actions string) bool {
	for action := range strings.SplitSeq(actions, ",") {
		if usableAction(action) {
			return true
		}
	}
	return false
}

func addActions(have []string, actions string) []string {
	for action := range strings.SplitSeq(actions, ",") {
		if len(have) < MaxActions && usableAction(action) && !slices.Contains(have, action) {
			have = append(have, action)
		}
	}
	return have
}

// usableAction accepts what a policy can speak of, which is more than distribution's [a-z]*.
func usableAction(action string) bool {
	if action == "*" {
		return true
	}
	if action == "" || len(action) > maxActionLength {
		return false
	}
	for i := range len(action) {
		c := action[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("._/-", rune(c))) {
			return false
		}
	}
	return true
}

// String is the scope as a client would ask for it.
func (s Scope) String() string {
	return s.Type + ":" + s.Name + ":" + strings.Join(s.Actions, ",")
}

// Join writes scopes as one text, separated by spaces, for the `scope` field of an answer.
func Join(scopes []Scope) string {
	texts := make([]string, len(scopes))
	for i, s := range scopes {
		texts[i] = s.String()
	}
	return strings.Join(texts, " ")
}
