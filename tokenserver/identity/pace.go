package identity

import "time"

// pace is how often something may happen: burst times at once, and then once in each every.
//
// What has happened is kept as a single time, at: when all of it will have been forgotten. Each event moves it by every,
// from where it is or from now, whichever is later. So (at-now)/every events are held against whoever they are counted
// for, and one more may happen while at-now <= (burst-1)*every; if it is later, then once the difference has passed. This
// is the generic cell rate algorithm of ITU-T I.371: a bucket of burst tokens that gets one in each every, in one word.
//
// A time that is earlier than one before (requests do not come in the order of their times) forgives nothing.
type pace struct {
	burst int
	every time.Duration
}

// wait returns after what time one more may happen; 0 if it may now.
func (p pace) wait(at, now time.Time) time.Duration {
	ahead := max(0, at.Sub(now)) // Sub of the zero time is as little as there is, and nothing can be taken off
	return max(0, ahead-p.slack())
}

// more returns at after one more event.
func (p pace) more(at, now time.Time) time.Time {
	if at.Before(now) {
		at = now
	}
	return at.Add(p.every)
}

// slack is what burst-1 events are worth.
func (p pace) slack() time.Duration { return time.Duration(p.burst-1) * p.every }

// ledger keeps the paces of a bounded number of keys. Who uses it holds a lock.
type ledger[K comparable] struct {
	pace pace
	max  int
	at   map[K]time.Time
}

func newLedger[K comparable](p pace, most int) ledger[K] {
	return ledger[K]{pace: p, max: most, at: map[K]time.Time{}}
}

func (l *ledger[K]) wait(key K, now time.Time) time.Duration { return l.pace.wait(l.at[key], now) }

func (l *ledger[K]) count(key K, now time.Time) {
	at, held := l.at[key]
	if !held && len(l.at) >= l.max {
		l.makeRoom(now)
	}
	l.at[key] = l.pace.more(at, now)
}

// takeBack undoes one count.
func (l *ledger[K]) takeBack(key K) {
	if at, held := l.at[key]; held {
		l.at[key] = at.Add(-l.pace.every)
	}
}

// makeRoom looks at a few keys, from a random place on, and drops those that nothing is held against; if there is none,
// the one against which least is held. So a flood of new keys pushes out its own kind before it pushes out one that is
// at its bound.
func (l *ledger[K]) makeRoom(now time.Time) {
	const looked = 16
	var least K
	var until time.Time
	seen, dropped := 0, 0
	for key, at := range l.at {
		if !at.After(now) {
			delete(l.at, key)
			dropped++
		} else if until.IsZero() || at.Before(until) {
			least, until = key, at
		}
		if seen++; seen >= looked {
			break
		}
	}
	if dropped == 0 {
		delete(l.at, least)
	}
}
