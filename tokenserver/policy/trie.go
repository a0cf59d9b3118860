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

// step is how a name goes on at a node.
type step uint8

const (
	// stepEnd, stepDeep and stepRest are the lists of a node; stepTail is the rest of a name that the trie does not branch
	// by; the others lead to another node.
	stepEnd step = iota
	stepDeep
	stepRest
	stepTail
	stepLiteral
	stepAny
	stepGlob
)

// stepAt says how a name goes on at the depth.
func stepAt(segments []name.Segment, depth int) step {
	if depth == len(segments) {
		return stepEnd
	}
	switch segments[depth].Kind() {
	case name.Literal:
		return stepLiteral
	case name.Any:
		return stepAny
	case name.Glob:
		return stepGlob
	case name.Rest:
		return stepRest
	case name.Deep:
		if depth == len(segments)-1 {
			return stepDeep
		}
	}
	return stepTail
}

// with is the node with one name of a rule below it, from the depth on.
func (n *node) with(e *edit, p *pattern, depth int, r *rule) *node {
	n = n.mine(e)
	segments := p.Segments()
	switch stepAt(segments, depth) {
	case stepEnd:
		n.end = n.end.with(r)
	case stepDeep:
		n.deep = n.deep.with(r)
	case stepRest:
		n.rest = n.rest.with(r)
	case stepTail:
		rest := p.From(depth)
		n.wild = n.wild.mine(e)
		n.wild.tails = append(n.wild.tails, tail{&rest, r})
	case stepLiteral:
		key := segments[depth].Text()
		before, _ := n.literal.get(key)
		if after := before.with(e, p, depth+1, r); after != before {
			n.literal.put(e, key, after)
		}
	case stepAny:
		n.wild = n.wild.mine(e)
		n.wild.any = n.wild.any.with(e, p, depth+1, r)
	case stepGlob:
		n.wild = n.wild.mine(e)
		n.wild.addGlob(e, p, depth, r)
	}
	return n
}

// without is the node without that name of the rule; nil if nothing is left. What is not there is left alone: another of
// the rule's names may have led to the same place.
func (n *node) without(e *edit, p *pattern, depth int, r *rule) *node {
	if n == nil {
		return nil
	}
	n = n.mine(e)
	segments := p.Segments()
	switch stepAt(segments, depth) {
	case stepEnd:
		n.end = n.end.without(r)
	case stepDeep:
		n.deep = n.deep.without(r)
	case stepRest:
		n.rest = n.rest.without(r)
	case stepLiteral:
		key := segments[depth].Text()
		before, _ := n.literal.get(key)
		switch after := before.without(e, p, depth+1, r); {
		case after == nil:
			n.literal.remove(e, key)
		case after != before:
			n.literal.put(e, key, after)
		}
	default:
		n.wild = n.wild.without(e, p, depth, r)
	}
	if n.empty() {
		return nil
	}
	return n
}

func (w *wild) without(e *edit, p *pattern, depth int, r *rule) *wild {
	if w == nil {
		return nil
	}
	w = w.mine(e)
	switch stepAt(p.Segments(), depth) {
	case stepAny:
		w.any = w.any.without(e, p, depth+1, r)
	case stepGlob:
		w.removeGlob(e, p, depth, r)
	default:
		w.tails = slices.DeleteFunc(w.tails, func(t tail) bool { return t.rule == r })
	}
	if w.empty() {
		return nil
	}
	return w
}

// addGlob and removeGlob change what follows a segment with stars. The glob is replaced and not changed, because others
// may hold it; each costs a copy of the list of pointers once in an edit.
func (w *wild) addGlob(e *edit, p *pattern, depth int, r *rule) {
	source := p.Segments()[depth].Text()
	if at := w.find(source); at >= 0 {
		g := w.globs[at]
		if next := g.next.with(e, p, depth+1, r); next != g.next {
			w.globs[at] = &glob{stars: g.stars, source: source, next: next}
		}
		return
	}
	var none *node
	w.globs = append(w.globs, &glob{stars: p.Stars(depth), source: source, next: none.with(e, p, depth+1, r)})
	switch {
	case !w.known.empty():
		w.known.put(e, source, len(w.globs)-1)
	case len(w.globs) > fewKeys:
		for i, g := range w.globs {
			w.known.put(e, g.source, i)
		}
	}
}

func (w *wild) removeGlob(e *edit, p *pattern, depth int, r *rule) {
	source := p.Segments()[depth].Text()
	at := w.find(source)
	if at < 0 {
		return
	}
	g := w.globs[at]
	next := g.next.without(e, p, depth+1, r)
	if next != nil {
		if next != g.next {
			w.globs[at] = &glob{stars: g.stars, source: source, next: next}
		}
		return
	}
	last := len(w.globs) - 1
	w.globs[at], w.globs[last] = w.globs[last], nil
	w.globs = w.globs[:last]
	if w.known.empty() {
		return
	}
	w.known.remove(e, source)
	if at != last {
		w.known.put(e, w.globs[at].source, at)
	}
}

// find returns the place of a glob, or -1.
func (w *wild) find(source string) int {
	if w.known.empty() {
		return slices.IndexFunc(w.globs, func(g *glob) bool { return g.source == source })
	}
	if at, found := w.known.get(source); found {
		return at
	}
	return -1
}
