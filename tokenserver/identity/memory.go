package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// digest stands for credentials in memory.
type digest [sha256.Size]byte

// seal makes digests under a key that only this process knows: a dump of the memory does not help to guess a password,
// and nobody outside can make two credentials meet in one place.
type seal [32]byte

func newSeal() (s seal) {
	_, _ = rand.Read(s[:]) // never fails: crypto/rand ends the process instead
	return s
}

// of returns the digest of the parts; their lengths go in too, so that no two lists run together.
func (s seal) of(parts ...string) (d digest) {
	mac := hmac.New(sha256.New, s[:])
	for _, part := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		_, _ = mac.Write(size[:])
		_, _ = mac.Write([]byte(part))
	}
	mac.Sum(d[:0])
	return d
}

// memory keeps a bounded number of values, each until its time.
type memory[V any] struct {
	max     int
	mu      sync.RWMutex
	entries map[digest]remembered[V]
}

type remembered[V any] struct {
	value V
	until time.Time
}

func newMemory[V any](most int) *memory[V] {
	return &memory[V]{max: most, entries: map[digest]remembered[V]{}}
}

func (m *memory[V]) get(key digest, now time.Time) (V, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	entry, ok := m.entries[key]
	if !ok || !now.Before(entry.until) {
		var none V
		return none, false
	}
	return entry.value, true
}

// put keeps the value until the time. When there is no room, what has passed goes first, then anything.
func (m *memory[V]) put(key digest, value V, until, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.entries[key]; !ok && len(m.entries) >= m.max {
		m.makeRoom(now)
	}
	m.entries[key] = remembered[V]{value: value, until: until}
}

// makeRoom looks at a few entries only, so that a full memory does not make each put walk all of it. Maps are walked from
// a random place.
func (m *memory[V]) makeRoom(now time.Time) {
	const looked = 16
	seen, dropped := 0, 0
	for key, entry := range m.entries {
		if !now.Before(entry.until) {
			delete(m.entries, key)
			dropped++
		}
		if seen++; seen >= looked {
			break
		}
	}
	if dropped > 0 {
		return
	}
	for key := range m.entries {
		delete(m.entries, key)
		return
	}
}
