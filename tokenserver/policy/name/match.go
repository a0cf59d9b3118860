package name

import "strings"

// maxCombinations bounds how many ways of filling one pattern's placeholders are tried for one name. Only values that
// occur in the name count, so it takes a contrived caller to get there.
const maxCombinations = 256

// Match says whether the pattern matches the name, given as its text and the segments that Split returned, or the last
// ones of them if the pattern begins there.
//
// A placeholder stands for each of the caller's values in turn, the same one wherever it occurs in the pattern. A value
// is unusable if it is empty, if it would make an empty segment, or if it would make several where only values of extra
// may. To a pattern that allows, an unusable value is no value. To a pattern that denies, it is as if "**" stood in the
// place of the segment, and so is a placeholder without any value; in a NATS subject ">" stands for the whole.
func (p *Pattern) Match(text string, segments []string, values *Values, deny bool) bool {
	// A pattern of subjects that denies and has no usable value is no longer about its own text.
	if !(deny && p.grammar == NATS) && !possible(p.segments, segments) {
		return false
	}
	if len(p.variables) == 0 {
		return matchSegments(p.segments, p.parts, segments)
	}
	m := matcher{pattern: p, text: text, segments: segments, values: values}
	if deny {
		m.findUnusable()
		if m.wild != 0 && p.grammar == NATS {
			return true
		}
	}
	if m.try(0) {
		return true
	}
	if deny && m.combinations > maxCombinations {
		m.wild = ^uint32(0)
		return m.filled()
	}
	return false
}

type matcher struct {
	pattern  *Pattern
	text     string
	segments []string
	values   *Values
	chosen   [maxVariables]string
	// wild are placeholders without a usable value, idle those that stand only beside such.
	wild, idle   uint32
	combinations int
}

func (m *matcher) findUnusable() {
	for k, x := range m.pattern.variables {
		n := m.values.count(x)
		if n == 0 {
			m.wild |= 1 << k
		}
		for i := range n {
			if !usable(m.pattern.grammar, x, m.values.at(x, i)) {
				m.wild |= 1 << k
			}
		}
	}
	if m.wild == 0 {
		return
	}
	m.idle = ^uint32(0)
	for i := range m.pattern.segments {
		s := &m.pattern.segments[i]
		if s.kind != Template || m.isWild(s) {
			continue
		}
		for _, x := range m.pattern.parts[s.from:s.to] {
			if x.variable > 0 {
				m.idle &^= 1 << (x.variable - 1)
			}
		}
	}
}

// try fills the placeholders from k on and says whether one filling matches.
func (m *matcher) try(k int) bool {
	if k == len(m.pattern.variables) {
		m.combinations++
		return m.combinations <= maxCombinations && m.filled()
	}
	if (m.wild|m.idle)&(1<<k) != 0 {
		return m.try(k + 1)
	}
	x := m.pattern.variables[k]
	for i := range m.values.count(x) {
		value := m.values.at(x, i)
		if !strings.Contains(m.text, value) || !usable(m.pattern.grammar, x, value) {
			continue
		}
		m.chosen[k] = value
		if m.try(k + 1) {
			return true
		}
		if m.combinations > maxCombinations {
			return false
		}
	}
	return false
}

// filled matches the pattern with the chosen values in it. The arrays are big enough for whatever can match: values that
// make more segments than the name has are given up. They are local so that nothing is allocated.
func (m *matcher) filled() bool {
	var segments [MaxSegments + MaxAskedSegments + 1]Segment
	var parts [MaxLength]part
	ns, np, made := 0, 0, 0
	for i := range m.pattern.segments {
		s := &m.pattern.segments[i]
		if s.kind != Template && s.kind != Glob {
			segments[ns] = *s
			ns++
			continue
		}
		if m.isWild(s) {
			segments[ns] = Segment{kind: m.anything()}
			ns++
			continue
		}
		from := np
		for _, x := range m.pattern.parts[s.from:s.to] {
			if x.variable == 0 {
				parts[np] = x
				np++
				continue
			}
			value := m.chosen[x.variable-1]
			for separator(m.pattern.grammar) == '/' {
				head, tail, found := strings.Cut(value, "/")
				if !found {
					break
				}
				if made++; made > len(m.segments) {
					return false
				}
				parts[np].text = head
				np++
				segments[ns] = Segment{kind: Glob, from: uint16(from), to: uint16(np)}
				ns++
				from, value = np, tail
			}
			parts[np].text = value
			np++
		}
		segments[ns] = Segment{kind: Glob, from: uint16(from), to: uint16(np)}
		ns++
	}
	return matchSegments(segments[:ns], parts[:np], m.segments)
}

func (m *matcher) isWild(s *Segment) bool {
	for _, x := range m.pattern.parts[s.from:s.to] {
		if x.variable > 0 && m.wild&(1<<(x.variable-1)) != 0 {
			return true
		}
	}
	return false
}

func (m *matcher) anything() Kind {
	if m.pattern.grammar == Audience {
		return Any
	}
	return Deep
}

// matchOne says whether a Literal, Any or Glob matches.
func matchOne(s *Segment, parts []part, text string) bool {
	switch s.kind {
	case Literal:
		return s.text == text
	case Any:
		return true
	case Glob:
		return globMatch(parts[s.from:s.to], text)
	default:
		return false
	}
}

// possible compares only what stands at a known distance from an end of the name: the literals in front of the first
// segment that may stand for several, and those behind the last. Most patterns that do not match end here.
func possible(pattern []Segment, segments []string) bool {
	front := 0
	for ; front < len(pattern) && !pattern[front].loose(); front++ {
		if front >= len(segments) || pattern[front].kind == Literal && pattern[front].text != segments[front] {
			return false
		}
	}
	if front == len(pattern) {
		return front == len(segments)
	}
	for back := 1; !pattern[len(pattern)-back].loose(); back++ {
		s := &pattern[len(pattern)-back]
		if back > len(segments) || s.kind == Literal && s.text != segments[len(segments)-back] {
			return false
		}
	}
	return true
}

// loose says whether the segment may stand for any number of segments.
func (s *Segment) loose() bool { return s.kind == Deep || s.kind == Rest || s.kind == Template }

// matchSegments goes back to the last Deep only, which is enough for this kind of pattern and keeps the work at the
// product of the two lengths. What stands behind the last Deep can match nothing but the end of the name.
func matchSegments(pattern []Segment, parts []part, segments []string) bool {
	if last := lastDeep(pattern); last >= 0 {
		behind := pattern[last+1:]
		end := len(segments) - len(behind)
		if end < 0 {
			return false
		}
		for i := range behind {
			if !matchOne(&behind[i], parts, segments[end+i]) {
				return false
			}
		}
		pattern, segments = pattern[:last+1], segments[:end]
	}
	at, i, deep, resume := 0, 0, -1, 0
	for i < len(segments) {
		switch {
		case at < len(pattern) && pattern[at].kind == Rest:
			return true
		case at < len(pattern) && pattern[at].kind == Deep:
			deep, resume = at, i
			at++
		case at < len(pattern) && matchOne(&pattern[at], parts, segments[i]):
			at++
			i++
		case deep >= 0:
			resume++
			at, i = deep+1, resume
		default:
			return false
		}
	}
	for at < len(pattern) && pattern[at].kind == Deep {
		at++
	}
	return at == len(pattern)
}

// lastDeep is -1 if there is none, or if what follows has no fixed length.
func lastDeep(pattern []Segment) int {
	for i := len(pattern) - 1; i >= 0; i-- {
		switch pattern[i].kind {
		case Deep:
			return i
		case Rest:
			return -1
		}
	}
	return -1
}

// globMatch compares byte by byte, going back to the last star only.
func globMatch(parts []part, text string) bool {
	if n := len(parts); n > 0 && !parts[n-1].star && !strings.HasSuffix(text, parts[n-1].text) {
		return false
	}
	at, offset, i, star, resume := 0, 0, 0, -1, 0
	for i < len(text) {
		switch {
		case at < len(parts) && parts[at].star:
			star, resume = at, i
			at++
		case at < len(parts) && offset == len(parts[at].text):
			at, offset = at+1, 0
		case at < len(parts) && parts[at].text[offset] == text[i]:
			offset++
			i++
		case star >= 0:
			resume++
			at, offset, i = star+1, 0, resume
		default:
			return false
		}
	}
	for at < len(parts) && (parts[at].star || offset == len(parts[at].text)) {
		at, offset = at+1, 0
	}
	return at == len(parts)
}
