package record

import (
	"fmt"
	"testing"
	"time"
)

func TestLimitsLetACallerGoOnLater(t *testing.T) {
	var l Limits
	now := time.Unix(1_000_000, 0)
	for n := range storedAtOnce {
		if wait := l.Wait("alice", now); wait != 0 {
			t.Fatalf("after %d it must wait %s", n, wait)
		}
	}
	wait := l.Wait("alice", now)
	if wait <= 0 || wait > time.Second {
		t.Errorf("it must wait %s", wait)
	}
	if wait := l.Wait("bob", now); wait != 0 {
		t.Errorf("another must wait %s", wait)
	}
	if wait := l.Wait("alice", now.Add(time.Second)); wait != 0 {
		t.Errorf("a second later it must wait %s", wait)
	}
}

// Whoever can make up callers, as with ServiceAccounts, must not fill the memory.
func TestLimitsRememberABoundedNumberOfCallers(t *testing.T) {
	var l Limits
	now := time.Unix(1_000_000, 0)
	for n := range 2 * mostCallers {
		l.Wait(fmt.Sprint("caller-", n), now)
	}
	if len(l.callers) > mostCallers {
		t.Errorf("%d callers are remembered", len(l.callers))
	}
	if wait := l.Wait("caller-0", now); wait != 0 {
		t.Errorf("one who was forgotten must wait %s", wait)
	}
}
