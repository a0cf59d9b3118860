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

// pattern is a uri with {name} or /*, without the names.
type pattern struct {
	text string
	// literal is how long the beginning without a placeholder is, segments how many there are.
	literal, segments int
	rest              bool
	resource          *Resource
}

func (p *patterns) add(text string, r *Resource) {
	trimmed, rest := strings.CutSuffix(text, "/*")
	added := &pattern{text: text, literal: len(trimmed), segments: strings.Count(trimmed, "/") + 1, rest: rest, resource: r}
	if at := strings.Index(trimmed, placeholder); at >= 0 {
		added.literal = at
	}
	for segment := range strings.SplitSeq(trimmed, "/") {
		p = p.child(segment)
	}
	if rest {
		p.rest = added
		return
	}
	p.end = added
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

func (p *patterns) match(path string) *Resource {
	var best *pattern
	if path != "" {
		p.walk(path, true, &best)
	}
	if best == nil {
		return nil
	}
	return best.resource
}

// walk goes on with the rest of a path; more says that there is one, be it empty.
func (p *patterns) walk(path string, more bool, best **pattern) {
	if p.rest != nil {
		p.rest.improve(best)
	}
	if !more {
		if p.end != nil {
			p.end.improve(best)
		}
		return
	}
	segment, after, more := strings.Cut(path, "/")
	if next := p.literal[segment]; next != nil {
		next.walk(after, more, best)
	}
	if p.any != nil && segment != "" {
		p.any.walk(after, more, best)
	}
}

// covers says whether all that a claim matches is matched by one pattern of another namespace.
func (p *patterns) covers(claimed, namespace string) bool {
	trimmed, rest := strings.CutSuffix(claimed, "/*")
	return p.covering(trimmed, true, rest, namespace)
}

// covering goes on with the rest of a claim; a placeholder in it is matched by a placeholder, and /* by /*.
func (p *patterns) covering(claimed string, more, rest bool, namespace string) bool {
	if p.rest != nil && p.rest.resource.Namespace != namespace {
		return true
	}
	if !more {
		return !rest && p.end != nil && p.end.resource.Namespace != namespace
	}
	segment, after, more := strings.Cut(claimed, "/")
	if next := p.literal[segment]; next != nil && next.covering(after, more, rest, namespace) {
		return true
	}
	return p.any != nil && segment != "" && p.any.covering(after, more, rest, namespace)
}

// improve takes the place of what fits less well. No two patterns are equal: they would be one claim.
func (p *pattern) improve(best **pattern) {
	if *best == nil || compare(p, *best) < 0 {
		*best = p
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
