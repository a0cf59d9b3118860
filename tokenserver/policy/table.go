package policy

import (
	"hash/maphash"
	"maps"
	"slices"
)

// edit is one change of an index. What it has made it may change in place; all else it copies first, because other
// indexes are made of it, too. It must have a size: else all edits would have one address.
type edit struct{ _ byte }

const (
	// fewKeys are looked through one by one, which is how most tables stay.
	fewKeys = 6
	// manyKeys is where one map is divided: past it a copy of the map would take longer than a copy of a share.
	manyKeys = 1024
	// shares is how many maps a large table has. One of a million keys then copies 4,000 of them for a change.
	shares = 256
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

// large is a table past fewKeys: one map, and past manyKeys one for each share of the keys.
type large[V any] struct {
	owner *edit
	one   map[string]V
	parts *[shares]part[V]
	seed  maphash.Seed
	size  int
}

// part is one share; the edit that owns it may change it in place.
type part[V any] struct {
	owner *edit
	keys  map[string]V
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

func (l *large[V]) get(key string) (value V, found bool) {
	if l.parts == nil {
		value, found = l.one[key]
		return value, found
	}
	value, found = l.parts[l.share(key)].keys[key]
	return value, found
}

func (l *large[V]) share(key string) uint8 { return uint8(maphash.String(l.seed, key)) }

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
	t.rest = &large[V]{owner: e, one: make(map[string]V, 2*fewKeys)}
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
	delete(t.rest.keys(e, key), key)
	t.rest.size--
}

func (t *table[V]) empty() bool { return len(t.few) == 0 && t.rest == nil }

// mine is the table itself if the edit made it, or a copy.
func (l *large[V]) mine(e *edit) *large[V] {
	if l.owner == e {
		return l
	}
	mine := *l
	mine.owner = e
	if l.parts != nil {
		parts := *l.parts
		mine.parts = &parts
	} else {
		mine.one = maps.Clone(l.one)
	}
	return &mine
}

func (l *large[V]) put(e *edit, key string, value V) {
	if l.parts == nil && len(l.one) >= manyKeys {
		l.divide(e)
	}
	keys := l.keys(e, key)
	before := len(keys)
	keys[key] = value
	l.size += len(keys) - before
}

// keys is the map that has the key or shall have it, which the edit may change.
func (l *large[V]) keys(e *edit, key string) map[string]V {
	if l.parts == nil {
		return l.one
	}
	p := &l.parts[l.share(key)]
	switch {
	case p.keys == nil:
		p.keys, p.owner = map[string]V{}, e
	case p.owner != e:
		p.keys, p.owner = maps.Clone(p.keys), e
	}
	return p.keys
}

// divide gives each key to its share.
func (l *large[V]) divide(e *edit) {
	l.parts, l.seed = new([shares]part[V]), maphash.MakeSeed()
	for key, value := range l.one {
		l.keys(e, key)[key] = value
	}
	l.one = nil
}

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
	for key, value := range t.rest.one {
		if !yield(key, value) {
			return
		}
	}
	if t.rest.parts == nil {
		return
	}
	for i := range t.rest.parts {
		for key, value := range t.rest.parts[i].keys {
			if !yield(key, value) {
				return
			}
		}
	}
}
