package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func at(address string) origin { return originOf(netip.MustParseAddr(address)) }

// crowd makes as many wait, each from an origin of its own.
func crowd(t *testing.T, q *turns, n int) {
	t.Helper()
	for i := range n {
		if w, err := q.join(at(fmt.Sprintf("198.51.%d.%d", i/256, i%256))); w == nil {
			t.Fatal(err)
		}
	}
}

// TestTurns writes down who waits, in the order in which they come, and reads off in what order they are served. A letter
// is an origin, a digit after it counts its requests.
func TestTurns(t *testing.T) {
	cases := map[string]struct {
		reason string
		come   string
		want   string
	}{
		"One origin":                     {"first come, first served", "a1 a2 a3", "a1 a2 a3"},
		"A crowd and one who comes late": {"the wait is one turn for each origin, not for each request", "a1 a2 a3 a4 a5 b1", "a1 b1 a2 a3 a4 a5"},
		"A crowd and several":            {"the same", "a1 a2 a3 b1 b2 c1", "a1 b1 c1 a2 b2 a3"},
		"All alike":                      {"in the order in which they came", "a1 b1 c1 d1", "a1 b1 c1 d1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			q := newTurns(1)
			if w, err := q.join(at("203.0.113.1")); w != nil || err != nil {
				t.Fatal("the first had to wait")
			}
			waits := map[string]*waiter{}
			come := strings.Fields(tc.come)
			for _, who := range come {
				w, err := q.join(at(fmt.Sprintf("192.0.2.%d", who[0])))
				if err != nil {
					t.Fatal(err)
				}
				waits[who] = w
			}
			var got []string
			for range come {
				q.done()
				for who, w := range waits {
					select {
					case err := <-w.told:
						if err != nil {
							t.Errorf("%s got %v", who, err)
						}
						got = append(got, who)
						delete(waits, who)
					default:
					}
				}
			}
			if diff := cmp.Diff(tc.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			q.done()
			checkEmpty(t, q, 1)
		})
	}
}

// checkEmpty holds that nothing is left of those who waited, and that no turn was lost or made.
func checkEmpty(t *testing.T, q *turns, free int) {
	t.Helper()
	q.mu.Lock()
	defer q.mu.Unlock()
	got := []int{q.free, q.waiting, len(q.lines), len(q.order)}
	if diff := cmp.Diff([]int{free, 0, 0, 0}, got); diff != "" {
		t.Errorf("free, waiting, lines, order (-want +got):\n%s", diff)
	}
}

func TestOneOriginHasAShareOfThePlaces(t *testing.T) {
	q := newTurns(0)
	for range maxWaitingOfOne {
		if _, err := q.join(at("192.0.2.1")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := q.join(at("192.0.2.1")); !errors.Is(err, errCrowded) {
		t.Errorf("one too many got %v", err)
	}
	if _, err := q.join(at("192.0.2.2")); err != nil {
		t.Errorf("another origin got %v", err)
	}
}

func TestAFullQueueMakesRoomForWhoHasLess(t *testing.T) {
	q := newTurns(0)
	var last *waiter
	for i := range maxWaiting {
		w, err := q.join(at(fmt.Sprintf("192.0.2.%d", i%(maxWaiting/maxWaitingOfOne))))
		if err != nil {
			t.Fatal(err)
		}
		last = w
	}
	if _, err := q.join(at("198.51.100.1")); err != nil {
		t.Fatalf("an origin that had nobody in the queue got %v", err)
	}
	// The order of equals is that of the lines: the last of the first line had to go, and nobody else.
	if q.waiting != maxWaiting || len(q.lines[at("192.0.2.0")].waiters) != maxWaitingOfOne-1 {
		t.Errorf("%d wait, %d of the first line", q.waiting, len(q.lines[at("192.0.2.0")].waiters))
	}
	select {
	case err := <-last.told:
		t.Errorf("somebody of another line was told %v", err)
	default:
	}
}

func TestAQueueFullOfOriginsTakesNoMore(t *testing.T) {
	q := newTurns(0)
	crowd(t, q, maxWaiting)
	for name, address := range map[string]string{"an origin that waits": "198.51.0.1", "another": "192.0.2.1"} {
		if err := q.take(context.Background(), at(address)); !errors.Is(err, errBusy) {
			t.Errorf("%s got %v", name, err)
		}
	}
}

func TestWhoIsDisplacedIsTold(t *testing.T) {
	q := newTurns(0)
	told := make(chan error, maxWaiting)
	for i := range maxWaiting {
		go func() { told <- q.take(context.Background(), at(fmt.Sprintf("192.0.2.%d", i%4))) }()
	}
	until(t, func() bool { return count(q) == maxWaiting })
	if _, err := q.join(at("198.51.100.1")); err != nil {
		t.Fatal(err)
	}
	if err := <-told; !errors.Is(err, errDisplaced) {
		t.Errorf("got %v", err)
	}
}

func count(q *turns) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

// until waits for a condition.
func until(t *testing.T, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to that")
		}
	}
}

// TestNoTurnIsLost has many give up at the moment at which they may be served.
func TestNoTurnIsLost(t *testing.T) {
	q := newTurns(2)
	var all sync.WaitGroup
	for i := range 2000 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%7)*100*time.Microsecond)
			defer cancel()
			if q.take(ctx, at(fmt.Sprintf("192.0.2.%d", i%50))) == nil {
				time.Sleep(time.Duration(i%3) * 50 * time.Microsecond)
				q.done()
			}
		})
	}
	all.Wait()
	checkEmpty(t, q, 2)
}
