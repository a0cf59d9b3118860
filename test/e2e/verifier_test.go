//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// verifier is whoever is shown tokens.
type verifier interface {
	name() string
	// verify returns nil, an errRefused, or another error if it could not be found out.
	verify(context.Context, token) error
}

// errRefused says that the verifier does not believe the token.
var errRefused = errors.New("refused")

const jwksPath = "/.well-known/jwks.json"

// oidcVerifier is go-oidc: it keeps the keys until it meets a kid that it does not know.
type oidcVerifier struct {
	title    string
	verifier *oidc.IDTokenVerifier
}

func newOIDC(ctx context.Context, title, server, issuer string, k signingKey) *oidcVerifier {
	keys := oidc.NewRemoteKeySet(ctx, server+jwksPath)
	return &oidcVerifier{title, oidc.NewVerifier(issuer, keys, &oidc.Config{
		ClientID: k.audience(), SupportedSigningAlgs: []string{oidc.ES256},
	})}
}

func (v *oidcVerifier) name() string { return v.title }

func (v *oidcVerifier) verify(ctx context.Context, t token) error {
	_, err := v.verifier.Verify(ctx, t.text)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil, strings.Contains(err.Error(), "fetching keys"):
		return err
	}
	return fmt.Errorf("%w: %w", errRefused, err)
}

// cacheVerifier is go-jose with a cache that does strictly as it is told: the JWKS is kept for the max-age of the answer
// and not fetched earlier, not even for a kid that it does not know.
type cacheVerifier struct {
	title, url, issuer, audience string
	// ignores is how long the set is kept in spite of what was told; zero: as told.
	ignores time.Duration

	mu      sync.Mutex
	set     jose.JSONWebKeySet
	fetched time.Time
	until   time.Time
}

func newCache(title, server, issuer string, k signingKey) *cacheVerifier {
	return &cacheVerifier{title: title, url: server + jwksPath, issuer: issuer, audience: k.audience()}
}

func (v *cacheVerifier) name() string { return v.title }

func (v *cacheVerifier) verify(ctx context.Context, t token) error {
	_, err := v.verifyBy(ctx, t)
	return err
}

// verifyBy says too when the keys were fetched by which it decided.
func (v *cacheVerifier) verifyBy(ctx context.Context, t token) (time.Time, error) {
	set, fetched, err := v.keys(ctx)
	if err != nil {
		return fetched, err
	}
	parsed, err := jwt.ParseSigned(t.text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return fetched, fmt.Errorf("%w: %w", errRefused, err)
	}
	var claims jwt.Claims
	if err := parsed.Claims(&set, &claims); err != nil {
		return fetched, fmt.Errorf("%w by the keys of %s ago: %w", errRefused, time.Since(fetched).Round(time.Millisecond), err)
	}
	expected := jwt.Expected{Issuer: v.issuer, AnyAudience: jwt.Audience{v.audience}, Time: time.Now()}
	if err := claims.ValidateWithLeeway(expected, 0); err != nil {
		return fetched, fmt.Errorf("%w: %w", errRefused, err)
	}
	return fetched, nil
}

func (v *cacheVerifier) keys(ctx context.Context) (jose.JSONWebKeySet, time.Time, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Now().Before(v.until) {
		return v.set, v.fetched, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url, http.NoBody)
	if err != nil {
		return v.set, v.fetched, err
	}
	asked := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return v.set, v.fetched, err
	}
	defer func() { _ = resp.Body.Close() }()
	var set jose.JSONWebKeySet
	if resp.StatusCode != http.StatusOK {
		return v.set, v.fetched, fmt.Errorf("the JWKS endpoint answers %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		return v.set, v.fetched, fmt.Errorf("read the JWKS: %w", err)
	}
	v.set, v.fetched, v.until = set, asked, time.Now().Add(max(maxAge(resp.Header), v.ignores))
	return v.set, v.fetched, nil
}

// maxAge is how long an answer may be kept (RFC 9111, section 5.2.2); zero if it may not, or does not say.
func maxAge(header http.Header) time.Duration {
	age := time.Duration(0)
	for directive := range strings.SplitSeq(header.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if seconds, err := strconv.Atoi(value); err == nil {
				age = time.Duration(seconds) * time.Second
			}
		}
	}
	return age
}
