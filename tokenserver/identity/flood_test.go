package identity

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// slowNo is an API server that answers each TokenReview after a while, and always with no: the account was deleted.
func slowNo(takes time.Duration) reviewer {
	return func(ctx context.Context, _ string) (authenticationv1.TokenReviewStatus, error) {
		select {
		case <-ctx.Done():
			return authenticationv1.TokenReviewStatus{}, ctx.Err()
		case <-time.After(takes):
			return authenticationv1.TokenReviewStatus{}, nil
		}
	}
}

// flood sends all tokens at once and counts the outcomes.
func flood(a *Authenticator, way v1alpha1.Verification, tokens []string) map[string]int {
	s := verifiedBy(way)
	outcomes := map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, token := range tokens {
		all.Go(func() {
			_, err := a.Authenticate(context.Background(), s, withToken(token), noon)
			mu.Lock()
			defer mu.Unlock()
			outcomes[outcome(err)]++
		})
	}
	all.Wait()
	return outcomes
}

// TestADeletedAccountDoesNotGetInByFlooding holds that a wait in our own queue is never taken for the API server's
// silence: it answers every TokenReview here, and each answer is no.
func TestADeletedAccountDoesNotGetInByFlooding(t *testing.T) {
	const requests = 1500
	for name, tc := range map[string]struct {
		reason string
		// tokens is how many there are, and so how many TokenReviews may be sent.
		tokens int
	}{
		"with one token":                  {"Requests with equal tokens are one question.", 1},
		"with many tokens of one account": {"Each is a question, and the queue gets too long.", requests},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := newFakeCluster(t)
			cluster.review = slowNo(50 * time.Millisecond)
			a := New(Options{Cluster: cluster})
			different := make([]string, tc.tokens)
			for i := range different {
				different[i] = cluster.token(t, func(c map[string]any) { c["jti"] = fmt.Sprint(i) })
			}
			tokens := make([]string, requests)
			for i := range tokens {
				tokens[i] = different[i%tc.tokens]
			}
			got := flood(a, v1alpha1.VerifyOnlinePreferred, tokens)
			if got["in"] > 0 || got["bad"] == 0 {
				t.Errorf("%s\noutcomes: %v", tc.reason, got)
			}
			if sent := cluster.asked(); sent > tc.tokens {
				t.Errorf("%s\n%d TokenReviews, want at most %d", tc.reason, sent, tc.tokens)
			}
			victim := cluster.token(t, func(c map[string]any) { c["jti"] = "afterwards" })
			if diff := cmp.Diff(map[string]int{"bad": 1}, flood(a, v1alpha1.VerifyOnlinePreferred, []string{victim})); diff != "" {
				t.Errorf("a deleted account after the flood -want +got:\n%s", diff)
			}
		})
	}
}

func (f *fakeCluster) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reviews
}

// TestOneTokenCannotBeWrittenInManyWays is the attacker who has a single token and makes it many questions.
func TestOneTokenCannotBeWrittenInManyWays(t *testing.T) {
	cluster := newFakeCluster(t)
	a := New(Options{Cluster: cluster})
	token := cluster.token(t, nil)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	spare := token[:len(token)-1] + alphabet[last|1:last|1+1]
	if _, err := base64.RawURLEncoding.DecodeString(spare[strings.LastIndexByte(spare, '.')+1:]); err != nil {
		t.Fatal(err)
	}
	for name, variant := range map[string]string{
		"a line break at the end": token + "\n", "a line break within": token[:50] + "\r\n" + token[50:],
		"a space": token[:50] + " " + token[50:], "spare bits": spare, "padding": token + "==",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a.Authenticate(context.Background(), verifiedBy(v1alpha1.VerifyOnlinePreferred), withToken(variant), noon)
			if diff := cmp.Diff("bad", outcome(err)); diff != "" || cluster.asked() > 0 {
				t.Errorf("-want +got:\n%s\n%d reviews", diff, cluster.asked())
			}
		})
	}
}
