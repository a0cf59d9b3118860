package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const (
	clusterIssuer = "https://kubernetes.default.svc"
	ourAudience   = "tokenwright"
	builder       = "system:serviceaccount:ci:builder"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// errAway is what the client of an API server that is away returns.
var errAway error = &url.Error{Op: "Post", URL: "https://kubernetes", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}

// fakeCluster is an API server with one key.
type fakeCluster struct {
	key *ecdsa.PrivateKey
	kid string

	mu       sync.Mutex
	keysErr  error
	fetches  int
	reviews  int
	review   func(ctx context.Context, token string) (authenticationv1.TokenReviewStatus, error)
	reviewed []string
}

func newFakeCluster(t *testing.T) *fakeCluster {
	t.Helper()
	f := &fakeCluster{kid: "cluster-1", key: newECDSA(t)}
	f.review = func(context.Context, string) (authenticationv1.TokenReviewStatus, error) {
		return yes(builder, ourAudience), nil
	}
	return f
}

func newECDSA(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (f *fakeCluster) Keys(context.Context) (string, []byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fetches++
	if f.keysErr != nil {
		return "", nil, f.keysErr
	}
	document, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: f.key.Public(), KeyID: f.kid, Algorithm: "ES256", Use: "sig"},
	}})
	return clusterIssuer, document, err
}

func (f *fakeCluster) Review(ctx context.Context, token string, audiences []string) (authenticationv1.TokenReviewStatus, error) {
	f.mu.Lock()
	f.reviews++
	f.reviewed = audiences
	review := f.review
	f.mu.Unlock()
	return review(ctx, token)
}

// yes is the answer of an API server that accepts a token.
func yes(username string, audiences ...string) authenticationv1.TokenReviewStatus {
	return authenticationv1.TokenReviewStatus{
		Authenticated: true, Audiences: audiences,
		User: authenticationv1.UserInfo{
			Username: username, UID: "uid-1",
			Groups: []string{"system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated"},
		},
	}
}

// claimsOf are good claims of ci/builder; the edit makes them worse.
func claimsOf(edit func(map[string]any)) map[string]any {
	claims := map[string]any{
		"iss": clusterIssuer, "sub": builder, "aud": []string{ourAudience},
		"exp": noon.Add(time.Hour).Unix(), "nbf": noon.Add(-time.Minute).Unix(), "iat": noon.Add(-time.Minute).Unix(), "jti": "j1",
		"kubernetes.io": map[string]any{
			"namespace": "ci", "serviceaccount": map[string]any{"name": "builder", "uid": "uid-1"},
			"pod": map[string]any{"name": "p", "uid": "pu"}, "node": map[string]any{"name": "n", "uid": "nu"},
		},
	}
	if edit != nil {
		edit(claims)
	}
	return claims
}

func (f *fakeCluster) token(t *testing.T, edit func(map[string]any)) string {
	t.Helper()
	return sign(t, jose.ES256, f.key, f.kid, claimsOf(edit), nil)
}

func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, kid string, claims any, options *jose.SignerOptions) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// accountsOf is a snapshot with a provider of ServiceAccounts for each way of verification, by audience.
func accountsOf(ways map[string]v1alpha1.Verification) *snapshot.Snapshot {
	var in snapshot.Input
	for audience, way := range ways {
		in.Providers = append(in.Providers, &provider.Provider{
			Name: "accounts-" + audience, UID: "uid-" + audience,
			Kubernetes: &provider.Kubernetes{Audiences: []string{audience}, Verification: way},
		})
	}
	return snapshot.Build(in)
}

func verifiedBy(way v1alpha1.Verification) *snapshot.Snapshot {
	return accountsOf(map[string]v1alpha1.Verification{ourAudience: way})
}

// outcome is the error as a word.
func outcome(err error) string {
	switch {
	case err == nil:
		return "in"
	case errors.Is(err, ErrBadCredentials):
		return "bad"
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	}
	return err.Error()
}
