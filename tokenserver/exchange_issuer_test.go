package tokenserver

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/test/issuer"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// startWithIssuers runs a server that trusts the jobs of one organization at hub, and an issuer that is down.
func startWithIssuers(t testing.TB, hub, down *issuer.Issuer) *oauthWorld {
	t.Helper()
	down.Down(true)
	return startOAuth(t, func(_ *Options, parts *Parts, input *snapshot.Input) {
		github := hub.Provider(fixture.Namespace, "github", "gh:", func(s *v1alpha1.JWTProvider) {
			s.ClaimMappings.Username = v1alpha1.ClaimOrExpression{Expression: "claims.repository"}
			s.ClaimValidationRules = []v1alpha1.ClaimValidationRule{{Claim: "repository_owner_id", RequiredValue: "65"}}
		})
		for _, object := range []*v1alpha1.IdentityProvider{github, down.Provider(fixture.Namespace, "down", "down:", nil)} {
			p, problems := provider.Compile(object, nil)
			if p == nil {
				t.Fatalf("IdentityProvider %s: %v", object.Name, problems)
			}
			input.Providers = append(input.Providers, p)
		}
		octo := users("gh:octo-org/octo-repo")
		input.Policies = fixture.Policies(t, append(oauthPolicies(),
			fixture.Cluster("octo", octo, typed("order", "eu/**", "read"), nil),
			fixture.Cluster("octo-exchange", octo, oauthRule(api, "exchange"), nil))...)
		authenticator := identity.New(identity.Options{Log: logr.Discard()})
		parts.Authenticator = authenticator
		parts.Background = func(ctx context.Context) error { return authenticator.KeepKeys(ctx, parts.Snapshots) }
	})
}

// TestAnIDTokenIsExchanged has a job of an external issuer's that wants a token for a service.
func TestAnIDTokenIsExchanged(t *testing.T) {
	hub, down := issuer.New(t), issuer.New(t)
	w := startWithIssuers(t, hub, down)
	end := time.Now().Add(4 * time.Minute).Unix()
	job := hub.Token(t, hub.GitHub(map[string]any{"exp": end}))
	answer := w.form(t, "/token", "", "", exchanging(job, "subject_token_type", typeID, "access_type", "offline"))
	want := map[string]any{
		"iss": issuerName, "sub": "gh:octo-org/octo-repo", "aud": api, "client_id": "gh:octo-org/octo-repo", "scope": "order:eu/1:read",
	}
	if diff := cmp.Diff(want, w.access(t, answer)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ours := answer.text(t, "access_token")
	verified, err := w.snapshots.Load().Verify(ours, issuerName, time.Now(), token.TypeAccess)
	if err != nil || verified.Expiry != end || strings.Contains(string(answer.body), "refresh_token") {
		t.Errorf("exp = %d, and that of the ID token was %d: %v, %s", verified.Expiry, end, err, answer.body)
	}
	notAccepted := tokenProblem("INVALID_REQUEST", "invalid_request", "the subject_token was not accepted")
	w.form(t, "/token", "", "", exchanging(ours)).
		is(t, "its groups come with its own token only, so that ours does not stand for it", 400, notAccepted)
	w.form(t, "/token", "", "", exchanging(hub.Token(t, hub.GitHub(map[string]any{"repository_owner_id": "66"})))).
		is(t, "a job of somebody else", 400, notAccepted)
	w.form(t, "/token", "", "", exchanging(down.Token(t, down.GitHub(nil)))).
		is(t, "nobody can tell whether it is good", 503, tokenProblem("UNAVAILABLE", "temporarily_unavailable", "the subject_token cannot be verified at present"))
}
