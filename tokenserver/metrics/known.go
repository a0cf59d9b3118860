package metrics

import (
	"maps"
	"sync"
	"sync/atomic"
)

// known remembers the series of a metric by its labels: to find one by its texts takes the library as long as a decision
// about a token. There are as many as there are series, which are few. The zero value is ready.
type known[K comparable, V any] struct {
	series atomic.Pointer[map[K]V]
	mu     sync.Mutex
}

// get returns the series, which find finds the first time.
func (k *known[K, V]) get(labels K, find func() V) V {
	if series := k.series.Load(); series != nil {
		if v, ok := (*series)[labels]; ok {
			return v
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	more := map[K]V{}
	if series := k.series.Load(); series != nil {
		more = maps.Clone(*series)
	}
	v, ok := more[labels]
	if !ok {
		v = find()
		more[labels] = v
		k.series.Store(&more)
	}
	return v
}
