package name

import "strings"

// Unknown says which of the caller's values are not known, when somebody asks about callers rather than for one.
type Unknown struct {
	// Subject stands for username, namespace and serviceAccount, Extra for all facts of extra.
	Subject, Extra bool
}

func (u Unknown) holds(x variable) bool {
	if x.kind == extra {
		return u.Extra
	}
	return u.Subject
}

// Placeholders says whether the pattern has a placeholder for what is unknown.
func (p *Pattern) Placeholders(u Unknown) bool {
	for _, x := range p.variables {
		if u.holds(x) {
			return true
		}
	}
	return false
}

// Widen is the pattern with stars for what is unknown. It matches whatever the pattern matches for some value of it, and
// perhaps more: a segment with a value of extra, which may hold a "/", becomes "**" as a whole.
func (p Pattern) Widen(u Unknown) Pattern {
	if !p.Placeholders(u) {
		return p
	}
	w := widener{from: &p, unknown: u, to: Pattern{grammar: p.grammar, source: p.source}}
	for i := range p.segments {
		w.to.segments = append(w.to.segments, w.segment(&p.segments[i]))
	}
	return w.to
}

// widener writes a pattern anew. What is no longer a placeholder must not be among the variables: without a value it
// would match nothing.
type widener struct {
	from    *Pattern
	to      Pattern
	unknown Unknown
}

func (w *widener) segment(s *Segment) Segment {
	if s.kind != Glob && s.kind != Template {
		return *s
	}
	var parts []part
	var text strings.Builder
	kind, stars := Glob, 0
	for _, x := range w.from.parts[s.from:s.to] {
		switch {
		case x.variable > 0 && w.unknown.holds(w.variable(x)):
			if v := w.variable(x); v.kind == extra && separator(w.from.grammar) == '/' {
				return Segment{kind: Deep}
			}
			x = part{star: true}
		case x.variable > 0:
			x.variable, kind = w.keep(w.variable(x)), Template
		}
		if x.star {
			stars++
			text.WriteByte('*')
		}
		text.WriteString(x.text)
		parts = append(parts, x)
	}
	if kind == Glob && stars == len(parts) {
		return Segment{kind: Any}
	}
	from := len(w.to.parts)
	w.to.parts = append(w.to.parts, parts...)
	widened := Segment{kind: kind, from: uint16(from), to: uint16(len(w.to.parts))}
	if kind == Glob {
		widened.text = text.String()
	}
	return widened
}

func (w *widener) variable(x part) variable { return w.from.variables[x.variable-1] }

// keep returns the number of a variable in the pattern that is written, counted from 1.
func (w *widener) keep(v variable) uint8 {
	for i, known := range w.to.variables {
		if known == v {
			return uint8(i) + 1
		}
	}
	w.to.variables = append(w.to.variables, v)
	return uint8(len(w.to.variables))
}
