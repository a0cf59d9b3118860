package cmd

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// listingOf shows a row for each key. Absolute times are for those who compare them with a log.
func (s *session) listingOf(absolute bool) listing[keyEntry] {
	show := s.distance
	if absolute {
		show = func(at v1alpha1.DateTime) string { return string(at) }
	}
	return listing[keyEntry]{
		head: []string{"SIGNINGKEY", "KEY ID", "STATE", "ALGORITHM", "CREATED", "PUBLISHED", "ACTIVATED", "SIGNS UNTIL", "REMOVED AT"},
		name: func(e keyEntry) string { return e.KeyID },
		row: func(e keyEntry) []string {
			signUntil := show(e.SignUntil)
			if e.State != v1alpha1.KeyActive {
				signUntil = "" // what is retired does not sign, whatever it might have
			}
			return []string{
				e.SigningKey, e.KeyID, string(e.State), algorithm(e.KeyStatus),
				show(e.CreatedTime), show(e.PublishedTime), show(e.ActivatedTime), signUntil, show(e.RemovalTime),
			}
		},
	}
}

// distance is how far a time is from now: "5m ago", "in 30d".
func (s *session) distance(at v1alpha1.DateTime) string {
	when, err := at.Parse()
	if err != nil {
		return string(at)
	}
	if ahead := when.Sub(s.now()); ahead > 0 {
		return "in " + duration.HumanDuration(ahead.Round(time.Second))
	}
	return duration.HumanDuration(s.now().Sub(when)) + " ago"
}

// pointInTime is a time in full and its distance: "2026-12-22T02:00:01Z (in 30d)".
func (s *session) pointInTime(at v1alpha1.DateTime) string {
	return fmt.Sprintf("%s (%s)", at, s.distance(at))
}
