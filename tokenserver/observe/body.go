package observe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// initialEnd is in the bookmark that ends the list at the beginning of a watch (metav1.InitialEventsAnnotationKey), in
// JSON as in protobuf.
var initialEnd = []byte("k8s.io/initial-events-end")

// body is an answer of the API server whose arrival is noted.
type body struct {
	io.ReadCloser
	hearing  *hearing
	resource string
	// refused is an answer that says that there is none.
	refused bool
	// listing is an answer that counts when it is whole.
	listing bool
	// initial is a watch whose list has not ended; tail is the end of what was read of it.
	initial bool
	tail    []byte

	// patience is for how long the answer may be silent before it is cut; 0: for ever.
	patience time.Duration
	cancel   context.CancelFunc
	timer    *time.Timer
	cut      atomic.Bool
}

func cancellable(request *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(request.Context())
	return request.WithContext(ctx), cancel
}

// begin starts to wait for what is to be read.
func (b *body) begin() {
	if b.patience > 0 {
		b.timer = time.AfterFunc(b.patience, func() {
			b.cut.Store(true)
			b.cancel()
		})
	}
}

// Read implements io.Reader. What was cut ends like a connection that broke: informers begin a new watch at once.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.cut.Load() {
		if err != nil {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	if b.counts(p[:n], err) {
		b.hearing.note(b.resource)
	}
	if n > 0 && b.timer != nil {
		b.timer.Reset(b.patience)
	}
	return n, err
}

// counts says whether what was read shows that the kind is known up to now.
func (b *body) counts(read []byte, err error) bool {
	if b.refused {
		return false
	}
	if b.initial {
		b.tail = append(b.tail, read...)
		b.initial = !bytes.Contains(b.tail, initialEnd)
		b.tail = append([]byte(nil), b.tail[max(0, len(b.tail)-len(initialEnd)+1):]...)
		return !b.initial
	}
	return errors.Is(err, io.EOF) || len(read) > 0 && !b.listing
}

// Close implements io.Closer.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}

func (b *body) end() {
	if b.timer != nil {
		b.timer.Stop()
	}
	if b.cancel != nil {
		b.cancel()
	}
}
