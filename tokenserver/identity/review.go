package identity

import (
	"context"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
)

// review asks the API server within the budget of the way of verification. An error means that it gave no answer.
func (a *accounts) review(ctx context.Context, how *provider.Kubernetes, token string, now time.Time) (answer, error) {
	budget := onlineBudget
	if how.Verification == v1alpha1.VerifyOnlinePreferred {
		budget = preferredBudget
	}
	request := ctx
	ctx, cancel := context.WithTimeout(request, budget)
	defer cancel()
	select {
	case a.reviews <- struct{}{}:
	case <-ctx.Done():
		return answer{}, fmt.Errorf("wait for a TokenReview: %w", context.Cause(ctx))
	}
	status, err := func() (authenticationv1.TokenReviewStatus, error) {
		defer func() { <-a.reviews }()
		return a.cluster.Review(ctx, token, how.Audiences)
	}()
	if err != nil {
		if request.Err() == nil {
			// A client that hangs up must not make the API server look silent to others.
			a.wentSilent(err, now)
		}
		return answer{}, err
	}
	return judge(status, how.Audiences), nil
}

// wentSilent remembers that the API server gave no answer, and says so once for each silence.
func (a *accounts) wentSilent(err error, now time.Time) {
	until := a.silentUntil.Load()
	if now.UnixNano() < until {
		return
	}
	if a.silentUntil.CompareAndSwap(until, now.Add(silence).UnixNano()) {
		a.log.Error(err, "The API server did not answer a TokenReview")
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
