package resource

import (
	"cmp"
	"strings"
)

// patterns is a trie over the segments of uris with {name} or /*. What it costs to find one depends on the path, and at worst
// on how many ways there are to put maxPlaceholders into a beginning of it, however many patterns there are.
type patterns struct {
	literal map[string]*patterns
	any     *patterns
	// end is the pattern that ends here, rest the one that goes on with /*.
	end, rest *pattern
}

// pattern is a uri with {name} or /*, without the names, and who claims it.
type pattern struct {
	text string
	// literal is how long the beginning without a placeholder is, segments how many there are.
	literal, segments int
	rest              bool
	claim
	// order is that of the first claims of all patterns.
	order int
}

// add returns the pattern if it is new.
func (p *patterns) add(text string, by claimant) (added *pattern) {
	trimmed, rest := strings.CutSuffix(text, "/*")
	for segment := range strings.SplitSeq(trimmed, "/") {
		p = p.child(segment)
	}
	place := &p.end
	if rest {
		place = &p.rest
	}
	if *place == nil {
		added = &pattern{text: text, literal: len(trimmed), segments: strings.Count(trimmed, "/") + 1, rest: rest}
		if at := strings.Index(trimmed, placeholder); at >= 0 {
			added.literal = at
		}
		*place = added
	}
	(*place).add(by)
	return added
}

func (p *patterns) child(segment string) *patterns {
	if segment == placeholder {
		if p.any == nil {
			p.any = &patterns{}
		}
		return p.any
	}
	if p.literal == nil {
		p.literal = map[string]*patterns{}
	}
	next := p.literal[segment]
	if next == nil {
		next = &patterns{}
		p.literal[segment] = next
	}
	return next
}

// at returns who claims the very pattern.
func (p *patterns) at(trimmed string, rest bool) claim {
	for segment := range strings.SplitSeq(trimmed, "/") {
		next := p.any
		if segment != placeholder {
			next = p.literal[segment]
		}
		if p = next; p == nil {
			return claim{}
		}
	}
	found := p.end
	if rest {
		found = p.rest
	}
	if found == nil {
		return claim{}
	}
	return found.claim
}

// search goes through the patterns that match a path, or, of a path with placeholders or with a rest, which is /*, through those
// that match all that it does. Without a namespace it finds the one with the oldest claim, with one the most specific of those
// that the namespace claims.
type search struct {
	path      string
	rest      bool
	namespace string
	found     *pattern
	count     int
}

func (p *patterns) search(s search) search {
	if s.path != "" || s.rest {
		s.walk(p, s.path, true)
	}
	return s
}

func (s *search) take(p *pattern) {
	s.count++
	switch {
	case s.namespace == "":
		if s.found == nil || p.order < s.found.order {
			s.found = p
		}
	case p.of(s.namespace) != nil && (s.found == nil || compare(p, s.found) < 0):
		s.found = p
	}
}

// walk goes on with what is left of a path; more says that something is, be it empty.
func (s *search) walk(p *patterns, path string, more bool) {
	if p.rest != nil {
		s.take(p.rest)
	}
	if !more {
		if p.end != nil && !s.rest {
			s.take(p.end)
		}
		return
	}
	segment, after, more := strings.Cut(path, "/")
	if next := p.literal[segment]; next != nil {
		s.walk(next, after, more)
	}
	if p.any != nil && segment != "" {
		s.walk(p.any, after, more)
	}
}

// compare is negative if a is the more specific one.
func compare(a, b *pattern) int {
	rests := 0
	if a.rest != b.rest {
		rests = 1
		if b.rest {
			rests = -1
		}
	}
	return cmp.Or(cmp.Compare(b.literal, a.literal), cmp.Compare(b.segments, a.segments), rests, strings.Compare(a.text, b.text))
}
