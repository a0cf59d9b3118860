package tokenserver

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// leastGarbage is how much is allocated between two collections at the least, in bytes. By itself Go collects each time
// the heap has doubled: with few policies that is a few megabytes, some hundred tokens, and collecting then takes a tenth
// of the processor. With many policies it is Go's own way again.
const leastGarbage = 64 << 20

// defaultGarbage is Go's own percentage.
const defaultGarbage = 100

// PaceGarbage lets the process allocate at least 64 MiB between two collections, until stop is called. It sets what is of
// the whole process, so that it is for a command to call; it does nothing if GOGC is set, and GOMEMLIMIT goes before it.
func PaceGarbage() (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	p := &pacer{sample: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	p.adjust()
	return func() { p.stopped.Store(true) }
}

type pacer struct {
	sample  []metrics.Sample
	percent int
	stopped atomic.Bool
}

// marker is what the collector is seen by. It has a pointer, so that it shares its memory with nothing else.
type marker struct{ _ *byte }

// adjust sets the percentage for what is alive now, and has itself called after the next collection. It must not be
// later: a heap that has grown since would be given as many times its size.
func (p *pacer) adjust() {
	if p.stopped.Load() {
		debug.SetGCPercent(defaultGarbage)
		return
	}
	metrics.Read(p.sample)
	if percent := garbagePercent(p.sample[0].Value.Uint64()); percent != p.percent {
		p.percent = percent
		debug.SetGCPercent(percent)
	}
	runtime.AddCleanup(&marker{}, (*pacer).adjust, p)
}

// garbagePercent is for a heap of which so many bytes are alive. Less than a megabyte counts as one.
func garbagePercent(alive uint64) int {
	return max(defaultGarbage, int(leastGarbage*100/max(alive, 1<<20)))
}
