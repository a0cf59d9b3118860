package name

// Grammar says how names of a type are read.
type Grammar uint8

// The grammars.
const (
	// Path splits at "/"; "*" matches within one segment and "**" any number of segments.
	Path Grammar = iota
	// Repository is Path for names that registries turn into URLs: "." and ".." are no segments.
	Repository
	// Audience is one text, such as https://api.example.com/v1; "*" matches any run of characters.
	Audience
	// NATS splits at "."; "*" is one token and ">" is one or more at the end, as in the NATS protocol.
	NATS
)

// Bounds of a pattern.
const (
	MaxLength   = 256
	MaxStars    = 4
	MaxSegments = 16
)

// Kind says how a segment of a pattern matches.
type Kind uint8

// The kinds of segments.
const (
	// Literal matches the same text.
	Literal Kind = iota
	// Any matches any one segment.
	Any
	// Glob is text with stars in it.
	Glob
	// Deep matches zero or more segments.
	Deep
	// Rest matches one or more segments; it is always the last.
	Rest
	// Template holds placeholders, and perhaps stars.
	Template
)

// Segment is what stands between two separators of a pattern.
type Segment struct {
	kind Kind
	// from and to delimit the parts of a Glob or Template in its pattern's.
	from, to uint16
	// text is what a Literal matches, and how a Glob was written.
	text string
}

// part is a piece of a segment: a star, a placeholder (variable counts from 1), or text.
type part struct {
	star     bool
	variable uint8
	text     string
}

// Kind says how the segment matches.
func (s *Segment) Kind() Kind { return s.kind }

// Text is what a Literal matches, and how a Glob was written.
func (s *Segment) Text() string { return s.text }

// Pattern matches names. It is immutable.
type Pattern struct {
	grammar   Grammar
	segments  []Segment
	parts     []part
	variables []variable
	source    string
}

// String is the pattern as it was written.
func (p *Pattern) String() string { return p.source }

// Segments are the pattern's segments. Treat them as read-only.
func (p *Pattern) Segments() []Segment { return p.segments }

// IsLiteral says whether the pattern matches one name only, whoever asks.
func (p *Pattern) IsLiteral() bool {
	for i := range p.segments {
		if p.segments[i].kind != Literal {
			return false
		}
	}
	return len(p.segments) > 0
}

// From is the pattern without its first n segments, none of which may be a Template.
func (p Pattern) From(n int) Pattern {
	p.segments = p.segments[n:]
	return p
}

// Boundless says whether the pattern, where it denies, may match names that do not begin as it does: a NATS subject with a
// placeholder, which without a usable value is ">" as a whole. See Match.
func (p *Pattern) Boundless() bool { return p.grammar == NATS && len(p.variables) > 0 }

// Stars is a Glob apart from its pattern.
type Stars struct{ parts []part }

// Stars returns a segment of the pattern that is a Glob.
func (p *Pattern) Stars(segment int) Stars {
	s := &p.segments[segment]
	return Stars{p.parts[s.from:s.to:s.to]}
}

// Match says whether the segment matches the text, which must not be empty.
func (s Stars) Match(text string) bool { return globMatch(s.parts, text) }

// Everything matches every name of the grammar.
func Everything(g Grammar) Pattern {
	switch g {
	case Audience:
		return Pattern{grammar: g, source: "*", segments: []Segment{{kind: Any}}}
	case NATS:
		return Pattern{grammar: g, source: ">", segments: []Segment{{kind: Rest}}}
	default:
		return Pattern{grammar: g, source: "**", segments: []Segment{{kind: Deep}}}
	}
}
