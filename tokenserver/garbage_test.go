package tokenserver

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestGarbagePercent(t *testing.T) {
	cases := map[string]struct {
		reason string
		alive  uint64
		want   int
	}{
		"nothing is known yet":      {"before the first collection nothing counts as alive", 0, 6400},
		"a server with few objects": {"64 MiB beside 8 MiB", 8 << 20, 800},
		"as much as the garbage":    {"both ways are the same", 64 << 20, 100},
		"100,000 policies":          {"more than double would be too much memory", 200 << 20, 100},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := garbagePercent(c.alive); got != c.want {
				t.Errorf("%s: got %d, want %d", c.reason, got, c.want)
			}
		})
	}
}

// TestGarbageIsPacedByWhatIsAlive holds that the percentage follows a heap that grows: one that was set for a small heap
// would let a large one take many times its memory.
func TestGarbageIsPacedByWhatIsAlive(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(defaultGarbage))
	stop := PaceGarbage()
	percent := func() int {
		p := debug.SetGCPercent(defaultGarbage)
		debug.SetGCPercent(p)
		return p
	}
	collectUntil := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: the percentage is %d", what, percent())
			}
			runtime.GC()
		}
	}
	collectUntil("a small heap", func() bool { return percent() > 2*defaultGarbage })
	func() {
		large := make([]byte, 4*leastGarbage)
		collectUntil("a large heap", func() bool { return percent() == defaultGarbage })
		runtime.KeepAlive(large)
	}()
	collectUntil("a heap that is small again", func() bool { return percent() > 2*defaultGarbage })
	stop()
	collectUntil("stopped", func() bool { return percent() == defaultGarbage })
}

func TestGOGCIsLeftAlone(t *testing.T) {
	t.Setenv("GOGC", "75")
	before := debug.SetGCPercent(75)
	defer debug.SetGCPercent(before)
	defer PaceGarbage()()
	runtime.GC()
	if got := debug.SetGCPercent(75); got != 75 {
		t.Errorf("the percentage is %d", got)
	}
}
