package tokenserver

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// reviewing is an API server that counts what it is asked, and says yes to every TokenReview.
type reviewing struct {
	*cluster
	keys, reviews atomic.Int64
}

// Keys implements identity.Cluster.
func (r *reviewing) Keys(ctx context.Context) (string, []byte, error) {
	r.keys.Add(1)
	return r.cluster.Keys(ctx)
}

// Review implements identity.Cluster.
func (r *reviewing) Review(_ context.Context, _ string, audiences []string) (authenticationv1.TokenReviewStatus, error) {
	r.reviews.Add(1)
	return authenticationv1.TokenReviewStatus{
		Authenticated: true, Audiences: audiences, User: authenticationv1.UserInfo{Username: "system:serviceaccount:ci:builder", UID: "u"},
	}, nil
}

// TestTokensOfNobodyByTheThousand sends what looks like a token as the password, under a user's name and under others. Each is
// refused in the same words, the API server, which would say yes, is asked about none, and nobody is locked out: alice, in
// whose name it comes from her own address, has not logged in before.
func TestTokensOfNobodyByTheThousand(t *testing.T) {
	counted := &reviewing{cluster: newCluster(t)}
	w := startOAuth(t, func(_ *Options, parts *Parts, input *snapshot.Input) {
		parts.Authenticator = identity.New(identity.Options{Cluster: counted, Log: logr.Discard()})
		input.Providers[1].Kubernetes.Verification = v1alpha1.VerifyOnline
	})
	good, stranger := counted.token(t, time.Hour, nil), newCluster(t)
	if answer := w.get(t, "x", good, asking()); answer.status != http.StatusOK || counted.reviews.Load() != 1 {
		t.Fatalf("status %d, %d TokenReviews: this shows nothing", answer.status, counted.reviews.Load())
	}
	part := func(n int) string {
		random := make([]byte, n)
		_, _ = rand.Read(random)
		return base64.RawURLEncoding.EncodeToString(random)
	}
	encoded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	halves := strings.SplitAfterN(good, ".", 3)
	numbered := func(n int) func(map[string]any) { return func(c map[string]any) { c["jti"] = fmt.Sprint("j", n) } }
	kinds := map[string]func(n int) string{
		"random bytes":              func(int) string { return part(30) + "." + part(200) + "." + part(64) },
		"a header and random bytes": func(int) string { return encoded(`{"alg":"ES256","kid":"c1"}`) + "." + part(200) + "." + part(64) },
		"another's signature":       func(int) string { return halves[0] + halves[1] + part(64) },
		"signed by a stranger":      func(n int) string { return stranger.token(t, time.Hour, numbered(n)) },
		"with no signature": func(n int) string {
			return encoded(`{"alg":"none"}`) + "." + strings.TrimSuffix(halves[1], ".") + "." + strings.Repeat("A", n%8)
		},
		"with a key of its own id": func(n int) string {
			return encoded(fmt.Sprintf(`{"alg":"ES256","kid":"k%d"}`, n)) + "." + halves[1] + part(64)
		},
		"expired": func(n int) string { return counted.token(t, -time.Duration(n+120)*time.Second, nil) },
		"for others": func(n int) string {
			return counted.token(t, time.Hour, func(c map[string]any) { c["aud"] = fmt.Sprint("other-", n) })
		},
		"of others": func(n int) string {
			return counted.token(t, time.Hour, func(c map[string]any) { c["iss"] = fmt.Sprint("https://", n) })
		},
		"of many parts": func(n int) string { return strings.Repeat("eyJhbGciOiJFUzI1NiJ9.", 10+n%90) },
	}
	const each = 300
	users := []string{"alice", "bob", "nobody", "system:serviceaccount:ci:builder", "<token>"}
	const body = `{"errors":[{"code":"UNAUTHORIZED","message":"the credentials were not accepted"}]}`
	var all sync.WaitGroup
	for kind, junk := range kinds {
		all.Go(func() {
			for n := range each {
				answer := w.get(t, users[n%len(users)], junk(n), asking("repository:public/app:pull"))
				if got := strings.TrimSpace(string(answer.body)); answer.status != http.StatusUnauthorized || got != body ||
					answer.header.Get("WWW-Authenticate") != `Basic realm="tokenwright", charset="UTF-8"` {
					t.Errorf("%s, number %d: %d %s", kind, n, answer.status, answer.body)
					return
				}
			}
		})
	}
	all.Wait()
	if got := counted.reviews.Load(); got != 1 {
		t.Errorf("%d TokenReviews of junk", got-1)
	}
	if got := counted.keys.Load(); got > 20 {
		t.Errorf("the keys of ServiceAccounts were fetched %d times", got)
	}
	if got := w.objects.Calls(); got != 0 {
		t.Errorf("records were asked for %d times", got)
	}
	for user, password := range map[string]string{"alice": "secret", "bob": "hunter2", "x": counted.token(t, time.Hour, numbered(-1))} {
		if answer := w.get(t, user, password, asking("repository:public/app:pull")); answer.status != http.StatusOK {
			t.Errorf("%s, who has done nothing: %d %s", user, answer.status, answer.body)
		}
	}
}
