package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
)

const (
	// preferredBudget is how long OnlinePreferred waits for an answer, from when the question is sent.
	preferredBudget = 1500 * time.Millisecond
	// onlineBudget is how long Online waits.
	onlineBudget = 5 * time.Second
	// maxReviewsWaiting is how many different tokens may wait for their turn.
	maxReviewsWaiting = 1024
	// reviewTurn is how long one of them may wait. It is no part of the budget: a long queue is no sign of how the API
	// server is.
	reviewTurn = 5 * time.Second
)

var (
	// errSilent says that the API server gave no answer, to nobody. It is the only error that lets OnlinePreferred go by
	// the keys alone.
	errSilent       = errors.New("the API server does not answer")
	errReviewsQueue = errors.New("too many tokens are being reviewed")
)

// ask returns what the API server says of the token. Requests with equal tokens are one question, which goes on without
// the first of them, for the sake of the others: a client that hangs up takes no answer away.
func (a *accounts) ask(ctx context.Context, how *provider.Kubernetes, token string, claimed accountClaims, id digest, now time.Time) (answer, error) {
	work := context.WithoutCancel(ctx)
	result := a.flights.DoChan(string(id[:]), func() (any, error) {
		// The flight before this one may have landed after the request looked. From here on nobody else asks about the
		// token.
		if known, ok := a.reviewed.get(id, now); ok {
			return known, nil
		}
		said, err := a.review(work, how, token, now)
		if err != nil {
			return answer{}, err
		}
		if said.caller.Username != claimed.Subject {
			said = answer{}
		}
		a.reviewed.put(id, said, said.until(claimed, now), now)
		return said, nil
	})
	select {
	case <-ctx.Done():
		return answer{}, fmt.Errorf("wait for a TokenReview: %w", context.Cause(ctx))
	case r := <-result:
		said, _ := r.Val.(answer)
		return said, r.Err
	}
}

// review waits for its turn and asks the API server within the budget of the way of verification. The error is errSilent
// if there is no API server to answer; with any other it must not be taken for silent.
func (a *accounts) review(ctx context.Context, how *provider.Kubernetes, token string, now time.Time) (answer, error) {
	began := time.Now()
	moment := func() time.Time { return now.Add(time.Since(began)) }
	turn := a.turn(ctx)
	if turn == nil {
		defer func() { <-a.reviews }()
	}
	budget := onlineBudget
	if how.Verification == v1alpha1.VerifyOnlinePreferred {
		budget = preferredBudget
		if a.pulse.silent(moment()) {
			return answer{}, errSilent // Others have found out meanwhile.
		}
	}
	if turn != nil {
		return answer{}, turn
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	counted := a.pulse.count()
	status, err := a.cluster.Review(ctx, token, how.Audiences)
	if err == nil {
		a.pulse.answered()
		return judge(status, how.Audiences), nil
	}
	if !isSilence(err) {
		if a.pulse.refused(moment()) {
			a.log.Error(err, "The API server would not review a token")
		}
		return answer{}, err
	}
	silent, news := a.pulse.missed(counted, moment())
	if news {
		a.log.Error(err, "The API server did not answer a TokenReview")
	}
	if silent {
		return answer{}, fmt.Errorf("%w: %w", errSilent, err)
	}
	return answer{}, err
}

// turn returns nil once the review may be sent; the caller gives its place in reviews back.
func (a *accounts) turn(ctx context.Context) error {
	defer a.waiting.Add(-1)
	if a.waiting.Add(1) > maxReviewsWaiting {
		return errReviewsQueue
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTurn)
	defer cancel()
	select {
	case a.reviews <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errReviewsQueue
	}
}

// judge reads the answer. An API server that does not know audiences leaves them out, and the token may then be for
// anyone; and who is not a ServiceAccount is not this provider's to vouch for.
func judge(status authenticationv1.TokenReviewStatus, audiences []string) answer {
	meant := slices.ContainsFunc(status.Audiences, func(a string) bool { return slices.Contains(audiences, a) })
	if !status.Authenticated || !meant {
		return answer{}
	}
	who := caller.Caller{
		Username: status.User.Username, UID: status.User.UID, Groups: slices.Clone(status.User.Groups),
		Method: caller.MethodServiceAccount,
	}
	if namespace, _ := who.ServiceAccount(); namespace == "" {
		return answer{}
	}
	if !slices.Contains(who.Groups, caller.GroupAuthenticated) {
		who.Groups = append(who.Groups, caller.GroupAuthenticated)
	}
	for key, values := range status.User.Extra {
		if who.Extra == nil {
			who.Extra = map[string][]string{}
		}
		who.Extra[key] = slices.Clone(values)
	}
	return answer{good: true, caller: who}
}
