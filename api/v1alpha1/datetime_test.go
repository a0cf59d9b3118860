package v1alpha1_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func TestNewDateTime(t *testing.T) {
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		reason string
		args   time.Time
		want   v1alpha1.DateTime
	}{
		"a time in UTC":                  {"as RFC 3339 has it", noon, "2026-11-26T12:00:00Z"},
		"the same time of another zone":  {"one instant is written in one way, so that texts compare", noon.In(time.FixedZone("", 5*3600)), "2026-11-26T12:00:00Z"},
		"the end of a second":            {"it is not rounded up: nothing ends later than it was to", noon.Add(time.Second - 1), "2026-11-26T12:00:00Z"},
		"no time":                        {"what never happened has no time: the field is left out", time.Time{}, ""},
		"no time that was given a zone":  {"it is the same instant", time.Time{}.In(time.FixedZone("", -3600)), ""},
		"a time before there was a Unix": {"it is a time", time.Unix(-1, 0), "1969-12-31T23:59:59Z"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := v1alpha1.NewDateTime(tc.args)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if got == "" {
				return
			}
			if back, err := got.Parse(); err != nil || !back.Equal(tc.args.Truncate(time.Second)) {
				t.Errorf("it is read as %s, %v", back, err)
			}
		})
	}
}
