package policy

import (
	"maps"
	"slices"
	"strings"
	"time"
)

const everySubject = ">"

// subjects are what rules say of one action. A subject that is allowed has the latest end of what allows it, or none.
type subjects struct{ allow, deny map[string]time.Time }

// add takes in a rule whose conditions are met, unless it is an Allow that ends too soon.
func (s *subjects) add(r *rule, d *decision, least time.Time) error {
	var end time.Time
	if r.policy.when != nil {
		end = r.policy.when.notAfter
	}
	to := s.deny
	if !r.policy.deny {
		if !end.IsZero() && end.Before(least) {
			return nil
		}
		to = s.allow
	}
	for i := range r.names {
		texts, fits := r.names[i].Subjects(d.callerValues(), r.policy.deny)
		switch {
		case fits:
		case r.policy.deny: // too many to say, or a Deny that was not understood and speaks of all types
			texts = []string{everySubject}
		default:
			return ErrTooManySubjects
		}
		for _, text := range texts {
			if known, found := to[text]; !found || !known.IsZero() && (end.IsZero() || end.After(known)) {
				to[text] = end
			}
		}
		if len(to) > maxSubjectsSeen {
			return ErrTooManySubjects
		}
	}
	return nil
}

// list is what a NATS server needs to know.
func (s *subjects) list() (NATSSubjects, error) {
	deny := widest(s.deny)
	allow := slices.DeleteFunc(widest(s.allow), func(subject string) bool {
		return slices.ContainsFunc(deny, func(denied string) bool { return covers(denied, subject) })
	})
	if len(allow) == 0 {
		return NATSSubjects{Deny: []string{everySubject}}, nil
	}
	deny = slices.DeleteFunc(deny, func(subject string) bool {
		return !slices.ContainsFunc(allow, func(allowed string) bool { return overlap(allowed, subject) })
	})
	if len(allow) > MaxSubjects || len(deny) > MaxSubjects {
		return NATSSubjects{}, ErrTooManySubjects
	}
	return NATSSubjects{Allow: allow, Deny: deny}, nil
}

// end is the earliest end of the subjects listed, and of the one that is known.
func (s *subjects) end(listed []string, earliest time.Time) time.Time {
	for _, subject := range listed {
		if end := s.allow[subject]; !end.IsZero() && (earliest.IsZero() || end.Before(earliest)) {
			earliest = end
		}
	}
	return earliest
}

// widest are the subjects that no other covers, sorted.
func widest(of map[string]time.Time) []string {
	all := slices.Sorted(maps.Keys(of))
	return slices.DeleteFunc(slices.Clone(all), func(subject string) bool {
		return slices.ContainsFunc(all, func(other string) bool { return other != subject && covers(other, subject) })
	})
}

// covers says whether one subject matches all that the other does, as NATS reads them. Two that cover each other are equal.
func covers(wide, narrow string) bool {
	for {
		w, moreWide, wideGoesOn := strings.Cut(wide, ".")
		n, moreNarrow, narrowGoesOn := strings.Cut(narrow, ".")
		switch {
		case w == everySubject:
			return true
		case n == everySubject || w != "*" && w != n:
			return false
		case !wideGoesOn || !narrowGoesOn:
			return wideGoesOn == narrowGoesOn
		}
		wide, narrow = moreWide, moreNarrow
	}
}

// overlap says whether there is a name that both subjects match.
func overlap(a, b string) bool {
	for {
		x, moreA, aGoesOn := strings.Cut(a, ".")
		y, moreB, bGoesOn := strings.Cut(b, ".")
		switch {
		case x == everySubject || y == everySubject:
			return true
		case x != "*" && y != "*" && x != y:
			return false
		case !aGoesOn || !bGoesOn:
			return aGoesOn == bGoesOn
		}
		a, b = moreA, moreB
	}
}
