package policy

import (
	"slices"

	"github.com/tokenwright/tokenwright/tokenserver/policy/name"
)

// How the trie changes: what lies on the way to a name is made the edit's own, and the rest is shared.

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

// stepAt says how a name of the rule goes on at the depth.
func stepAt(p *pattern, depth int, r *rule) step {
	segments := p.Segments()
	switch {
	case r.policy.deny && p.Boundless():
		return stepTail
	case depth == len(segments):
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
	switch stepAt(p, depth, r) {
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
	switch stepAt(p, depth, r) {
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
	switch stepAt(p, depth, r) {
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
