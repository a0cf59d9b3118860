package tokenserver

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/test/issuer"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// trusting is the small snapshot with providers of external issuers, and a policy for a repository of GitHub.
func trusting(t testing.TB, objects ...*v1alpha1.IdentityProvider) *snapshot.Snapshot {
	t.Helper()
	now := time.Now()
	in := snapshot.Input{
		At: now,
		Policies: fixture.Policies(t,
			fixture.Cluster("octo", []v1alpha1.Subject{fixture.User("gh:octo-org/octo-repo")}, fixture.Repositories("octo/**", "pull", "push"), nil),
			fixture.Cluster("group", []v1alpha1.Subject{{Kind: v1alpha1.SubjectGroup, Name: "gl:tools/ci"}}, fixture.Repositories("tools/**", "pull"), nil),
		),
		Keys:      []snapshot.Keys{fixture.Key(t, "registry", v1alpha1.X509Chain, now.Add(-time.Minute), service)},
		Providers: []*provider.Provider{fixture.Htpasswd(t, map[string]string{"alice": "secret"})},
		Prefixes:  []string{""},
	}
	for _, object := range objects {
		p, problems := provider.Compile(object, nil)
		if p == nil {
			t.Fatalf("IdentityProvider %s: %v", object.Name, problems)
		}
		in.Providers = append(in.Providers, p)
	}
	return snapshot.Build(in)
}

// TestTokensOfIssuersEndToEnd asks for registry tokens with tokens of two external issuers as the password.
func TestTokensOfIssuersEndToEnd(t *testing.T) {
	hub, lab, down := issuer.New(t), issuer.New(t), issuer.New(t)
	down.Down(true)
	github := hub.Provider(fixture.Namespace, "github", "gh:", func(s *v1alpha1.JWTProvider) {
		s.ClaimMappings.Username = v1alpha1.ClaimOrExpression{Expression: "claims.repository"}
		s.ClaimValidationRules = []v1alpha1.ClaimValidationRule{{Claim: "repository_owner_id", RequiredValue: "65"}}
	})
	gitlab := lab.Provider(fixture.Namespace, "gitlab", "gl:", func(s *v1alpha1.JWTProvider) {
		s.ClaimMappings.Groups = &v1alpha1.ClaimOrExpression{Claim: "groups_direct"}
	})
	all := trusting(t, github, gitlab, down.Provider(fixture.Namespace, "down", "down:", nil))
	authenticator := identity.New(identity.Options{Log: logr.Discard()})
	r := start(t, func(_ *Options, p *Parts) {
		p.Authenticator = authenticator
		p.Issuers = authenticator.Issuers
		p.Background = func(ctx context.Context) error { return authenticator.KeepKeys(ctx, p.Snapshots) }
	})
	r.snapshots.Store(all)

	octo, tools := "repository:octo/app:pull,push", "repository:tools/lint:pull"
	query := url.Values{"service": {service}, "scope": {octo, tools}}
	ask := func(token string) reply { return r.get(t, "ignored", token, query) }
	job := hub.Token(t, hub.GitHub(nil))

	good := map[string]struct {
		reason, token, subject string
		want                   []string
	}{
		"GitHub Actions": {"The user has a policy.", job, "gh:octo-org/octo-repo", []string{"repository:octo/app:pull,push"}},
		"GitLab":         {"The group has a policy.", lab.Token(t, lab.GitLab(nil)), "gl:project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1", []string{"repository:tools/lint:pull"}},
	}
	for name, tc := range good {
		t.Run(name, func(t *testing.T) {
			claims := r.claims(t, ask(tc.token))
			if claims.Subject != tc.subject {
				t.Errorf("the token is for %q, want %q", claims.Subject, tc.subject)
			}
			if diff := cmp.Diff(tc.want, granted(claims.Access)); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			if line := readFile(t, r.auditFile); !strings.Contains(line, `"method":"jwt"`) || strings.Contains(line, tc.token) {
				t.Errorf("the audit log does not name the method, or holds the token: %s", line)
			}
		})
	}
	const refused = `{"errors":[{"code":"UNAUTHORIZED","message":"the credentials were not accepted"}]}`
	bad := map[string]struct {
		reason, token string
		status        int
		body          string
	}{
		"a job of somebody else": {"The rule asks for our organization.", hub.Token(t, hub.GitHub(map[string]any{"repository_owner_id": "66"})), http.StatusUnauthorized, refused},
		"an issuer signs another's token": {"Each has its own keys.",
			issuer.Sign(t, jose.ES256, lab.Key().Key, lab.Key().KeyID, hub.GitHub(nil), nil), http.StatusUnauthorized, refused},
		"an issuer that is down": {"It may be good: nobody can tell.", down.Token(t, down.GitHub(nil)), http.StatusServiceUnavailable,
			`{"errors":[{"code":"UNAVAILABLE","message":"the credentials cannot be verified at present"}]}`},
	}
	for name, tc := range bad {
		t.Run(name, func(t *testing.T) {
			got := ask(tc.token)
			if diff := cmp.Diff(tc.body, strings.TrimSpace(string(got.body))); diff != "" || got.status != tc.status {
				t.Errorf("%s\nstatus %d, want %d; body -want +got:\n%s", tc.reason, got.status, tc.status, diff)
			}
		})
	}
	t.Run("the metrics tell of the issuer that is down", func(t *testing.T) {
		body := string(r.probe(t, "/metrics").body)
		for _, want := range []string{`{identity_provider="github",result="failed"} 0`, `{identity_provider="down",result="ok"} 0`} {
			if !strings.Contains(body, "tokenwright_server_issuer_key_fetches_total"+want+"\n") {
				t.Errorf("there is no line with %s in\n%s", want, body)
			}
		}
		if strings.Contains(body, `tokenwright_server_issuer_key_fetches_total{identity_provider="down",result="failed"} 0`) ||
			strings.Contains(body, `tokenwright_server_issuer_keys_age_seconds{identity_provider="down"}`) {
			t.Errorf("the issuer that is down looks well:\n%s", body)
		}
	})
	t.Run("a provider that is deleted is not trusted any more", func(t *testing.T) {
		r.snapshots.Store(trusting(t, gitlab))
		ask(job).is(t, "it was good a moment ago", 401, refused)
	})
}
