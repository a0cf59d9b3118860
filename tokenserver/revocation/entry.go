package revocation

import (
	"slices"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// entryOf reads an object. One that names nothing, which the API server refuses, revokes nothing.
func entryOf(spec v1alpha1.TokenRevocationSpec) entry {
	switch {
	case spec.Token != nil:
		return entry{token: spec.Token.ID}
	case spec.Subject != nil:
		return entry{
			subject: subject{spec.Subject.Username, string(spec.Subject.Audience)},
			before:  Time(spec.Subject.IssuedBefore).Unix(),
		}
	}
	return entry{}
}

// add counts what an object says. Whoever calls it holds the lock.
func (s *Set) add(e entry) {
	switch {
	case e.token != "":
		s.tokens[e.token]++
	case e.subject.username != "":
		times := s.subjects[e.subject]
		at, _ := slices.BinarySearch(times, e.before)
		s.subjects[e.subject] = slices.Insert(times, at, e.before)
	}
}

// remove takes back what add did. Whoever calls it holds the lock.
func (s *Set) remove(e entry) {
	switch {
	case e.token != "":
		if s.tokens[e.token]--; s.tokens[e.token] == 0 {
			delete(s.tokens, e.token)
		}
	case e.subject.username != "":
		times := s.subjects[e.subject]
		if len(times) == 1 {
			delete(s.subjects, e.subject)
			return
		}
		at, _ := slices.BinarySearch(times, e.before)
		s.subjects[e.subject] = slices.Delete(times, at, at+1)
	}
}
