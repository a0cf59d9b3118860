package revocation

import (
	"sync"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

const (
	// Leeway is how long after issuedBefore a signed token may have been issued and is revoked all the same: its iat comes
	// from another clock.
	Leeway = time.Minute
	// Backdate is how far iat of our own tokens may lie in the past.
	Backdate = time.Minute
)

// Set is what is revoked now. It may be used by many at once. Its zero value is empty and ready.
type Set struct {
	mu      sync.RWMutex
	objects map[string]entry
	// tokens counts the objects that name a token.
	tokens map[string]int
	// subjects are the times until which a subject's tokens are revoked, ascending: one for each object.
	subjects map[subject][]int64
}

// subject is a user at an audience; an empty one stands for all.
type subject struct{ username, audience string }

// entry is what one object says: a token, or a subject and a time.
type entry struct {
	token   string
	subject subject
	before  int64
}

// Put takes in the object of the name, in place of what it said before.
func (s *Set) Put(name string, spec v1alpha1.TokenRevocationSpec) {
	next := entryOf(spec)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects == nil {
		s.objects, s.tokens, s.subjects = map[string]entry{}, map[string]int{}, map[subject][]int64{}
	}
	if old, ok := s.objects[name]; ok {
		if old == next {
			return
		}
		s.remove(old) // nobody can look before the new one is in
	}
	s.objects[name] = next
	s.add(next)
}

// Delete lifts what the object of the name said. What others say stays.
func (s *Set) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.objects[name]; ok {
		delete(s.objects, name)
		s.remove(old)
	}
}

// Has says whether an object of the name is in the set.
func (s *Set) Has(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.objects[name]
	return ok
}

// Len is the number of objects.
func (s *Set) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.objects)
}

// Token says whether a token is revoked by its id.
func (s *Set) Token(id string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tokens[id] > 0
}

// Subject says whether a signed token of the user for the audience is revoked by when it was issued. A token of several
// audiences is revoked for each of them apart; without an audience it is only by revocations that name none.
func (s *Set) Subject(username, audience string, iat time.Time) bool {
	before, ok := s.before(username, audience)
	return ok && !iat.After(time.Unix(before, 0).Add(Leeway))
}

// Record says whether a record of the user for the audience is revoked. Creation times of objects come from one clock,
// and need no leeway.
func (s *Set) Record(username, audience string, created time.Time) bool {
	before, ok := s.before(username, audience)
	return ok && !created.After(time.Unix(before, 0))
}

// Minting says how long minting for the user and audience must wait, in whole seconds: what is minted before is revoked
// when it is born. 0: not at all.
func (s *Set) Minting(username, audience string, now time.Time) time.Duration {
	before, ok := s.before(username, audience)
	if !ok {
		return 0
	}
	// iat has no fractions, and the first second after the leeway is the first that is good.
	first := before + int64((Leeway+Backdate)/time.Second) + 1
	seconds := first - now.Unix()
	return time.Duration(min(max(seconds, 0), longestWait)) * time.Second
}

// longestWait is what a Duration can hold, in seconds.
const longestWait = int64(1<<63-1) / int64(time.Second)

// before is the latest time until which something is revoked.
func (s *Set) before(username, audience string) (int64, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := s.subjects[subject{username, ""}]
	here := all
	if audience != "" {
		here = s.subjects[subject{username, audience}]
	}
	switch {
	case len(all) == 0 && len(here) == 0:
		return 0, false
	case len(all) == 0:
		return here[len(here)-1], true
	case len(here) == 0:
		return all[len(all)-1], true
	}
	return max(all[len(all)-1], here[len(here)-1]), true
}
