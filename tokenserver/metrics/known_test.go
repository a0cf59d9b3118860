package metrics

import (
	"fmt"
	"sync"
	"testing"
)

// TestKnownSeriesAreFoundOnce holds that many goroutines that need a series at once get the same one: what one of them
// counted elsewhere would be lost.
func TestKnownSeriesAreFoundOnce(t *testing.T) {
	var k known[string, *int]
	var mu sync.Mutex
	found := map[string]int{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 50 {
				labels := fmt.Sprint(i)
				first := k.get(labels, func() *int {
					mu.Lock()
					defer mu.Unlock()
					found[labels]++
					return new(int)
				})
				if again := k.get(labels, func() *int { return nil }); again != first {
					t.Errorf("%s: another one the second time", labels)
				}
			}
		})
	}
	all.Wait()
	for labels, n := range found {
		if n != 1 {
			t.Errorf("%s was found %d times", labels, n)
		}
	}
	if len(found) != 50 {
		t.Errorf("%d series, want 50", len(found))
	}
}
