package policy

import "github.com/tokenwright/tokenwright/tokenserver/policy/name"

// small is a map that costs little memory while it has few keys, as most in the index have, and whose look-up does not
// depend on how many it has.
type small[V any] struct {
	few  []entry[V]
	many map[string]V
}

type entry[V any] struct {
	key   string
	value V
}

const fewKeys = 6

func (s *small[V]) get(key string) (value V, found bool) {
	if s.many != nil {
		value, found = s.many[key]
		return value, found
	}
	for i := range s.few {
		if s.few[i].key == key {
			return s.few[i].value, true
		}
	}
	return value, false
}

// put adds a key that is not there.
func (s *small[V]) put(key string, value V) {
	switch {
	case s.many != nil:
		s.many[key] = value
	case len(s.few) < fewKeys:
		s.few = append(s.few, entry[V]{key, value})
	default:
		s.many = make(map[string]V, 2*fewKeys)
		for _, e := range s.few {
			s.many[e.key] = e.value
		}
		s.many[key] = value
		s.few = nil
	}
}

// node is where the segments read so far have led.
type node struct {
	// literal continues with one given segment; wild with all else, and is nil where there is nothing else.
	literal small[*node]
	wild    *wild
	// end holds the rules whose name ends here, deep those that go on with "**", rest those with ">".
	end, deep, rest *hit
}

type wild struct {
	any   *node
	globs []glob
	// known finds a glob when there are more than a few: policies may put very many at one place.
	known map[string]*node
	// tails are what the trie does not branch by: placeholders, and "**" that something follows.
	tails []tail
}

// glob is a segment with stars.
type glob struct {
	stars  name.Stars
	source string
	next   *node
}

type tail struct {
	pattern pattern
	rule    *rule
}

// hit is a list of rules.
type hit struct {
	rule *rule
	next *hit
}

// add puts a rule in front of the list, unless it is there already: several of its names may lead to one place.
func (h *hit) add(r *rule) *hit {
	if h != nil && h.rule == r {
		return h
	}
	return &hit{rule: r, next: h}
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

// insert adds one name of a rule under the node.
func (n *node) insert(p *pattern, r *rule) {
	segments := p.Segments()
	for i := range segments {
		s := &segments[i]
		switch s.Kind() {
		case name.Literal:
			n = n.child(s.Text())
		case name.Any:
			w := n.branch()
			if w.any == nil {
				w.any = &node{}
			}
			n = w.any
		case name.Glob:
			n = n.branch().glob(p, i)
		case name.Deep:
			if i == len(segments)-1 {
				n.deep = n.deep.add(r)
				return
			}
			n.addTail(p.From(i), r)
			return
		case name.Rest:
			n.rest = n.rest.add(r)
			return
		default:
			n.addTail(p.From(i), r)
			return
		}
	}
	n.end = n.end.add(r)
}

func (n *node) addTail(p pattern, r *rule) {
	w := n.branch()
	w.tails = append(w.tails, tail{p, r})
}

func (n *node) child(key string) *node {
	if next, found := n.literal.get(key); found {
		return next
	}
	next := &node{}
	n.literal.put(key, next)
	return next
}

func (n *node) branch() *wild {
	if n.wild == nil {
		n.wild = &wild{}
	}
	return n.wild
}

func (w *wild) glob(p *pattern, segment int) *node {
	source := p.Segments()[segment].Text()
	if next := w.find(source); next != nil {
		return next
	}
	next := &node{}
	w.globs = append(w.globs, glob{stars: p.Stars(segment), source: source, next: next})
	switch {
	case w.known != nil:
		w.known[source] = next
	case len(w.globs) > fewKeys:
		w.known = make(map[string]*node, 2*fewKeys)
		for _, g := range w.globs {
			w.known[g.source] = g.next
		}
	}
	return next
}

func (w *wild) find(source string) *node {
	if w.known != nil {
		return w.known[source]
	}
	for i := range w.globs {
		if w.globs[i].source == source {
			return w.globs[i].next
		}
	}
	return nil
}
