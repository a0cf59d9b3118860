package policy

import (
	"hash/maphash"
	"slices"
)

// edit is one change of an index. What it has made it may change in place; all else it copies first, because other
// indexes are made of it, too. It must have a size: else all edits would have one address.
type edit struct{ _ byte }

const (
	// fewKeys are looked through one by one, which is how most tables stay.
	fewKeys = 6
	// manyKeys is where a table is divided: past it a copy of all keys would take longer than a copy of a share.
	manyKeys = 1024
	// shareBits says into how many shares, which are told apart by the first bits of the hash. One of a million keys then
	// copies some 4,000 of them for a change.
	shareBits = 8
)

// table is a map that costs little memory while it has few keys, whose look-up does not depend on how many it has, and
// of which a changed copy shares with the original all but a small part. Whoever holds a table in a struct of an edit's
// own, with few cloned, may change it in that edit.
type table[V any] struct {
	few  []entry[V]
	rest *large[V]
}

type entry[V any] struct {
	key   string
	value V
}

// large is a table past fewKeys: one share, and many past manyKeys.
type large[V any] struct {
	owner  *edit
	seed   maphash.Seed
	shift  uint8
	shares []share[V]
	size   int
}

func (t *table[V]) get(key string) (value V, found bool) {
	if t.rest != nil {
		return t.rest.get(key)
	}
	for i := range t.few {
		if t.few[i].key == key {
			return t.few[i].value, true
		}
	}
	return value, false
}

// clone is the copy to change in an edit.
func (t table[V]) clone() table[V] {
	t.few = slices.Clone(t.few)
	return t
}

// put sets the value of a key.
func (t *table[V]) put(e *edit, key string, value V) {
	if t.rest != nil {
		t.rest = t.rest.mine(e)
		t.rest.put(e, key, value)
		return
	}
	for i := range t.few {
		if t.few[i].key == key {
			t.few[i].value = value
			return
		}
	}
	if len(t.few) < fewKeys {
		t.few = append(t.few, entry[V]{key, value})
		return
	}
	t.rest = &large[V]{owner: e, seed: maphash.MakeSeed(), shift: 64, shares: make([]share[V], 1)}
	for _, known := range t.few {
		t.rest.put(e, known.key, known.value)
	}
	t.rest.put(e, key, value)
	t.few = nil
}

// remove takes a key out, if it is there.
func (t *table[V]) remove(e *edit, key string) {
	if t.rest == nil {
		t.few = slices.DeleteFunc(t.few, func(x entry[V]) bool { return x.key == key })
		return
	}
	if _, found := t.rest.get(key); !found {
		return
	}
	if t.rest.size == 1 {
		*t = table[V]{}
		return
	}
	t.rest = t.rest.mine(e)
	s, hash := t.rest.share(key)
	s.mine(e)
	s.remove(tagOf(hash), key)
	t.rest.size--
}

func (t *table[V]) empty() bool { return len(t.few) == 0 && t.rest == nil }

// all goes through the keys, in no particular order.
func (t *table[V]) all(yield func(string, V) bool) {
	for _, e := range t.few {
		if !yield(e.key, e.value) {
			return
		}
	}
	if t.rest == nil {
		return
	}
	for i := range t.rest.shares {
		for at, tag := range t.rest.shares[i].tags {
			if e := &t.rest.shares[i].entries[at]; tag != 0 && !yield(e.key, e.value) {
				return
			}
		}
	}
}

func (l *large[V]) share(key string) (*share[V], uint64) {
	hash := maphash.String(l.seed, key)
	return &l.shares[hash>>l.shift], hash
}

func (l *large[V]) get(key string) (value V, found bool) {
	s, hash := l.share(key)
	if at := s.find(tagOf(hash), key); at >= 0 {
		return s.entries[at].value, true
	}
	return value, false
}

// mine is the table itself if the edit made it, or a copy.
func (l *large[V]) mine(e *edit) *large[V] {
	if l.owner == e {
		return l
	}
	mine := *l
	mine.owner, mine.shares = e, slices.Clone(l.shares)
	return &mine
}

func (l *large[V]) put(e *edit, key string, value V) {
	if len(l.shares) == 1 && l.size >= manyKeys {
		l.divide(e)
	}
	s, hash := l.share(key)
	s.mine(e)
	if at := s.find(tagOf(hash), key); at >= 0 {
		s.entries[at].value = value
		return
	}
	s.add(tagOf(hash), entry[V]{key, value})
	l.size++
}

// divide gives each key to its share.
func (l *large[V]) divide(e *edit) {
	whole := l.shares[0]
	l.shift, l.shares = 64-shareBits, make([]share[V], 1<<shareBits)
	for i, tag := range whole.tags {
		if tag != 0 {
			s, _ := l.share(whole.entries[i].key)
			s.owner = e
			s.add(tag, whole.entries[i])
		}
	}
}
