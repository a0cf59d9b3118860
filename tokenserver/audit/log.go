package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"
)

const (
	// deadline is how long a token waits for its line.
	deadline = time.Second
	// maxPending bounds the lines that wait for the sink, in bytes. Past it records are refused at once.
	maxPending = 4 << 20
)

// ErrUnavailable says that the record is not known to be written, so that what it speaks of must not happen.
var ErrUnavailable = errors.New("the audit log is not available")

// Log writes records in batches: all that arrive while one write is under way share the next. A write that takes long
// therefore costs each caller at most two writes, however many callers there are.
type Log struct {
	sink io.Writer

	mu   sync.Mutex
	next *batch
	// spare is the buffer of a batch that has been written.
	spare   []byte
	closed  bool
	wake    chan struct{}
	stopped chan struct{}
}

// New returns a log that writes to the sink. Close must be called.
func New(sink io.Writer) *Log {
	l := &Log{sink: sink, next: newBatch(nil), wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	go l.run()
	return l
}

// Write returns nil once the record has been written. An error wraps ErrUnavailable: the sink failed, did not take the
// record within a second, or has too much waiting.
func (l *Log) Write(record *Record) error {
	mine, err := l.enqueue(record, maxPending)
	if err != nil {
		return err
	}
	<-mine.done
	return mine.err
}

// Try writes the record some time, or reports that it will not. It takes at most half of the queue: refusals, which
// anybody can cause, must not crowd out the records of tokens.
func (l *Log) Try(record *Record) error {
	_, err := l.enqueue(record, maxPending/2)
	return err
}

func (l *Log) enqueue(record *Record, limit int) (*batch, error) {
	var space [1024]byte
	line := record.appendLine(space[:0])
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, fmt.Errorf("%w: the log is closed", ErrUnavailable)
	case len(l.next.lines)+len(line) > limit:
		return nil, fmt.Errorf("%w: too many records wait", ErrUnavailable)
	}
	mine := l.next
	if len(mine.lines) == 0 {
		mine.await()
	}
	mine.lines = append(mine.lines, line...)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return mine, nil
}

// run is the only writer.
func (l *Log) run() {
	defer close(l.stopped)
	torn := false
	for range l.wake {
		// Whoever is about to write a record, too, gets into this batch: a write costs much more than a line.
		runtime.Gosched()
		l.mu.Lock()
		mine := l.next
		l.next, l.spare = newBatch(l.spare), nil
		l.mu.Unlock()
		if len(mine.lines) == 0 {
			continue
		}
		var err error
		torn, err = l.write(mine.lines, torn)
		mine.finish(err)
		l.mu.Lock()
		l.spare = mine.lines[:0]
		l.mu.Unlock()
	}
}

// write writes the lines. After a write that ended within a line, it ends that line first, so that one failure costs one
// line and not two.
func (l *Log) write(lines []byte, torn bool) (stillTorn bool, err error) {
	if torn {
		lines = append([]byte{'\n'}, lines...)
	}
	n, err := l.sink.Write(lines)
	if err == nil && n < len(lines) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return torn && n == 0 || n > 0 && lines[n-1] != '\n', fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return false, nil
}

// Close writes what waits and stops. It gives up when the context ends: a sink that blocks cannot be interrupted.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.wake)
	}
	l.mu.Unlock()
	select {
	case <-l.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}
