package policy

import (
	"slices"

	"github.com/tokenwright/tokenwright/tokenserver/policy/name"
)

// node is where the segments read so far have led. Only the edit that owns it changes it.
type node struct {
	owner *edit
	// literal continues with one given segment; wild with all else, and is nil where there is nothing else.
	literal table[*node]
	wild    *wild
	// end holds the rules whose name ends here, deep those that go on with "**", rest those with ">".
	end, deep, rest *hit
}

type wild struct {
	owner *edit
	any   *node
	globs []*glob
	// known finds the place of a glob once there are more than a few: policies may put very many at one node.
	known table[int]
	// tails are what the trie does not branch by: placeholders, and "**" that something follows.
	tails []tail
}

// glob is a segment with stars. It is never changed, only replaced.
type glob struct {
	stars  name.Stars
	source string
	next   *node
}

type tail struct {
	pattern *pattern
	rule    *rule
}

// hit is a list of rules. It is never changed.
type hit struct {
	rule *rule
	next *hit
}

// with puts a rule in front of the list, unless it is there already: several of its names may lead to one place.
func (h *hit) with(r *rule) *hit {
	if h != nil && h.rule == r {
		return h
	}
	return &hit{rule: r, next: h}
}

// without is the list without the rule; what follows it is shared.
func (h *hit) without(r *rule) *hit {
	var first *hit
	last := &first
	for at := h; at != nil; at = at.next {
		if at.rule == r {
			*last = at.next
			return first
		}
		mine := &hit{rule: at.rule}
		*last, last = mine, &mine.next
	}
	return h
}

// mine is the node itself if the edit made it, or a copy; of none it is a new one.
func (n *node) mine(e *edit) *node {
	switch {
	case n == nil:
		return &node{owner: e}
	case n.owner == e:
		return n
	}
	mine := *n
	mine.owner, mine.literal = e, n.literal.clone()
	return &mine
}

func (n *node) empty() bool {
	return n.literal.empty() && n.wild == nil && n.end == nil && n.deep == nil && n.rest == nil
}

func (w *wild) mine(e *edit) *wild {
	switch {
	case w == nil:
		return &wild{owner: e}
	case w.owner == e:
		return w
	}
	return &wild{owner: e, any: w.any, globs: slices.Clone(w.globs), known: w.known.clone(), tails: slices.Clone(w.tails)}
}

func (w *wild) empty() bool { return w.any == nil && len(w.globs) == 0 && len(w.tails) == 0 }

// scanned says whether a name is looked for one by one at some node, rather than looked up.
func scanned(p *pattern) bool {
	segments := p.Segments()
	for i := range segments {
		switch segments[i].Kind() {
		case name.Glob, name.Template:
			return true
		case name.Deep:
			if i < len(segments)-1 {
				return true
			}
		}
	}
	return false
}
