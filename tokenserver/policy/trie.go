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
	// end holds the rules whose name ends here, deep those that go on with "**".
	end, deep *hit
}

type wild struct {
	any   *node
	globs []glob
	// tails are what the trie does not branch by: placeholders, and "**" that something follows.
	tails []tail
}

// glob is a segment with stars: the first of its pattern.
type glob struct {
	pattern pattern
	source  string
	next    *node
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

// insert adds one name of a rule under the node.
func (n *node) insert(p pattern, r *rule) {
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
			n = n.branch().glob(p.From(i))
		case name.Deep:
			if i == len(segments)-1 {
				n.deep = &hit{rule: r, next: n.deep}
				return
			}
			n.addTail(p.From(i), r)
			return
		default:
			n.addTail(p.From(i), r)
			return
		}
	}
	n.end = &hit{rule: r, next: n.end}
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

func (w *wild) glob(p pattern) *node {
	source := p.Source(0)
	for _, g := range w.globs {
		if g.source == source {
			return g.next
		}
	}
	next := &node{}
	w.globs = append(w.globs, glob{pattern: p, source: source, next: next})
	return next
}
