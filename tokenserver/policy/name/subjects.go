package name

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSubjects is how many subjects one pattern may stand for before it is said to stand for too many.
const MaxSubjects = 256

// Subjects are the NATS subjects, with wildcards as NATS has them, that a pattern of subjects stands for with the caller's
// values: one for each way to fill its placeholders. It says false if there are more than MaxSubjects.
//
// What they match is what Match does, but for values that cannot be written in a subject: to a pattern that allows, those
// are no values, and of a pattern that denies they make ">" at once, as unusable values do.
func (p *Pattern) Subjects(values *Values, deny bool) ([]string, bool) {
	if p.grammar != NATS || slices.ContainsFunc(p.segments, func(s Segment) bool { return s.kind == Glob }) {
		return nil, false // NATS has no words for it
	}
	choices := make([][]string, len(p.variables))
	ways := 1
	for k, x := range p.variables {
		given := values.count(x)
		for i := range given {
			if value := values.at(x, i); usable(NATS, x, value) && writable(value) {
				choices[k] = append(choices[k], value)
			}
		}
		if deny && (given == 0 || len(choices[k]) < given) {
			return []string{everySubject}, true
		}
		if ways *= len(choices[k]); ways > MaxSubjects {
			return nil, false
		}
	}
	subjects := make([]string, ways)
	chosen := make([]string, len(choices))
	for way := range subjects {
		rest := way
		for k := range choices {
			chosen[k] = choices[k][rest%len(choices[k])]
			rest /= len(choices[k])
		}
		subjects[way] = p.subject(chosen)
	}
	return subjects, true
}

const everySubject = ">"

// subject is the pattern with the values of its placeholders.
func (p *Pattern) subject(chosen []string) string {
	var text strings.Builder
	for i := range p.segments {
		if i > 0 {
			text.WriteByte('.')
		}
		switch s := &p.segments[i]; s.kind {
		case Any:
			text.WriteByte('*')
		case Rest, Deep:
			text.WriteString(everySubject)
		case Literal:
			text.WriteString(s.text)
		default:
			for _, x := range p.parts[s.from:s.to] {
				if x.variable > 0 {
					text.WriteString(chosen[x.variable-1])
				} else {
					text.WriteString(x.text)
				}
			}
		}
	}
	return text.String()
}

// writable says whether a value comes through JSON as it is, and may stand in a name that is asked for.
func writable(value string) bool {
	return utf8.ValidString(value) && strings.IndexFunc(value, unicode.IsControl) < 0
}
