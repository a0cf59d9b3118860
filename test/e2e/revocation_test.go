//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenwright/tokenwright/test/stage"
)

func testRevocation(ctx context.Context, t *testing.T, s *scene) {
	strict, _ := s.fetchers(ctx)
	dead := s.signed(ctx, t, fetched)
	for _, v := range strict {
		must(t, v.verify(ctx, dead), "%s, before the revocation", v.name())
	}
	begun := time.Now()
	must(t, s.revokeAll(ctx, fetched), "revoke")
	must(t, stage.Eventually(ctx, time.Minute, func() error { return s.withoutKey(ctx, dead.keyID) }), "the dead key leaves the JWKS")
	left := time.Now()
	t.Logf("The dead key had left the JWKS of every server after %s", left.Sub(begun).Round(time.Millisecond))

	for _, v := range strict {
		switch v := v.(type) {
		case *cacheVerifier:
			s.refusesAfterFetch(ctx, t, v, dead, left)
		case *oidcVerifier:
			// It does not fetch as long as it knows the kid.
			must(t, v.verify(ctx, dead), "%s, before it met another kid", v.name())
			must(t, v.verify(ctx, s.signed(ctx, t, fetched)), "%s, the new key's token", v.name())
			// It gives the answer before it remembers the keys.
			must(t, stage.Eventually(ctx, 10*time.Second, func() error { return refused(v.verify(ctx, dead)) }),
				"%s, after it met another kid", v.name())
		}
	}
	for _, server := range s.URLs() {
		fresh, err := ask(ctx, server, fetched)
		must(t, err, "a new token of %s", server)
		for _, v := range strict {
			must(t, v.verify(ctx, fresh), "%s, a new token of %s", v.name(), server)
		}
	}
	if time.Now().After(dead.expires) {
		t.Error("The dead key's token has expired meanwhile: this machine was too slow for the test to show anything")
	}
}

// refusesAfterFetch shows the dead key's token until the verifier has fetched the JWKS without the key; from then on it is
// refused.
func (s *scene) refusesAfterFetch(ctx context.Context, t *testing.T, v *cacheVerifier, dead token, left time.Time) {
	t.Helper()
	must(t, stage.Eventually(ctx, 30*time.Second, func() error {
		fetched, err := v.verifyBy(ctx, dead)
		switch {
		case !fetched.After(left):
			return fmt.Errorf("it was told to keep the JWKS for %s and still does (%w)", jwksMaxAge, err)
		case refused(err) != nil:
			t.Errorf("%s has fetched the JWKS: %v", v.name(), refused(err))
		}
		return nil
	}), "%s", v.name())
}

// refused turns a verifier's refusal into success, and anything else into an error.
func refused(err error) error {
	switch {
	case err == nil:
		return errors.New("the dead key's token was accepted")
	case errors.Is(err, errRefused):
		return nil
	}
	return err
}

// signed gets a token by the key that signs now.
func (s *scene) signed(ctx context.Context, t *testing.T, k signingKey) (out token) {
	t.Helper()
	must(t, stage.Eventually(ctx, time.Minute, func() (err error) {
		out, err = ask(ctx, s.Issuer, k)
		return err
	}), "a token of SigningKey %s", k.name)
	return out
}

// revokeAll replaces every key, as if their Secret had leaked, and waits until every server signs with another.
func (s *scene) revokeAll(ctx context.Context, k signingKey) error {
	ids, err := s.field(ctx, k, `{.status.keys[*].keyID}`)
	if err != nil {
		return err
	}
	if err := s.keys(ctx, "revoke", k.name, "--all"); err != nil {
		return err
	}
	return stage.Eventually(ctx, time.Minute, func() error {
		for _, server := range s.URLs() {
			fresh, err := ask(ctx, server, k)
			if err == nil && strings.Contains(ids, fresh.keyID) {
				err = fmt.Errorf("%s signs with a revoked key", server)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// withoutKey says whether no server has the key in its JWKS.
func (s *scene) withoutKey(ctx context.Context, keyID string) error {
	for _, server := range s.URLs() {
		text, err := fetch(ctx, server+jwksPath)
		if err != nil {
			return err
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(text), &set); err != nil {
			return err
		}
		if len(set.Key(keyID)) > 0 {
			return fmt.Errorf("%s has key %s in its JWKS", server, keyID)
		}
	}
	return nil
}

// must ends the test if there is an error, and says what was tried.
func must(t *testing.T, err error, format string, args ...any) {
	t.Helper()
	if err != nil {
		t.Fatalf(format+": %v", append(args, err)...)
	}
}
