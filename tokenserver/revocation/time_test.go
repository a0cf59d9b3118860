package revocation

import (
	"regexp"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func TestTime(t *testing.T) {
	date := func(month time.Month, day, hour, minute int) time.Time {
		return time.Date(2026, month, day, hour, minute, 0, 0, time.UTC)
	}
	forEver := time.Unix(never, 0)
	cases := map[string]struct {
		reason string
		text   v1alpha1.DateTime
		want   time.Time
	}{
		"a time in UTC":                {"as it is", "2026-02-01T12:00:00Z", date(2, 1, 12, 0)},
		"a time with an offset":        {"the same instant", "2026-02-01T12:00:00+02:30", date(2, 1, 9, 30)},
		"a day that no month has":      {"it goes on in the next", "2026-02-31T12:00:00Z", date(3, 3, 12, 0)},
		"an offset that no place has":  {"it is calculated with all the same", "2026-02-01T12:00:00+99:99", date(1, 28, 7, 21)},
		"such an offset to the west":   {"as above", "2026-02-01T12:00:00-99:99", date(2, 5, 16, 39)},
		"nothing":                      {"it must not lift anything", "", forEver},
		"a word":                       {"as above", "now", forEver},
		"a word of the right length":   {"as above", "abcd-ef-ghTij:kl:mnZ", forEver},
		"a word in place of an offset": {"as above", "2026-02-31T12:00:00+ab:cd", forEver},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Time(c.text); !got.Equal(c.want) {
				t.Errorf("%s: got %s, want %s", c.reason, got.UTC(), c.want.UTC())
			}
		})
	}
}

// schema is what the API server accepts (v1alpha1.DateTime).
var schema = regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-][0-9]{2}:[0-9]{2})$`)

// FuzzTime: whatever the API server accepts is a time near the one that it is written like, and whatever Go reads is read
// the same.
func FuzzTime(f *testing.F) {
	for _, text := range []string{
		"2026-02-31T12:00:00Z", "2026-02-31T12:00:00+99:99", "0000-01-01T00:00:00-99:99", "9999-12-31T23:59:59+00:00", "", "x",
		"2026-02-01T12:00:00.5Z", "2026-02-31T12:00:00Zxxxxx", "2026-02-31x12x00x00x00x00x00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Time(v1alpha1.DateTime(text))
		if want, err := time.Parse(time.RFC3339, text); err == nil && !want.Equal(got) {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		if !schema.MatchString(text) {
			return
		}
		month, err := time.Parse("2006-01", text[:7])
		if err != nil {
			t.Fatal(err)
		}
		if away := got.Sub(month); away < -5*24*time.Hour || away > 36*24*time.Hour {
			t.Errorf("%q is %s", text, got)
		}
	})
}

func TestUntil(t *testing.T) {
	spec := ofToken("t")
	if got := Until(spec, noon); !got.Equal(noon.AddDate(1, 0, 0)) {
		t.Errorf("without expires it is kept until %s", got)
	}
	spec.Expires = "2026-11-27T00:00:00Z"
	if got := Until(spec, noon); !got.Equal(noon.Add(12 * time.Hour)) {
		t.Errorf("with expires it is kept until %s", got)
	}
}
