package identity

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/singleflight"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const (
	// reviewedFor is how long the answer to a TokenReview holds: as long as the API server itself remembers one, so that
	// a deleted ServiceAccount is refused within 20 s.
	reviewedFor = 10 * time.Second
	// maxReviewed bounds the memory of answers.
	maxReviewed = 8192
)

// accounts proves ServiceAccounts.
type accounts struct {
	cluster Cluster
	keys    *issuerKeys
	log     logr.Logger
	// reviews are the TokenReviews under way; waiting are those that would be.
	reviews chan struct{}
	waiting atomic.Int64
	// flights joins requests with equal tokens.
	flights  singleflight.Group
	reviewed *memory[answer]
	pulse    pulse
}

// answer is what the API server said about a token.
type answer struct {
	good   bool
	caller caller.Caller
}

func newAccounts(o Options) *accounts {
	atOnce := o.Reviews
	if atOnce <= 0 {
		atOnce = 16
	}
	a := &accounts{cluster: o.Cluster, log: o.Log, reviews: make(chan struct{}, atOnce), reviewed: newMemory[answer](maxReviewed)}
	if o.Cluster != nil {
		a.keys = newClusterKeys(o.Cluster, func(err error) {
			a.log.Error(err, "Could not fetch the keys of ServiceAccount tokens")
		})
	}
	return a
}

// serviceAccount proves a ServiceAccount by its token: first by the cluster's keys, so that junk costs the API server
// nothing, then, as the provider says, by asking the API server, which alone knows what has been deleted.
func (a *Authenticator) serviceAccount(ctx context.Context, s *snapshot.Snapshot, token string, now time.Time) (caller.Caller, error) {
	parsed, err := parseAccountToken(token)
	if err != nil {
		return caller.Caller{}, err
	}
	p := strictest(s.Providers, parsed.claimed)
	switch {
	case p == nil:
		return caller.Caller{}, refuse("no provider accepts the audiences of the token")
	case a.accounts.cluster == nil:
		// Nor will there ever be: it would be no use to try again.
		return caller.Caller{}, refuse("the server has no cluster to ask about ServiceAccounts")
	}
	id := a.seal.of("token", p.UID, strconv.FormatInt(p.Generation, 10), token)
	who, err := a.accounts.prove(ctx, p.Kubernetes, token, parsed, id, now)
	if err != nil {
		return caller.Caller{}, err
	}
	who.Provider = p.Name
	return who, nil
}

// strictest returns the provider that is to verify a token: of several whose audiences it claims, the one that asks the
// API server most.
func strictest(providers []*provider.Provider, claimed accountClaims) *provider.Provider {
	order := []v1alpha1.Verification{v1alpha1.VerifyOffline, v1alpha1.VerifyOnlinePreferred, v1alpha1.VerifyOnline}
	var found *provider.Provider
	for _, p := range providers {
		if p.Kubernetes == nil || !claimed.meant(p.Kubernetes.Audiences) {
			continue
		}
		if found == nil || slices.Index(order, p.Kubernetes.Verification) > slices.Index(order, found.Kubernetes.Verification) {
			found = p
		}
	}
	return found
}

func (a *accounts) prove(ctx context.Context, how *provider.Kubernetes, token string, parsed accountToken, id digest, now time.Time) (caller.Caller, error) {
	online := how.Verification != v1alpha1.VerifyOffline
	if known, ok := a.reviewed.get(id, now); ok && online {
		return known.result(now)
	}
	offline, err := a.byKeys(ctx, how.Audiences, parsed, now)
	if !online || errors.Is(err, ErrBadCredentials) {
		return offline, err
	}
	verified := err == nil
	byKeysAlone := verified && how.Verification == v1alpha1.VerifyOnlinePreferred
	if byKeysAlone && a.pulse.silent(now) {
		return offline, nil
	}
	said, err := a.ask(ctx, how, token, parsed.claimed, id, now)
	switch {
	case err == nil:
		return said.result(now)
	case byKeysAlone && errors.Is(err, errSilent):
		return offline, nil
	}
	// Whatever else kept the answer away may be the caller's doing, and must not be to the caller's advantage.
	return caller.Caller{}, unavailable(err)
}

// byKeys verifies the token with the cluster's keys. ErrUnavailable says that they cannot be had.
func (a *accounts) byKeys(ctx context.Context, audiences []string, parsed accountToken, now time.Time) (caller.Caller, error) {
	issuer, keys, err := a.keys.find(ctx, parsed.keyID(), now)
	switch {
	case errors.Is(err, errUnknownKey):
		return caller.Caller{}, refuse("%w", err)
	case err != nil:
		return caller.Caller{}, unavailable(err)
	}
	return parsed.verify(issuer, keys, audiences, now)
}

// result is the caller, as of now, or the refusal.
func (a answer) result(now time.Time) (caller.Caller, error) {
	if !a.good {
		return caller.Caller{}, refuse("the API server did not accept the token")
	}
	who := a.caller
	who.AuthTime = now
	return who, nil
}

// until is how long the answer holds: a yes at most until the token expires.
func (a answer) until(claims accountClaims, now time.Time) time.Time {
	until := now.Add(reviewedFor)
	if a.good && claims.Expiry != nil && claims.Expiry.Time().Before(until) {
		return claims.Expiry.Time()
	}
	return until
}
