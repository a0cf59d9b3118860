package tokenserver

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/test/issuer"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// A subject as Provide's services know one, and the uuid that is in it.
const (
	provideUUID   = "23cc07e0-5b1f-4c7e-9a53-0a8b7d3c1f42"
	provideUser   = "user:" + provideUUID
	provideClaims = `{"permissions":415,"user_id":"` + provideUUID + `"}`
)

func provideUserPolicies(t testing.TB) []*v1alpha1.ClusterAccessPolicy {
	t.Helper()
	return []*v1alpha1.ClusterAccessPolicy{
		fixture.Cluster("provide-user", users(provideUser), typed("order", "eu/**", "read"), prvd(provideClaims)),
		fixture.Cluster("provide-exchange", users(provideUser), oauthRule(provide, "exchange"), nil),
	}
}

// TestSubjectsOfAnIssuerAreThoseOfProvide: a provider whose expression gives the uuid makes users of Provide's form of the users of an
// issuer, and what they exchange their tokens for says so.
func TestSubjectsOfAnIssuerAreThoseOfProvide(t *testing.T) {
	people := issuer.New(t)
	w := startIdent(t, v1alpha1.EdDSA, func(_ *Options, parts *Parts, input *snapshot.Input) {
		object := people.Provider(fixture.Namespace, "people", "user:", func(s *v1alpha1.JWTProvider) {
			s.ClaimMappings.Username = v1alpha1.ClaimOrExpression{Expression: "claims.oid.lowerAscii()"}
			s.UserValidationRules = []v1alpha1.UserValidationRule{{
				Expression: "user.username.matches('^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')", Message: "oid must be a UUID",
			}}
		})
		p, problems := provider.Compile(object, nil)
		if p == nil {
			t.Fatalf("IdentityProvider %s: %v", object.Name, problems)
		}
		input.Providers, input.Prefixes = append(input.Providers, p), append(input.Prefixes, p.Prefix)
		input.Policies = fixture.Policies(t, append(oauthPolicies(), provideUserPolicies(t)...)...)
		authenticator := identity.New(identity.Options{Log: logr.Discard()})
		parts.Authenticator = authenticator
		parts.Background = func(ctx context.Context) error { return authenticator.KeepKeys(ctx, parts.Snapshots) }
	})
	of := func(claims map[string]any) string { return people.Token(t, people.GitHub(claims)) }
	answer := w.form(t, "/token", "", "", exchanging(of(map[string]any{"oid": "23CC07E0-5B1F-4C7E-9A53-0A8B7D3C1F42"}), "audience", provide))
	want := map[string]any{
		"iss": issuerName, "sub": provideUser, "aud": provide, "client_id": provideUser, "scope": "order:eu/1:read",
		"prvd": map[string]any{"permissions": json.Number("415"), "user_id": provideUUID},
	}
	if diff := cmp.Diff(want, w.access(t, answer)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.json(t, http.MethodPost, "/api/v1/tokens", answer.text(t, "access_token"), `{}`).
		is(t, "its groups come with its own token only, so that ours is no bearer of the API", 401, refusedToken)

	refused := tokenProblem("INVALID_REQUEST", "invalid_request", "the subject_token was not accepted")
	for name, claims := range map[string]map[string]any{
		"no uuid":                       nil,
		"a uuid that is a number":       {"oid": 7},
		"another text":                  {"oid": "alice"},
		"a uuid with the prefix before": {"oid": provideUser},
		"a uuid with a line behind":     {"oid": provideUUID + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w.form(t, "/token", "", "", exchanging(of(claims), "audience", provide)).is(t, "nobody is named so", 400, refused)
		})
	}
	w.json(t, http.MethodPost, "/api/v1/authenticate", "", `{"username":"`+provideUser+`","password":"secret"}`).
		is(t, "users of an issuer have no passwords", 401, message("the credentials were not accepted"))
}

// TestSubjectsWithAPasswordAreThoseOfProvide: the same by an htpasswd provider, and by the API itself: no Basic header, in which a
// name ends at the first colon, is in the way.
func TestSubjectsWithAPasswordAreThoseOfProvide(t *testing.T) {
	w := startIdent(t, v1alpha1.RS256, func(_ *Options, _ *Parts, input *snapshot.Input) {
		p := fixture.Htpasswd(t, map[string]string{provideUUID: "secret"})
		p.Prefix = "user:"
		input.Providers, input.Prefixes = []*provider.Provider{p}, []string{p.Prefix}
		input.Policies = fixture.Policies(t, provideUserPolicies(t)...)
	})
	login := created(t, w.json(t, http.MethodPost, "/api/v1/authenticate", "", `{"username":"`+provideUser+`","password":"secret"}`))
	token, _ := login["token"].(map[string]any)
	first := field(t, token, "access_token")
	second := field(t, w.authorize(t, first, `{"user_id":"`+provideUUID+`"}`), "access_token")
	for name, text := range map[string]string{"by the password": first, "by the bearer": second} {
		if _, claims := says(t, text); claims["sub"] != provideUser || claims["aud"] != provide {
			t.Errorf("%s: %v", name, claims)
		}
	}
	w.json(t, http.MethodPost, "/api/v1/authenticate", "", `{"username":"`+provideUUID+`","password":"secret"}`).
		is(t, "the name without the prefix is nobody's", 401, message("the credentials were not accepted"))
}

// TestOnlyUUIDsAreIDsInNames: user:bob is not who is called bob.
func TestOnlyUUIDsAreIDsInNames(t *testing.T) {
	w := startIdent(t, v1alpha1.RS256, func(_ *Options, _ *Parts, input *snapshot.Input) {
		p := fixture.Htpasswd(t, map[string]string{"bob": "secret"})
		p.Prefix = "user:"
		input.Providers, input.Prefixes = []*provider.Provider{p}, []string{p.Prefix}
		input.Policies = fixture.Policies(t, fixture.Cluster("bob", users("user:bob"), typed("order", "eu/**", "read"), prvd(`{"permissions":1}`)))
	})
	bearer := w.bearer(t, "user:bob", "secret")
	w.json(t, http.MethodPost, "/api/v1/tokens", bearer, `{"user_id":"bob"}`).is(t, "policies say no such thing", 403, message("forbidden"))
	w.json(t, http.MethodGet, "/api/v1/tokens?user_id=bob", bearer, "").is(t, "that is somebody else", 403, message("forbidden"))
}
