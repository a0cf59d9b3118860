package identity

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/singleflight"

	"github.com/tokenwright/tokenwright/tokenserver/provider"
)

const (
	// provedFor is how long a right password need not be hashed again. A change of the Secret or of the provider ends it
	// at once, because both are part of the digest.
	provedFor = time.Minute
	// maxProved bounds the memory; only right passwords get into it.
	maxProved = 8192
	// maxWaiting is how many different credentials may wait for a processor. With more, waiting would be in vain.
	maxWaiting = 256
	// checkTimeout is how long one of them may take, waiting included.
	checkTimeout = 10 * time.Second
)

var errBusy = errors.New("too many passwords are being checked")

// passwords checks passwords against bcrypt hashes, a bounded number at a time, and remembers the right ones.
type passwords struct {
	slots   chan struct{}
	waiting atomic.Int64
	// flights joins requests with equal credentials: a client that fetches ten layers asks ten times at once.
	flights singleflight.Group
	proved  *memory[struct{}]
}

func newPasswords(atOnce int) *passwords {
	if atOnce <= 0 {
		atOnce = max(1, runtime.GOMAXPROCS(0)/2)
	}
	return &passwords{slots: make(chan struct{}, atOnce), proved: newMemory[struct{}](maxProved)}
}

// check says whether the password is the user's. The id stands for the file, the user and the password.
func (p *passwords) check(ctx context.Context, file *provider.Htpasswd, user, password string, id digest, now time.Time) (bool, error) {
	if _, ok := p.proved.get(id, now); ok {
		return true, nil
	}
	// The work goes on without the first of the requests, for the sake of the others.
	work := context.WithoutCancel(ctx)
	result := p.flights.DoChan(string(id[:]), func() (any, error) {
		return p.compare(work, file, user, password)
	})
	select {
	case <-ctx.Done():
		return false, unavailable(context.Cause(ctx))
	case r := <-result:
		if r.Err != nil {
			return false, r.Err
		}
		right, _ := r.Val.(bool)
		if right {
			p.proved.put(id, struct{}{}, now.Add(provedFor), now)
		}
		return right, nil
	}
}

// compare waits for a processor and hashes.
func (p *passwords) compare(ctx context.Context, file *provider.Htpasswd, user, password string) (bool, error) {
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > maxWaiting {
		return false, unavailable(errBusy)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return false, unavailable(errBusy)
	}
	defer func() { <-p.slots }()
	return matches(file, user, password), nil
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
