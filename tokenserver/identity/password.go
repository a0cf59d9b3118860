package identity

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/singleflight"

	"github.com/tokenwright/tokenwright/tokenserver/provider"
)

const (
	// provedFor is how long a right password need not be hashed again. A change of the Secret or of the provider ends it
	// at once, because both are part of the digest.
	provedFor = time.Minute
	// refusedFor is how long a wrong one need not be: the second try of a containerd login, or a job with an old password.
	// It is shorter than what accountPace gives back meanwhile, so that such a job never keeps the account's owner out.
	refusedFor = time.Minute
	// maxProved and maxRefused bound the memories; only what was hashed gets into them.
	maxProved, maxRefused = 8192, 8192
	// checkTimeout is how long a check may take, waiting included.
	checkTimeout = 10 * time.Second
	// crowdedRetry is when to come back if the caller's own address asks for too much at once.
	crowdedRetry = 5 * time.Second
)

// login is a password that is to be checked.
type login struct {
	file *provider.Htpasswd
	// user is the name in the file; account is how the client gave it.
	user, account, password string
	// id stands for the provider, the file, the user and the password.
	id     digest
	origin origin
	now    time.Time
}

// passwords checks passwords against bcrypt hashes, a bounded number at a time, and remembers what it found out.
type passwords struct {
	seal  seal
	turns *turns
	tries *tries
	// flights joins requests with equal credentials from one origin: a client that fetches ten layers asks ten times at
	// once.
	flights singleflight.Group
	// proved are the right ones, with the origin that they were proved from.
	proved *memory[origin]
	// refused are the wrong ones, each as it came from one origin: what others tried must not be found out by the time that
	// an answer takes.
	refused *memory[struct{}]
	// matches is the hash: the function of that name.
	matches func(file *provider.Htpasswd, user, password string) bool
}

func newPasswords(s seal, atOnce int) *passwords {
	if atOnce <= 0 {
		atOnce = max(1, runtime.GOMAXPROCS(0)/2)
	}
	return &passwords{
		seal: s, turns: newTurns(atOnce), tries: newTries(),
		proved: newMemory[origin](maxProved), refused: newMemory[struct{}](maxRefused),
		matches: matches,
	}
}

// remembers says that the password was right, and that nobody can be guessing at what is remembered: the way of nearly all.
func (p *passwords) remembers(id digest, now time.Time) bool {
	_, warm := p.proved.get(id, now)
	return warm && p.tries.calm(now)
}

// check says whether the password is the user's. The error is a *Limited, or ErrUnavailable with its cause.
func (p *passwords) check(ctx context.Context, l login) (bool, error) {
	from, warm := p.proved.get(l.id, l.now)
	of := try{account: p.seal.of("account", l.origin.text(), l.account), origin: l.origin}
	wait := p.tries.wait(of, l.now)
	if warm && (wait == 0 || from == l.origin && p.tries.recall(of, l.now)) {
		// Where guessing is over, only those are let in who were there before: to others each try would be a guess.
		return true, nil
	}
	same := p.seal.of("same", string(l.id[:]), l.origin.text())
	if _, wrong := p.refused.get(same, l.now); wrong {
		return false, nil
	}
	if wait > 0 {
		return false, p.stop(of, wait, l.now)
	}
	return p.join(ctx, l, of, same)
}

// join waits for the check, together with others that wait for the same.
func (p *passwords) join(ctx context.Context, l login, of try, same digest) (bool, error) {
	// The work goes on without the first of the requests, for the sake of the others.
	work := context.WithoutCancel(ctx)
	result := p.flights.DoChan(string(same[:]), func() (any, error) {
		return p.compare(work, l, of, same)
	})
	select {
	case <-ctx.Done():
		return false, unavailable(context.Cause(ctx))
	case r := <-result:
		right, _ := r.Val.(bool)
		return right, r.Err
	}
}

// compare waits for its turn and hashes.
func (p *passwords) compare(ctx context.Context, l login, of try, same digest) (bool, error) {
	if _, wrong := p.refused.get(same, l.now); wrong { // found out between the request's look and its turn
		return false, nil
	}
	if wait := p.tries.enter(of, l.now); wait > 0 {
		return false, p.stop(of, wait, l.now)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	switch err := p.turns.take(ctx, l.origin); {
	case errors.Is(err, errBusy):
		return false, unavailable(err)
	case err != nil:
		return false, limited(crowdedRetry, err)
	}
	defer p.turns.done()
	if _, warm := p.proved.get(l.id, l.now); warm { // another origin has asked the same meanwhile
		p.tries.right(of, false)
		return true, nil
	}
	counted, wait := p.tries.begin(of, l.now)
	if wait > 0 {
		return false, p.stop(of, wait, l.now)
	}
	if !p.matches(l.file, l.user, l.password) {
		p.refused.put(same, struct{}{}, l.now.Add(refusedFor), l.now)
		return false, nil
	}
	p.tries.right(of, counted)
	p.tries.gotIn(of, l.now)
	p.proved.put(l.id, l.origin, l.now.Add(provedFor), l.now)
	return true, nil
}

// stop refuses a try unseen.
func (p *passwords) stop(of try, wait time.Duration, now time.Time) error {
	p.tries.guessed(of, now)
	return limited(wait, errTooManyWrong)
}

// matches takes as long for a user who does not exist as for one whose password is wrong: 2^cost rounds for the highest
// cost in the file.
func matches(file *provider.Htpasswd, user, password string) bool {
	most := max(file.Cost, bcrypt.MinCost)
	hash, known := file.Hashes[user]
	if !known {
		hash = decoy(most)
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil && known {
		return true
	}
	cost, err := bcrypt.Cost(hash)
	if err != nil {
		return false
	}
	// 2^most = 2^cost + 2^cost + 2^(cost+1) + … + 2^(most-1)
	for ; cost < most; cost++ {
		_ = bcrypt.CompareHashAndPassword(decoy(cost), []byte(password))
	}
	return false
}

// decoy is a hash that costs as much as a real one. Whether it matches is never looked at.
func decoy(cost int) []byte {
	return fmt.Appendf(nil, "$2b$%02d$%s%s", cost, strings.Repeat("O", 22), strings.Repeat("O", 31))
}
