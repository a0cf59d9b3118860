package snapshot

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// stepped returns the time as it would have been read if the wall clock had been set by so much before: only that
// reading changes, the monotonic one does not.
func stepped(t time.Time, by time.Duration) time.Time {
	t = t.Add(by)
	monotonic := &(*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t)).ext
	*monotonic -= int64(by)
	return t
}

func TestTheHelperStepsTheWallClockOnly(t *testing.T) {
	now := time.Now()
	later := stepped(now, time.Hour)
	if later.Sub(now) != 0 || later.Round(0).Sub(now.Round(0)) != time.Hour {
		t.Fatalf("monotonic %s, wall %s", later.Sub(now), later.Round(0).Sub(now.Round(0)))
	}
}

func TestFence(t *testing.T) {
	const limit = time.Hour
	at := time.Now()
	type args struct {
		fence   *Fence
		confirm []time.Time
		now     time.Time
	}
	cases := map[string]struct {
		reason string
		args   args
		refuse bool
	}{
		"without a fence": {
			"Tools that work offline have no view to confirm.", args{now: at}, false},
		"without a limit": {
			"There is nothing to be too old by.", args{fence: NewFence(0), now: at}, false},
		"never confirmed": {
			"A server that starts knows nothing yet.", args{fence: NewFence(limit), now: at}, true},
		"a moment before the limit": {
			"It may sign for that long.", args{NewFence(limit), []time.Time{at}, at.Add(limit - 1)}, false},
		"at the limit": {
			"The manager counts on it.", args{NewFence(limit), []time.Time{at}, at.Add(limit)}, true},
		"confirmed again": {
			"The view is young again.", args{NewFence(limit), []time.Time{at, at.Add(limit)}, at.Add(limit + 1)}, false},
		"confirmed as of an earlier time": {
			"What is known of later is not forgotten.", args{NewFence(limit), []time.Time{at, at.Add(-limit)}, at.Add(1)}, false},
		"confirmed as of the zero time": {
			"There is no such view.", args{NewFence(limit), []time.Time{{}}, at}, true},
		"the wall clock set back": {
			"A token of a revoked key would be the gain.", args{NewFence(limit), []time.Time{at}, stepped(at.Add(limit), -limit)}, true},
		"the wall clock set back and confirmed again": {
			"The new reading is the later one, whatever the wall clock says.",
			args{NewFence(limit), []time.Time{stepped(at, limit), at.Add(limit)}, at.Add(limit + 1)}, false},
		"the machine suspended": {
			"The monotonic clock stood still.", args{NewFence(limit), []time.Time{at}, stepped(at.Add(1), limit)}, true},
		"the wall clock set forward by less than the limit": {
			"Clocks are corrected now and then.", args{NewFence(limit), []time.Time{at}, stepped(at.Add(1), limit/2)}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, c := range tc.args.confirm {
				tc.args.fence.Confirm(c)
			}
			err := tc.args.fence.Check(tc.args.now)
			if errors.Is(err, ErrStale) != tc.refuse || (err != nil) != tc.refuse {
				t.Errorf("%s\nerr = %v", tc.reason, err)
			}
		})
	}
}

func TestAFenceSaysSinceWhen(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	fence := NewFence(time.Minute)
	fence.Confirm(at)
	err := fence.Check(at.Add(90 * time.Second))
	if want := "last confirmed at 2026-01-01T12:00:00Z, 1m30s ago, and the limit is 1m0s"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("err = %v, expected %q in it", err, want)
	}
	if age, ok := fence.Age(at.Add(time.Second)); age != time.Second || !ok {
		t.Errorf("age = %s, %t", age, ok)
	}
	if _, ok := NewFence(time.Minute).Age(at); ok {
		t.Error("a fence that was never confirmed has an age")
	}
}

// TestAFenceBetweenGoroutines is for the race detector; and the latest confirmation wins whatever the order.
func TestAFenceBetweenGoroutines(t *testing.T) {
	fence, at := NewFence(time.Minute), time.Now()
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 1000 {
				fence.Confirm(at.Add(time.Duration(i*8 + n)))
				_ = fence.Check(at)
			}
		})
	}
	all.Wait()
	if age, _ := fence.Age(at.Add(8000)); age != 1 {
		t.Errorf("age = %d ns", age)
	}
}

func BenchmarkFence(b *testing.B) {
	fence, now := NewFence(time.Hour), time.Now()
	fence.Confirm(now)
	for b.Loop() {
		if fence.Check(now) != nil {
			b.Fatal("refused")
		}
	}
}
