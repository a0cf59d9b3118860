package name

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Parse reads a pattern. The error says what a person must change.
func Parse(g Grammar, text string) (Pattern, error) {
	if text == "" {
		return Pattern{}, errors.New("must not be empty")
	}
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > MaxLength {
		return Pattern{}, fmt.Errorf("must be at most %d characters of UTF-8", MaxLength)
	}
	if strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0 {
		return Pattern{}, errors.New("must not hold control characters")
	}
	p := parser{pattern: Pattern{grammar: g, source: text}}
	if err := p.read(text); err != nil {
		return Pattern{}, err
	}
	if len(p.pattern.segments) > MaxSegments {
		return Pattern{}, fmt.Errorf("must have at most %d segments", MaxSegments)
	}
	if p.stars > MaxStars {
		return Pattern{}, fmt.Errorf("must have at most %d stars", MaxStars)
	}
	return p.pattern, nil
}

// parser collects segments. Placeholders are taken out first: a key may hold the separator and stars.
type parser struct {
	pattern Pattern
	parts   []part
	stars   int
}

func (p *parser) read(text string) error {
	// segment is the text from where the segment begins.
	segment := text
	for text != "" {
		if rest, found := strings.CutPrefix(text, "${"); found {
			body, after, closed := strings.Cut(rest, "}")
			if !closed {
				return errors.New(`"${" must be closed by "}"`)
			}
			if err := p.placeholder(body); err != nil {
				return err
			}
			text = after
			continue
		}
		if text[0] == p.separator() {
			if err := p.endSegment(segment[:len(segment)-len(text)]); err != nil {
				return err
			}
			if p.pattern.segments[len(p.pattern.segments)-1].kind == Rest {
				return errors.New(`">" must be the last token`)
			}
			text = text[1:]
			segment = text
			continue
		}
		n := p.run(text)
		p.parts = append(p.parts, part{star: text[0] == '*', text: strings.TrimPrefix(text[:n], "*")})
		text = text[n:]
	}
	return p.endSegment(segment)
}

func (p *parser) separator() byte { return separator(p.pattern.grammar) }

// separator is 0, which no name holds, for a grammar without segments.
func separator(g Grammar) byte {
	switch g {
	case Audience:
		return 0
	case NATS:
		return '.'
	default:
		return '/'
	}
}

func (p *parser) placeholder(body string) error {
	v, err := parseVariable(body)
	if err != nil {
		return err
	}
	at := -1
	for i, known := range p.pattern.variables {
		if known == v {
			at = i
		}
	}
	if at < 0 {
		at = len(p.pattern.variables)
		p.pattern.variables = append(p.pattern.variables, v)
	}
	if at >= maxVariables {
		return fmt.Errorf("must have at most %d placeholders", maxVariables)
	}
	p.parts = append(p.parts, part{variable: uint8(at) + 1})
	return nil
}

// run is the length of the text up to the next star, separator or placeholder, or of a star.
func (p *parser) run(text string) int {
	for i := 1; i < len(text); i++ {
		if text[0] == '*' || text[i] == '*' || text[i] == p.separator() || strings.HasPrefix(text[i:], "${") {
			return i
		}
	}
	return len(text)
}

func (p *parser) endSegment(text string) error {
	s, err := p.segment(p.parts)
	if err != nil {
		return err
	}
	if s.kind == Glob {
		s.text = text
	}
	p.parts = p.parts[:0]
	p.pattern.segments = append(p.pattern.segments, s)
	return nil
}

func (p *parser) segment(parts []part) (Segment, error) {
	if len(parts) == 0 {
		return Segment{}, fmt.Errorf("must not have an empty segment: %q stands at an end or twice", p.separator())
	}
	if p.pattern.grammar == NATS {
		return p.token(parts)
	}
	stars, templates := 0, 0
	for i, x := range parts {
		switch {
		case x.star && i > 0 && parts[i-1].star && (len(parts) > 2 || p.pattern.grammar == Audience):
			return Segment{}, errors.New(`"**" must stand alone between two "/"`)
		case x.star:
			stars++
		case x.variable > 0:
			templates++
		}
	}
	if stars == 2 && len(parts) == 2 {
		p.stars++
		return Segment{kind: Deep}, nil
	}
	p.stars += stars
	switch {
	case templates > 0:
		return p.keep(Template, parts), nil
	case stars > 0 && len(parts) == 1:
		return Segment{kind: Any}, nil
	case stars > 0:
		return p.keep(Glob, parts), nil
	}
	if text := parts[0].text; p.pattern.grammar == Repository && (text == "." || text == "..") {
		return Segment{}, fmt.Errorf("must not have the segment %q", text)
	}
	return Segment{kind: Literal, text: parts[0].text}, nil
}

// token is a segment of a NATS subject: wildcards are whole tokens.
func (p *parser) token(parts []part) (Segment, error) {
	if len(parts) == 1 && parts[0].star {
		p.stars++
		return Segment{kind: Any}, nil
	}
	if len(parts) == 1 && parts[0].text == ">" {
		p.stars++
		return Segment{kind: Rest}, nil
	}
	template := false
	for _, x := range parts {
		if x.star || strings.Contains(x.text, ">") || strings.IndexFunc(x.text, unicode.IsSpace) >= 0 {
			return Segment{}, errors.New(`"*" and ">" must stand alone between two ".", and there must be no white space`)
		}
		template = template || x.variable > 0
	}
	if template {
		return p.keep(Template, parts), nil
	}
	return Segment{kind: Literal, text: parts[0].text}, nil
}

func (p *parser) keep(kind Kind, parts []part) Segment {
	from := len(p.pattern.parts)
	p.pattern.parts = append(p.pattern.parts, parts...)
	return Segment{kind: kind, from: uint16(from), to: uint16(len(p.pattern.parts))}
}
