package revocation

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// naive is a list that is read from its beginning each time.
type naive map[string]v1alpha1.TokenRevocationSpec

func (n naive) token(id string) bool {
	for _, spec := range n {
		if spec.Token != nil && spec.Token.ID == id {
			return true
		}
	}
	return false
}

func (n naive) subject(username, audience string, at time.Time, leeway time.Duration) bool {
	for _, spec := range n {
		if spec.Subject == nil || spec.Subject.Username != username ||
			spec.Subject.Audience != "" && string(spec.Subject.Audience) != audience {
			continue
		}
		before, err := spec.Subject.IssuedBefore.Parse()
		if err == nil && !at.After(before.Add(leeway)) {
			return true
		}
	}
	return false
}

// minting tries every second.
func (n naive) minting(username, audience string, now time.Time) time.Duration {
	for wait := time.Duration(0); ; wait += time.Second {
		if !n.subject(username, audience, now.Add(wait).Truncate(time.Second).Add(-Backdate), Leeway) {
			return wait
		}
	}
}

// TestTheSetAnswersAsAListWould puts, replaces and deletes whatever comes, by few names, so that they meet.
func TestTheSetAnswersAsAListWould(t *testing.T) {
	users, audiences, ids := []string{"alice", "bob"}, []string{"", "a", "b"}, []string{"t", "u"}
	second := func(rt *rapid.T, label string) time.Time {
		return noon.Add(time.Duration(rapid.IntRange(-200, 200).Draw(rt, label)) * time.Second)
	}
	rapid.Check(t, func(rt *rapid.T) {
		var s Set
		list := naive{}
		for range rapid.IntRange(0, 40).Draw(rt, "steps") {
			name := fmt.Sprint(rapid.IntRange(0, 8).Draw(rt, "name"))
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				s.Delete(name)
				delete(list, name)
			case 1:
				list[name] = ofToken(rapid.SampledFrom(ids).Draw(rt, "id"))
				s.Put(name, list[name])
			default:
				list[name] = ofSubject(rapid.SampledFrom(users).Draw(rt, "user"), rapid.SampledFrom(audiences).Draw(rt, "audience"), second(rt, "before"))
				s.Put(name, list[name])
			}
			user, audience := rapid.SampledFrom(users).Draw(rt, "asked"), rapid.SampledFrom(audiences).Draw(rt, "at")
			id, at := rapid.SampledFrom(ids).Draw(rt, "token"), second(rt, "time")
			if got, want := s.Token(id), list.token(id); got != want {
				rt.Fatalf("token %s: got %t, want %t", id, got, want)
			}
			if got, want := s.Subject(user, audience, at), list.subject(user, audience, at, Leeway); got != want {
				rt.Fatalf("%s at %q, issued at %s: got %t, want %t", user, audience, at, got, want)
			}
			if got, want := s.Record(user, audience, at), list.subject(user, audience, at, 0); got != want {
				rt.Fatalf("record of %s at %q, created at %s: got %t, want %t", user, audience, at, got, want)
			}
			if got, want := s.Minting(user, audience, at), list.minting(user, audience, at); got != want {
				rt.Fatalf("minting for %s at %q: got %s, want %s", user, audience, got, want)
			}
			if s.Len() != len(list) {
				rt.Fatalf("%d objects, want %d", s.Len(), len(list))
			}
		}
		for name := range list {
			s.Delete(name)
		}
		if len(s.tokens)+len(s.subjects)+len(s.objects) != 0 {
			rt.Fatalf("something is left when all is deleted")
		}
	})
}

// TestARevocationIsNeverLiftedWhileItsObjectChanges is for the race detector, too: who asks meanwhile is never told no.
func TestARevocationIsNeverLiftedWhileItsObjectChanges(t *testing.T) {
	var s Set
	s.Put("a", ofToken("t"))
	s.Put("s", ofSubject("alice", "", noon))
	stop := make(chan struct{})
	var writers, readers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for n := range 300 {
				other := fmt.Sprint("b", i)
				s.Put(other, ofToken("t"))
				s.Put("s", ofSubject("alice", "", noon.Add(time.Duration(n%7)*time.Second)))
				s.Delete(other)
			}
		})
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !s.Token("t") || !s.Subject("alice", "a", noon) || s.Minting("alice", "a", noon) == 0 {
					t.Error("it was lifted")
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

// full is a set of 100,000 revocations, half of tokens and half of subjects.
func full() *Set {
	var s Set
	for i := range 50_000 {
		s.Put(fmt.Sprint("token-", i), ofToken(fmt.Sprintf("0-%d-abcdefghijklmnopqrstuvwxyz", i)))
		s.Put(fmt.Sprint("subject-", i), ofSubject(fmt.Sprint("user-", i), "", noon))
	}
	return &s
}

func BenchmarkAsk(b *testing.B) {
	s := full()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if !s.Token("0-777-abcdefghijklmnopqrstuvwxyz") || s.Token("none") || !s.Subject("user-777", "a", noon) || s.Minting("user", "a", noon) != 0 {
				b.Error("wrong")
			}
		}
	})
}

func BenchmarkPutAndDelete(b *testing.B) {
	s := full()
	spec := ofSubject("user-777", "a", noon)
	b.ReportAllocs()
	for b.Loop() {
		s.Put("one", spec)
		s.Delete("one")
	}
}
