package revocation

import (
	"math"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// never is later than every time that can be written, and early enough to calculate with.
const never = math.MaxInt64 / 4

// Time is when a time of a revocation or a record is. The schema accepts days and offsets that no calendar has, such as
// 31 February: what is too long for a month goes on in the next, so that it means the same to everybody. What is no time
// at all is later than any other: it revokes, and is never collected.
func Time(at v1alpha1.DateTime) time.Time {
	if parsed, err := at.Parse(); err == nil {
		return parsed
	}
	text := string(at)
	if len(text) != len("2026-01-01T00:00:00Z") && len(text) != len("2026-01-01T00:00:00+00:00") {
		return time.Unix(never, 0)
	}
	n, ok := numbers(text, 0, 4, 5, 2, 8, 2, 11, 2, 14, 2, 17, 2)
	if !ok {
		return time.Unix(never, 0)
	}
	offset := 0
	if len(text) > len("2026-01-01T00:00:00Z") {
		o, ok := numbers(text, 20, 2, 23, 2)
		if !ok {
			return time.Unix(never, 0)
		}
		if offset = o[0]*60 + o[1]; text[19] == '-' {
			offset = -offset
		}
	}
	return time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4]-offset, n[5], 0, time.UTC)
}

// numbers reads decimal numbers of a text; each is given by where it begins and how long it is.
func numbers(text string, places ...int) ([]int, bool) {
	out := make([]int, 0, len(places)/2)
	for i := 0; i < len(places); i += 2 {
		n := 0
		for _, digit := range []byte(text[places[i] : places[i]+places[i+1]]) {
			if digit < '0' || digit > '9' {
				return nil, false
			}
			n = 10*n + int(digit-'0')
		}
		out = append(out, n)
	}
	return out, true
}

// Remembered is how long a revocation without expires is kept: no token is accepted for longer.
const Remembered = 365 * 24 * time.Hour

// Until is when a revocation of that age need not be remembered any more.
func Until(spec v1alpha1.TokenRevocationSpec, created time.Time) time.Time {
	if spec.Expires == "" {
		return created.Add(Remembered)
	}
	return Time(spec.Expires)
}
