package oauth

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// storedPerSecond and storedAtOnce are how many revocations one caller can have stored.
	storedPerSecond = 1
	storedAtOnce    = 30
	// mostCallers bounds the memory. Who is forgotten has all of storedAtOnce again.
	mostCallers = 4096
)

// Limits bounds how many objects one caller can have stored, so that nobody fills the API server. The zero value is ready.
type Limits struct {
	mu      sync.Mutex
	callers map[string]*rate.Limiter
}

// wait takes one from what the caller may have stored, or returns how long it must wait.
func (l *Limits) wait(username string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter := l.callers[username]
	if limiter == nil {
		l.makeRoom(now)
		limiter = rate.NewLimiter(storedPerSecond, storedAtOnce)
		l.callers[username] = limiter
	}
	if limiter.AllowN(now, 1) {
		return 0
	}
	missing := 1 - limiter.TokensAt(now)
	return time.Duration(missing / storedPerSecond * float64(time.Second))
}

// makeRoom forgets one of a few, and rather one who has all that a caller may have: maps are walked from a random place.
func (l *Limits) makeRoom(now time.Time) {
	if l.callers == nil {
		l.callers = map[string]*rate.Limiter{}
	}
	if len(l.callers) < mostCallers {
		return
	}
	victim, looked := "", 0
	for username, limiter := range l.callers {
		victim = username
		if looked++; looked == 16 || limiter.TokensAt(now) >= storedAtOnce {
			break
		}
	}
	delete(l.callers, victim)
}
