package identity

import (
	"context"
	"errors"
	"sync"
)

const (
	// maxWaiting is how many different credentials may wait for a processor. With more, waiting would be in vain.
	maxWaiting = 256
	// maxWaitingOfOne is how many of them may come from one origin.
	maxWaitingOfOne = 64
)

var (
	errBusy      = errors.New("too many passwords are being checked")
	errCrowded   = errors.New("too many passwords from one address wait to be checked")
	errDisplaced = errors.New("another address got the place of a password that waited to be checked")
)

// turns lets a bounded number work at a time. The others wait in one line for each origin, and the lines are served in
// turn, so that a wait takes as many turns as there are origins, however many wait of each. When there are too many in all,
// whoever comes from an origin with a shorter line gets the place of the last in the longest.
type turns struct {
	mu sync.Mutex
	// free is how many more may work.
	free    int
	waiting int
	lines   map[origin]*line
	// order has every line, the one that is served next first.
	order []*line
}

// line is who waits from one origin, the first first; it is never empty.
type line struct {
	of      origin
	waiters []*waiter
}

// waiter gets nil when it is its turn, and errDisplaced if that will not be.
type waiter struct{ told chan error }

func newTurns(atOnce int) *turns {
	return &turns{free: atOnce, lines: map[origin]*line{}}
}

// take returns nil when it is the caller's turn; the caller then calls done. The error is errBusy, errCrowded or
// errDisplaced.
func (t *turns) take(ctx context.Context, of origin) error {
	w, err := t.join(of)
	if w == nil {
		return err
	}
	select {
	case err := <-w.told:
		return err
	case <-ctx.Done():
		t.abandon(of, w)
		return errBusy
	}
}

// join returns nil and nil if nobody has to wait.
func (t *turns) join(of origin) (*waiter, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 { // then nobody waits
		t.free--
		return nil, nil
	}
	own := t.lines[of]
	length := 0
	if own != nil {
		length = len(own.waiters)
	}
	if length >= maxWaitingOfOne {
		return nil, errCrowded
	}
	if t.waiting >= maxWaiting {
		longest := t.longest()
		if len(longest.waiters) <= length+1 {
			return nil, errBusy
		}
		t.remove(longest, len(longest.waiters)-1).told <- errDisplaced
	}
	if own == nil {
		own = &line{of: of}
		t.lines[of], t.order = own, append(t.order, own)
	}
	w := &waiter{told: make(chan error, 1)}
	own.waiters = append(own.waiters, w)
	t.waiting++
	return w, nil
}

// done gives the turn to the first of the next line.
func (t *turns) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next()
}

func (t *turns) next() {
	if t.waiting == 0 {
		t.free++
		return
	}
	first := t.order[0]
	t.order = append(t.order[1:], first)
	t.remove(first, 0).told <- nil
}

// abandon takes a waiter out, who may have been given the turn at the same time.
func (t *turns) abandon(of origin, w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own := t.lines[of]; own != nil {
		for i := range own.waiters {
			if own.waiters[i] == w {
				t.remove(own, i)
				return
			}
		}
	}
	if <-w.told == nil {
		t.next()
	}
}

// remove takes a waiter out of a line, and the line out of the order if it was the last.
func (t *turns) remove(from *line, i int) *waiter {
	w := from.waiters[i]
	from.waiters = append(from.waiters[:i:i], from.waiters[i+1:]...)
	t.waiting--
	if len(from.waiters) > 0 {
		return w
	}
	delete(t.lines, from.of)
	for j := range t.order {
		if t.order[j] == from {
			t.order = append(t.order[:j:j], t.order[j+1:]...)
			break
		}
	}
	return w
}

func (t *turns) longest() *line {
	longest := t.order[0]
	for _, l := range t.order {
		if len(l.waiters) > len(longest.waiters) {
			longest = l
		}
	}
	return longest
}
