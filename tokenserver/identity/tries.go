package identity

import (
	"sync"
	"sync/atomic"
	"time"
)

// How often a password may be wrong. Only those that are hashed count: one that is remembered, as right or as wrong, costs
// nothing and teaches a guesser nothing. Nothing is counted for an account alone: whoever knows a name could keep its owner
// out from anywhere.
var (
	// accountPace is for one account from one origin: ten at once, and then two a minute: at most 2,890 guesses a day.
	accountPace = pace{burst: 10, every: 30 * time.Second}
	// originPace is for all accounts from one origin: a hundred at once, and then twenty a minute: 28,900 a day. Accounts
	// that got in from there within knownFor are exempt, and have only their own bound: else one guesser would keep a
	// whole office out.
	originPace = pace{burst: 100, every: 3 * time.Second}
	// recallPace is for one account from one origin, once one of the others has been used up. Who is remembered gets in without
	// a hash even then, so that each try is a guess at what is remembered, as fast as HTTP is: after a hundred at once it
	// is twelve a minute, and then not even the memory is asked. It costs the owner little: in a minute at most, when they
	// are not remembered any more, the other bound would stop them, too.
	recallPace = pace{burst: 100, every: 5 * time.Second}
)

const (
	// knownFor is how long an account that got in from an origin is known to be there.
	knownFor = 24 * time.Hour
	// maxTries bounds each ledger: about 100 bytes an entry.
	maxTries = 1 << 15
)

// try is what a failure is counted for.
type try struct {
	// account stands for the account and the origin together.
	account digest
	origin  origin
}

// tries counts the passwords that were wrong.
type tries struct {
	// tight is until when some account or origin is at its bound, as Unix time in nanoseconds. As long as none is, a caller
	// who is remembered costs nothing here.
	tight atomic.Int64
	// known are the accounts that got in.
	known *memory[struct{}]

	mu                sync.Mutex
	accounts, recalls ledger[digest]
	origins           ledger[origin]
}

func newTries() *tries {
	return &tries{
		known: newMemory[struct{}](maxTries), accounts: newLedger[digest](accountPace, maxTries),
		recalls: newLedger[digest](recallPace, maxTries), origins: newLedger[origin](originPace, maxTries),
	}
}

// calm says that nothing is at its bound.
func (t *tries) calm(now time.Time) bool { return now.UnixNano() >= t.tight.Load() }

// wait is how long the account must wait before another password of it is checked; 0: not at all.
func (t *tries) wait(of try, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bound(of, now)
}

func (t *tries) bound(of try, now time.Time) time.Duration {
	return max(t.accounts.wait(of.account, now), t.strange(of, now))
}

// strange is how long the account must wait because of others from its origin.
func (t *tries) strange(of try, now time.Time) time.Duration {
	wait := t.origins.wait(of.origin, now)
	if wait == 0 {
		return 0
	}
	if _, known := t.known.get(of.account, now); known {
		return 0
	}
	return wait
}

// recall says whether what is remembered counts for an account that must wait.
func (t *tries) recall(of try, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.recalls.wait(of.account, now) == 0
}

// guessed counts a try that found nothing remembered, for an account that must wait. When there were too many, none is
// counted, or the bound would be a lock.
func (t *tries) guessed(of try, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.recalls.wait(of.account, now) == 0 {
		t.recalls.count(of.account, now)
	}
}

// enter counts a password as wrong for the account, before anybody knows: else a thousand at once would all be checked
// before the first was counted. Only what turns out to be right is taken back, and not what could not be checked: whoever
// can keep all places taken could otherwise guess at what is remembered, at no price. It returns how long to wait if there
// were too many, and then counts nothing.
func (t *tries) enter(of try, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if wait := t.bound(of, now); wait > 0 {
		return wait
	}
	t.accounts.count(of.account, now)
	t.tighten(t.accounts.wait(of.account, now), now)
	return 0
}

// begin counts it for the origin, when its turn has come: so many may come from one origin at the same time, and be right,
// that those who wait must not count. It returns how long to wait if there were too many. An account that is exempt is
// counted only up to the bound, or it would put off all others without end.
func (t *tries) begin(of try, now time.Time) (counted bool, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if wait := t.strange(of, now); wait > 0 {
		return false, wait
	}
	if t.origins.wait(of.origin, now) > 0 {
		return false, 0
	}
	t.origins.count(of.origin, now)
	t.tighten(t.origins.wait(of.origin, now), now)
	return true, 0
}

func (t *tries) tighten(wait time.Duration, now time.Time) {
	if wait > 0 {
		t.tight.Store(max(t.tight.Load(), now.Add(wait).UnixNano()))
	}
}

// right undoes enter, and begin where it counted.
func (t *tries) right(of try, counted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accounts.takeBack(of.account)
	if counted {
		t.origins.takeBack(of.origin)
	}
}

// gotIn keeps in mind that the account is known at the origin.
func (t *tries) gotIn(of try, now time.Time) {
	t.known.put(of.account, struct{}{}, now.Add(knownFor), now)
}
