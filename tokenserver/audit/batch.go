package audit

import (
	"fmt"
	"sync"
	"time"
)

// keptBuffer is the largest buffer that is used again, in bytes.
const keptBuffer = 64 << 10

// batch is the lines that one write carries. Its deadline is that of its first line: one timer for all.
type batch struct {
	lines []byte
	done  chan struct{}
	end   sync.Once
	timer *time.Timer
	// err is set before done is closed.
	err error
}

func newBatch(buffer []byte) *batch {
	if cap(buffer) > keptBuffer {
		buffer = nil
	}
	return &batch{lines: buffer, done: make(chan struct{})}
}

// await begins the time that whoever waits for the batch has. The sink may still take the lines later.
func (b *batch) await() {
	b.timer = time.AfterFunc(deadline, func() {
		b.finish(fmt.Errorf("%w: the sink did not take the record within %s", ErrUnavailable, deadline))
	})
}

// finish tells those who wait; what comes second changes nothing.
func (b *batch) finish(err error) {
	b.end.Do(func() {
		b.err = err
		close(b.done)
	})
	b.timer.Stop()
}
