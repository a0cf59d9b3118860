package identity

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory[int](100)
	for i := range 10_000 {
		var key digest
		binary.BigEndian.PutUint64(key[:], uint64(i))
		m.put(key, i, noon.Add(time.Duration(i%7)*time.Second), noon)
		if len(m.entries) > 100 {
			t.Fatalf("%d entries after %d", len(m.entries), i+1)
		}
	}
}

func TestMemoryForgetsAtItsTime(t *testing.T) {
	m := newMemory[string](1)
	m.put(digest{}, "x", noon.Add(time.Second), noon)
	if _, ok := m.get(digest{}, noon.Add(999*time.Millisecond)); !ok {
		t.Error("forgotten too early")
	}
	if _, ok := m.get(digest{}, noon.Add(time.Second)); ok {
		t.Error("remembered too long")
	}
}

func TestSealTellsListsApart(t *testing.T) {
	s := newSeal()
	if s.of("ab", "c") == s.of("a", "bc") {
		t.Error("a user ab with password c is the user a with password bc")
	}
	if s.of("a") == newSeal().of("a") {
		t.Error("two processes make the same digest")
	}
}
