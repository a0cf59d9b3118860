package identity

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/crypto/bcrypt"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/issuer"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/openid"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// trusting is a snapshot with the providers.
func trusting(t testing.TB, objects ...*v1alpha1.IdentityProvider) *snapshot.Snapshot {
	t.Helper()
	var in snapshot.Input
	for _, object := range objects {
		p, problems := provider.Compile(object, nil)
		if p == nil {
			t.Fatalf("IdentityProvider %s: %v", object.Name, problems)
		}
		in.Providers = append(in.Providers, p)
	}
	return snapshot.Build(in)
}

// prove authenticates with the token as the password, as of now: the library has no other clock.
func prove(a *Authenticator, s *snapshot.Snapshot, token string) (caller.Caller, error) {
	return a.Authenticate(context.Background(), s, Credentials{Username: "anything", Password: token, Present: true}, time.Now())
}

// actions is a provider of a token of GitHub Actions, as a person would write it.
func actions(spec *v1alpha1.JWTProvider) {
	spec.ClaimMappings = v1alpha1.ClaimMappings{
		Username: v1alpha1.ClaimOrExpression{Expression: "claims.repository"},
		Groups:   &v1alpha1.ClaimOrExpression{Expression: "['owner:' + claims.repository_owner, 'ref:' + claims.ref]"},
		UID:      &v1alpha1.ClaimOrExpression{Claim: "repository_id"},
		Extra:    []v1alpha1.ExtraMapping{{Key: "example.com/workflow", ValueExpression: "claims.workflow_ref"}},
	}
	spec.ClaimValidationRules = []v1alpha1.ClaimValidationRule{
		{Expression: "claims.repository_owner_id == '65'", Message: "not of our organization"},
		{Claim: "event_name", RequiredValue: "push"},
	}
	spec.UserValidationRules = []v1alpha1.UserValidationRule{{Expression: "!user.username.startsWith('octo-org/secret')"}}
}

func TestTokensOfIssuersMakeCallers(t *testing.T) {
	hub, lab := issuer.New(t), issuer.New(t)
	before := time.Now()
	cases := map[string]struct {
		reason string
		args   *v1alpha1.IdentityProvider
		token  string
		want   caller.Caller
	}{
		"GitHub Actions by expressions": {
			reason: "Names and groups get the prefix, the uid and further facts do not.",
			args:   hub.Provider("", "gh", "gh:", actions), token: hub.Token(t, hub.GitHub(nil)),
			want: caller.Caller{
				Username: "gh:octo-org/octo-repo", UID: "74", Provider: "gh", Method: caller.MethodOIDC,
				Groups: []string{"gh:owner:octo-org", "gh:ref:refs/heads/main", "system:authenticated"},
				Extra: map[string][]string{
					"example.com/workflow":                       {"octo-org/octo-repo/.github/workflows/release.yml@refs/heads/main"},
					"authentication.kubernetes.io/credential-id": {"JTI=0b1c2d3e"},
				},
			},
		},
		"GitHub Actions as the documentation shows it": {
			reason: "An owner is a group.",
			args: hub.Provider("", "gh", "gh:", func(s *v1alpha1.JWTProvider) {
				s.ClaimMappings.Username = v1alpha1.ClaimOrExpression{Expression: "claims.repository"}
				s.ClaimMappings.Groups = &v1alpha1.ClaimOrExpression{Expression: "[claims.repository_owner]"}
				s.ClaimValidationRules = []v1alpha1.ClaimValidationRule{{Claim: "repository_owner_id", RequiredValue: "65"}}
			}),
			token: hub.Token(t, hub.GitHub(map[string]any{"jti": ""})),
			want: caller.Caller{
				Username: "gh:octo-org/octo-repo", Provider: "gh", Method: caller.MethodOIDC,
				Groups: []string{"gh:octo-org", "system:authenticated"},
			},
		},
		"GitLab by claims": {
			reason: "A list in a claim is a list of groups.",
			args: lab.Provider("", "lab", "gl-", func(s *v1alpha1.JWTProvider) {
				s.ClaimMappings.Username.Claim = "project_path"
				s.ClaimMappings.Groups = &v1alpha1.ClaimOrExpression{Claim: "groups_direct"}
			}),
			token: lab.Token(t, lab.GitLab(map[string]any{"jti": ""})),
			want: caller.Caller{
				Username: "gl-my-group/my-project", Provider: "lab", Method: caller.MethodOIDC,
				Groups: []string{"gl-my-group", "gl-tools/ci", "system:authenticated"},
			},
		},
		"a cluster elsewhere": {
			reason: "Its ServiceAccounts are users with a prefix, and never ours.",
			args:   lab.Provider("", "b", "b:", nil), token: lab.Token(t, lab.GitLab(map[string]any{"sub": builder, "jti": ""})),
			want: caller.Caller{
				Username: "b:" + builder, Provider: "b", Method: caller.MethodOIDC, Groups: []string{"system:authenticated"},
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := New(Options{})
			for _, when := range []string{"verified", "remembered"} {
				got, err := prove(a, trusting(t, tc.args), tc.token)
				if err != nil {
					t.Fatal(err)
				}
				if got.AuthTime.Before(before) {
					t.Errorf("%s: proved at %v, want now", when, got.AuthTime)
				}
				if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(caller.Caller{}, "AuthTime"), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s: %s\n-want +got:\n%s", when, tc.reason, diff)
				}
				if namespace, _ := got.ServiceAccount(); namespace != "" {
					t.Errorf("%s: it is a ServiceAccount of ours", when)
				}
			}
		})
	}
}

func TestEveryAlgorithmOfIssuers(t *testing.T) {
	i := issuer.New(t)
	a := New(Options{})
	s := trusting(t, i.Provider("", "i", "i:", nil))
	for _, algorithm := range openid.Algorithms() {
		i.Rotate(t, algorithm)
	}
	i.Withdraw() // the key set holds the last only
	for _, algorithm := range openid.Algorithms() {
		t.Run(string(algorithm), func(t *testing.T) {
			i.Rotate(t, algorithm)
			a := New(Options{})
			if got, err := prove(a, s, i.Token(t, i.GitHub(nil))); err != nil {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
	t.Run("EdDSA is none of them", func(t *testing.T) {
		if got := outcome(second(prove(a, s, edDSA(t, i)))); got != "bad" {
			t.Errorf("got %s", got)
		}
	})
}

func second(_ caller.Caller, err error) error { return err }

func TestAuthTime(t *testing.T) {
	i := issuer.New(t)
	a := New(Options{})
	s := trusting(t, i.Provider("", "i", "i:", nil))
	earlier := time.Now().Add(-time.Hour).Truncate(time.Second)
	cases := map[string]struct {
		reason  string
		claim   any
		earlier bool
	}{
		"a time":            {"The issuer says when its user logged in.", earlier.Unix(), true},
		"none":              {"The token was proved now.", nil, false},
		"the future":        {"Nobody logs in after now.", time.Now().Add(time.Hour).Unix(), false},
		"a text":            {"It is no number.", "yesterday", false},
		"before all times":  {"It is no time.", -1, false},
		"beyond all bounds": {"It is no time.", 1e300, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			token := i.Token(t, i.GitHub(map[string]any{"auth_time": tc.claim}))
			for range 2 { // verified, and remembered
				before := time.Now()
				got, err := prove(a, s, token)
				if err != nil {
					t.Fatal(err)
				}
				if tc.earlier && !got.AuthTime.Equal(earlier) || !tc.earlier && got.AuthTime.Before(before) {
					t.Errorf("%s\ngot %v", tc.reason, got.AuthTime)
				}
			}
		})
	}
}

// TestTokensGoWhereTheyBelong has two providers of one issuer and one of ServiceAccounts.
func TestTokensGoWhereTheyBelong(t *testing.T) {
	i, cluster := issuer.New(t), newFakeCluster(t)
	first := i.Provider("", "first", "one:", nil)
	other := i.Provider("", "second", "two:", func(s *v1alpha1.JWTProvider) { s.Issuer.Audiences = []v1alpha1.Audience{"other"} })
	own := i.Provider("", "own", "own:", func(s *v1alpha1.JWTProvider) {
		s.Issuer.URL, s.Issuer.Audiences = clusterIssuer, []v1alpha1.Audience{ourAudience}
	})
	accounts := &v1alpha1.IdentityProvider{}
	accounts.Name = "accounts"
	accounts.Spec.Kubernetes = &v1alpha1.KubernetesProvider{Audiences: []v1alpha1.Audience{ourAudience}, Verification: v1alpha1.VerifyOffline}
	s := trusting(t, first, other, own, accounts)
	a := New(Options{Cluster: cluster})
	a.accounts.keys.refresh(context.Background(), time.Now())
	account := cluster.token(t, func(c map[string]any) {
		c["exp"], c["nbf"], c["iat"] = time.Now().Add(time.Hour).Unix(), time.Now().Unix(), time.Now().Unix()
	})
	forUs := func(audiences ...string) string {
		return i.Token(t, i.GitHub(map[string]any{"sub": "x", "aud": audiences}))
	}
	cases := map[string]struct {
		reason, token, want string
	}{
		"a token for the first":       {"The audience says so.", forUs(issuer.Audience), "one:x"},
		"a token for the second":      {"The audience says so.", forUs("other", "nobody"), "two:x"},
		"a token for both":            {"It would be two callers.", forUs("other", issuer.Audience), "the credentials were not accepted: the token is for the audiences of several providers, which may differ in who it speaks of"},
		"a token for neither":         {"Somebody gave it to another service.", forUs("vault"), "the credentials were not accepted: no provider accepts the audiences of the token"},
		"a token of a ServiceAccount": {"The API server knows what has been deleted, also where somebody made its issuer an external one.", account, builder},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := prove(a, s, tc.token)
			said := got.Username
			if err != nil {
				said = err.Error()
			}
			if diff := cmp.Diff(tc.want, said); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestPasswordOfATokensUser(t *testing.T) {
	i := issuer.New(t)
	_, err := New(Options{}).Authenticate(context.Background(), trusting(t, i.Provider("", "i", "i-", nil)),
		Credentials{Username: "i-alice", Password: "secret", Present: true}, time.Now())
	if diff := cmp.Diff("the credentials were not accepted: provider i, which has the name, knows no passwords", err.Error()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if i.Requests() != 0 {
		t.Errorf("the issuer was asked %d times", i.Requests())
	}
}

// TestNamesOfAnIssuerAreItsAlone has an htpasswd file that names a user and a group of the issuer.
func TestNamesOfAnIssuerAreItsAlone(t *testing.T) {
	i := issuer.New(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := &v1alpha1.IdentityProvider{}
	users.Name = "users"
	users.Spec.Htpasswd = &v1alpha1.HtpasswdProvider{SecretRef: v1alpha1.SecretKeyRef{Name: "users"}, GroupsKey: "groups"}
	p, problems := provider.Compile(users, func(string) (provider.Secret, bool) {
		return provider.Secret{Labels: map[string]string{v1alpha1.LabelWatch: ""}, Data: map[string][]byte{
			"htpasswd": fmt.Appendf(nil, "gh-octo:%s\nalice:%s\n", hash, hash), "groups": []byte("gh-octo-org: alice\ndevs: alice\n"),
		}}, true
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	hub, _ := provider.Compile(i.Provider("", "gh", "gh-", nil), nil)
	s := snapshot.Build(snapshot.Input{Providers: []*provider.Provider{p, hub}})
	a := New(Options{})
	login := func(user string) (caller.Caller, error) {
		return a.Authenticate(context.Background(), s, Credentials{Username: user, Password: "secret", Present: true}, time.Now())
	}
	if _, err := login("gh-octo"); outcome(err) != "bad" {
		t.Errorf("the file made a user of the issuer: %v", err)
	}
	got, err := login("alice")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"devs", "system:authenticated"}, got.Groups); diff != "" {
		t.Errorf("groups -want +got:\n%s", diff)
	}
}

func BenchmarkTokenOfAnIssuer(b *testing.B) {
	i := issuer.New(b)
	a := New(Options{})
	s := trusting(b, i.Provider("", "gh", "gh:", actions))
	token := i.Token(b, i.GitHub(nil))
	for _, remembered := range []bool{false, true} {
		b.Run(map[bool]string{false: "verified", true: "remembered"}[remembered], func(b *testing.B) {
			for b.Loop() {
				if !remembered {
					a.issuers.proved = newMemory[caller.Caller](1)
				}
				if _, err := prove(a, s, token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// edDSA is a token of an algorithm that issuers may not use.
func edDSA(t *testing.T, i *issuer.Issuer) string {
	t.Helper()
	return issuer.Sign(t, jose.EdDSA, newEd25519(t), i.Key().KeyID, i.GitHub(nil), nil)
}
