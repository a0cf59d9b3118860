package policy

import "slices"

// share is part of a large table: a hash table with linear probing. The edit that owns it may change it in place. Go's own
// maps take half as long again to look something up, and several times as long to copy.
type share[V any] struct {
	owner *edit
	// tags has part of the hash of the key at the same place of entries; 0 where there is none. There are a power of two of
	// both, and some are always free.
	tags    []uint32
	entries []entry[V]
	size    int
}

// leastShare is the length of the smallest share that has a key.
const leastShare = 8

// tagOf is the part of a hash that says where a key lies in a share, and tells most other keys apart from it.
func tagOf(hash uint64) uint32 { return max(1, uint32(hash)) }

// find returns the place of a key, or -1.
func (s *share[V]) find(tag uint32, key string) int {
	if len(s.tags) == 0 {
		return -1
	}
	mask := uint32(len(s.tags) - 1)
	for at := tag & mask; s.tags[at] != 0; at = (at + 1) & mask {
		if s.tags[at] == tag && s.entries[at].key == key {
			return int(at)
		}
	}
	return -1
}

// mine copies what others hold, too.
func (s *share[V]) mine(e *edit) {
	if s.owner != e {
		s.owner, s.tags, s.entries = e, slices.Clone(s.tags), slices.Clone(s.entries)
	}
}

// add adds a key that is not there.
func (s *share[V]) add(tag uint32, added entry[V]) {
	if 4*(s.size+1) > 3*len(s.tags) {
		s.grow()
	}
	mask := uint32(len(s.tags) - 1)
	at := tag & mask
	for s.tags[at] != 0 {
		at = (at + 1) & mask
	}
	s.tags[at], s.entries[at] = tag, added
	s.size++
}

func (s *share[V]) grow() {
	before := *s
	n := max(leastShare, 2*len(before.tags))
	s.tags, s.entries, s.size = make([]uint32, n), make([]entry[V], n), 0
	for i, tag := range before.tags {
		if tag != 0 {
			s.add(tag, before.entries[i])
		}
	}
}

// remove takes out a key, and moves back what would not be found any more behind the place that is free now.
func (s *share[V]) remove(tag uint32, key string) {
	free := s.find(tag, key)
	if free < 0 {
		return
	}
	mask := uint32(len(s.tags) - 1)
	hole := uint32(free)
	for at := (hole + 1) & mask; s.tags[at] != 0; at = (at + 1) & mask {
		// How far the key at this place lies behind where it belongs, and behind the hole.
		if (at-s.tags[at])&mask >= (at-hole)&mask {
			s.tags[hole], s.entries[hole] = s.tags[at], s.entries[at]
			hole = at
		}
	}
	s.tags[hole], s.entries[hole] = 0, entry[V]{}
	s.size--
}
