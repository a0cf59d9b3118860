package name

import "strings"

// sampleWord stands where a pattern leaves open what stands there.
const sampleWord = "x"

// Sample is a name that the pattern matches, made of its own text, the first of the caller's values, and "x" wherever it
// leaves open what stands there. It says false if there is no usable value for a placeholder.
func (p *Pattern) Sample(v *Values) (string, bool) {
	segments := make([]string, 0, len(p.segments))
	for i := range p.segments {
		text, ok := p.sampleSegment(&p.segments[i], v)
		if !ok {
			return "", false
		}
		segments = append(segments, text)
	}
	if sep := separator(p.grammar); sep != 0 {
		return strings.Join(segments, string(sep)), true
	}
	return strings.Join(segments, ""), true
}

func (p *Pattern) sampleSegment(s *Segment, v *Values) (string, bool) {
	switch s.kind {
	case Literal:
		return s.text, true
	case Any, Deep, Rest:
		return sampleWord, true
	}
	var text strings.Builder
	for _, x := range p.parts[s.from:s.to] {
		switch {
		case x.star:
			text.WriteString(sampleWord)
		case x.variable > 0:
			known := p.variables[x.variable-1]
			if v.count(known) == 0 || !usable(p.grammar, known, v.at(known, 0)) {
				return "", false
			}
			text.WriteString(v.at(known, 0))
		default:
			text.WriteString(x.text)
		}
	}
	return text.String(), true
}

// ExtraKeys are the keys of extra that the pattern has placeholders for.
func (p *Pattern) ExtraKeys() []string {
	var keys []string
	for _, x := range p.variables {
		if x.kind == extra {
			keys = append(keys, x.key)
		}
	}
	return keys
}
