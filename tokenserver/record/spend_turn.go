package record

import (
	"context"
	"sync"
)

// turns lets those who spend one token go one after the other: whoever comes while another asks the API server waits for what comes
// of it. A thousand who come at once with one ticket are then one request, and not a flood in which the first answer is lost. It
// holds nothing of tokens that nobody spends at the moment. The zero value is ready.
type turns struct {
	mu  sync.Mutex
	ids map[string]*turn
}

// turn is that of one token.
type turn struct {
	// free has a value while nobody has the turn.
	free chan struct{}
	// here is how many have or await it; mu of turns guards it.
	here int
	// spent says that the token is used up; whoever has the turn reads and writes it.
	spent bool
}

// take waits for the turn of a token, or returns why it did not come. Whoever has it gives it back.
func (t *turns) take(ctx context.Context, id string) (*turn, error) {
	t.mu.Lock()
	if t.ids == nil {
		t.ids = map[string]*turn{}
	}
	mine := t.ids[id]
	if mine == nil {
		mine = &turn{free: make(chan struct{}, 1)}
		mine.free <- struct{}{}
		t.ids[id] = mine
	}
	mine.here++
	t.mu.Unlock()
	select {
	case <-mine.free:
		return mine, nil
	case <-ctx.Done():
		t.leave(id, mine)
		return nil, ctx.Err()
	}
}

func (t *turns) give(id string, mine *turn) {
	mine.free <- struct{}{}
	t.leave(id, mine)
}

func (t *turns) leave(id string, mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mine.here--; mine.here == 0 {
		delete(t.ids, id)
	}
}
