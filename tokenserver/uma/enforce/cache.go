package enforce

import (
	"container/list"
	"sync"
	"time"
)

// cache remembers so many values, each until its time; what was not used for longest goes first.
type cache[K comparable, V any] struct {
	most int

	mu      sync.Mutex
	entries map[K]*list.Element
	// order has the entries, the last one that was used first.
	order list.List
}

type entry[K comparable, V any] struct {
	key   K
	value V
	until time.Time
}

func newCache[K comparable, V any](most int) *cache[K, V] {
	return &cache[K, V]{most: most, entries: map[K]*list.Element{}}
}

func (c *cache[K, V]) get(key K, now time.Time) (value V, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.entries[key]
	if element == nil {
		return value, false
	}
	e, _ := element.Value.(*entry[K, V])
	if !now.Before(e.until) {
		c.remove(element, e)
		return value, false
	}
	c.order.MoveToFront(element)
	return e.value, true
}

func (c *cache[K, V]) put(key K, value V, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element := c.entries[key]; element != nil {
		e, _ := element.Value.(*entry[K, V])
		e.value, e.until = value, until
		c.order.MoveToFront(element)
		return
	}
	c.entries[key] = c.order.PushFront(&entry[K, V]{key, value, until})
	if c.order.Len() > c.most {
		last := c.order.Back()
		e, _ := last.Value.(*entry[K, V])
		c.remove(last, e)
	}
}

func (c *cache[K, V]) remove(element *list.Element, e *entry[K, V]) {
	c.order.Remove(element)
	delete(c.entries, e.key)
}
