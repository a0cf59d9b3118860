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
	// timer is the log's: what it calls must not look at it.
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
		b.tell(fmt.Errorf("%w: the sink did not take the record within %s", ErrUnavailable, deadline))
	})
}

// finish is for the log, when the sink has taken the lines or has not.
func (b *batch) finish(err error) {
	b.timer.Stop()
	b.tell(err)
}

// tell lets those go on who wait; what comes second changes nothing.
func (b *batch) tell(err error) {
	b.end.Do(func() {
		b.err = err
		close(b.done)
	})
}
