package controllers

import (
	"math"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestHowFarALeaseIsBelieved looks at a Lease again and again, and asks when it is over for the manager.
func TestHowFarALeaseIsBelieved(t *testing.T) {
	const limit, skew = time.Hour, time.Minute
	start := time.Unix(1_800_000_000, 0)
	cases := map[string]struct {
		reason  string
		renewed time.Duration
		seconds *int32
		over    time.Duration
	}{
		"just renewed":                 {"as it says", 0, new(int32(3600)), limit},
		"shorter than the manager's":   {"the server stops then", 0, new(int32(60)), time.Minute},
		"without a duration":           {"servers may not be longer", 0, nil, limit},
		"longer than the manager's":    {"tokens are counted by the manager's limit only", 0, new(int32(math.MaxInt32)), limit},
		"by a clock that is ahead":     {"within the skew it is honest", skew, new(int32(3600)), limit + skew},
		"by a clock that is far ahead": {"counts from when it was seen", 3 * time.Hour, new(int32(3600)), limit + skew},
		"in a hundred years":           {"the same", 876000 * time.Hour, new(int32(math.MaxInt32)), limit + skew},
		"long ago":                     {"it is over", -2 * time.Hour, new(int32(3600)), -time.Hour},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var sightings leaseSightings
			o := Options{MaxStaleness: limit, ClockSkew: skew}
			l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "1"}}
			l.Spec.RenewTime, l.Spec.LeaseDurationSeconds = new(metav1.NewMicroTime(start.Add(c.renewed))), c.seconds
			for after := time.Duration(0); after < 5*time.Hour; after += 17 * time.Minute {
				if end := sightings.at(start.Add(after), o).end(l).Sub(start); end != c.over {
					t.Fatalf("%s: after %s it ends at %s, want %s", c.reason, after, end, c.over)
				}
			}
		})
	}
	t.Run("renewed again", func(t *testing.T) {
		var sightings leaseSightings
		o := Options{MaxStaleness: limit, ClockSkew: skew}
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "1"}}
		for after := time.Duration(0); after < 5*time.Hour; after += 17 * time.Minute {
			l.Spec.RenewTime = new(metav1.NewMicroTime(start.Add(after + 2*time.Hour))) // it is there, and its clock is wrong
			if end := sightings.at(start.Add(after), o).end(l).Sub(start); end != after+skew+limit {
				t.Fatalf("after %s it ends at %s", after, end)
			}
		}
		sightings.at(start, o).forgetOthers(nil)
		if len(sightings.byName) != 0 {
			t.Error("it is remembered for ever")
		}
	})
	t.Run("the manager's clock was ahead and is set back", func(t *testing.T) {
		var sightings leaseSightings
		o := Options{MaxStaleness: limit, ClockSkew: skew}
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "1"}}
		l.Spec.RenewTime = new(metav1.NewMicroTime(start.Add(90 * time.Hour)))
		sightings.at(start.Add(48*time.Hour), o).end(l)
		if end := sightings.at(start, o).end(l).Sub(start); end != limit+skew {
			t.Errorf("it ends at %s", end)
		}
	})
}
