package oauth

import "time"

// Wait takes one from what the caller may have stored, or returns how long it must wait: for other endpoints that store
// revocations for callers.
func (l *Limits) Wait(username string, now time.Time) time.Duration { return l.wait(username, now) }
