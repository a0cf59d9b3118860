package cmd

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// nothing stands where a column has no value.
const nothing = "-"

// printTable writes a row for each key. Absolute times are for those who compare them with a log.
func (s *session) printTable(entries []keyEntry, absolute bool) error {
	if len(entries) == 0 {
		return nil
	}
	show := s.distance
	if absolute {
		show = func(at v1alpha1.DateTime) string { return string(at) }
	}
	table := tabwriter.NewWriter(s.out, 0, 8, 3, ' ', 0)
	rows := [][]string{{
		"SIGNINGKEY", "KEY ID", "STATE", "ALGORITHM", "CREATED", "PUBLISHED", "ACTIVATED", "SIGNS UNTIL", "REMOVED AT",
	}}
	for _, e := range entries {
		signUntil := show(e.SignUntil)
		if e.State != v1alpha1.KeyActive {
			signUntil = "" // what is retired does not sign, whatever it might have
		}
		rows = append(rows, []string{
			e.SigningKey, e.KeyID, string(e.State), algorithm(e.KeyStatus),
			show(e.CreatedTime), show(e.PublishedTime), show(e.ActivatedTime), signUntil, show(e.RemovalTime),
		})
	}
	for _, row := range rows {
		for i := range row {
			if row[i] == "" {
				row[i] = nothing
			}
		}
		if _, err := fmt.Fprintln(table, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return table.Flush()
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
