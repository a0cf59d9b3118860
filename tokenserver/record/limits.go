package record

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// storedPerSecond and storedAtOnce are how many objects one caller can have stored.
	storedPerSecond = 1
	storedAtOnce    = 30
	// loginsPerSecond and loginsAtOnce are how many refresh tokens one user can have made. Past the twentieth each takes the
	// place of another, and leaves two objects that are collected within a quarter of an hour.
	loginsPerSecond = 0.1
	loginsAtOnce    = 60
	// mostCallers bounds the memory. Who is forgotten has all of storedAtOnce again.
	mostCallers = 4096
)

// Limits bounds how many objects one caller can have stored, so that nobody fills the API server. The zero value is ready, and
// is for what callers ask to be stored.
type Limits struct {
	mu      sync.Mutex
	callers map[string]*rate.Limiter
	// logins says that it is for refresh tokens.
	logins bool
}

// NewLoginLimits returns the bounds of refresh tokens.
func NewLoginLimits() *Limits { return &Limits{logins: true} }

func (l *Limits) pace() (perSecond float64, atOnce int) {
	if l.logins {
		return loginsPerSecond, loginsAtOnce
	}
	return storedPerSecond, storedAtOnce
}

// Wait takes one from what the caller may have stored, or returns how long it must wait.
func (l *Limits) Wait(username string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	perSecond, atOnce := l.pace()
	limiter := l.callers[username]
	if limiter == nil {
		l.makeRoom(now)
		limiter = rate.NewLimiter(rate.Limit(perSecond), atOnce)
		l.callers[username] = limiter
	}
	if limiter.AllowN(now, 1) {
		return 0
	}
	missing := 1 - limiter.TokensAt(now)
	return time.Duration(missing / perSecond * float64(time.Second))
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
	_, atOnce := l.pace()
	for username, limiter := range l.callers {
		victim = username
		if looked++; looked == 16 || limiter.TokensAt(now) >= float64(atOnce) {
			break
		}
	}
	delete(l.callers, victim)
}
