package issue

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const service = "registry.example.com"

var now = time.Date(2026, 1, 1, 12, 0, 0, 500_000_000, time.UTC)

// issuer returns an Issuer and what reads its audit log.
func issuer(t *testing.T) (*Issuer, func() audit.Record) {
	t.Helper()
	var sink bytes.Buffer
	log := audit.New(&sink)
	closeLog := func() {
		if err := log.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(closeLog)
	m := metrics.New("test", func() metrics.State { return metrics.State{} }, time.Now)
	return &Issuer{Name: "https://auth.example.com", Audit: log, Metrics: m, Random: rand.Reader}, func() audit.Record {
		closeLog()
		var record audit.Record
		if err := json.Unmarshal(sink.Bytes(), &record); err != nil {
			t.Fatalf("audit log %q: %v", sink.String(), err)
		}
		return record
	}
}

func world(t *testing.T, policies ...*v1alpha1.ClusterAccessPolicy) *snapshot.Snapshot {
	t.Helper()
	return snapshot.Build(snapshot.Input{
		Policies: fixture.Policies(t, policies...), At: now,
		Keys: []snapshot.Keys{fixture.Key(t, "registry", v1alpha1.X509Chain, now.Add(-time.Minute), service), fixture.Broken("broken", "broken.example.com")},
	})
}

func request(t *testing.T, from *snapshot.Snapshot, who caller.Caller, scopes ...string) *Request {
	t.Helper()
	parsed, err := scope.Parse(scopes)
	if err != nil {
		t.Fatal(err)
	}
	return &Request{
		ID: "r1", Grant: "basic", Caller: who, Audience: from.Audiences[service], Policies: from.Policies, Scopes: parsed,
		SourceIP: netip.MustParseAddr("192.0.2.1"), ClientID: "docker", Account: "claimed", Time: now,
	}
}

// claims verifies a token with the snapshot's JWKS, and returns what it says.
func claims(t *testing.T, from *snapshot.Snapshot, text string) token.RegistryClaims {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(from.JWKS, &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify(set)
	if err != nil {
		t.Fatal(err)
	}
	var got token.RegistryClaims
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func alice() caller.Caller {
	return caller.Caller{
		Username: "alice", Groups: []string{caller.GroupAuthenticated}, Provider: "users", Method: caller.MethodPassword, AuthTime: now,
	}
}

func until(end time.Time) func(*v1alpha1.ClusterAccessPolicySpec) {
	return func(spec *v1alpha1.ClusterAccessPolicySpec) {
		spec.When = &v1alpha1.When{NotAfter: v1alpha1.NewDateTime(end)}
	}
}

func users(names ...string) []v1alpha1.Subject {
	var subjects []v1alpha1.Subject
	for _, name := range names {
		subjects = append(subjects, fixture.User(name))
	}
	return subjects
}

func TestClaims(t *testing.T) {
	from := world(t, fixture.Cluster("a", users("alice"), fixture.Repositories("team-a/**", "pull", "push"), nil))
	i, _ := issuer(t)
	issued, err := i.Registry(request(t, from, alice(), "repository:team-a/app:pull,push,delete repository:team-b/app:pull"))
	if err != nil {
		t.Fatal(err)
	}
	got := claims(t, from, issued.Text)
	if len(got.ID) != 26 || issued.ID != got.ID {
		t.Errorf("jti = %q, and the answer says %q", got.ID, issued.ID)
	}
	got.ID, issued.ID = "", ""
	second := now.Unix()
	want := token.RegistryClaims{
		Issuer: "https://auth.example.com", Subject: "alice", Audience: service,
		Expiry: second + 900, NotBefore: second - 60, IssuedAt: second - 60,
		Access: []token.Access{{Type: "repository", Name: "team-a/app", Actions: []string{"pull", "push"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	issued.Text, issued.ID = "", ""
	answer := Token{
		Granted:  []scope.Scope{{Type: "repository", Name: "team-a/app", Actions: []string{"pull", "push"}}},
		IssuedAt: now.Truncate(time.Second), ExpiresIn: fixture.Lifetime,
	}
	if diff := cmp.Diff(answer, issued); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

// TestNothingIsSignedBehindTheFence has a server that is cut off from the cluster, and one that is not any more.
func TestNothingIsSignedBehindTheFence(t *testing.T) {
	from := world(t)
	i, record := issuer(t)
	i.Fence = snapshot.NewFence(time.Hour)
	i.Fence.Confirm(now.Add(-time.Hour))
	if issued, err := i.Registry(request(t, from, alice())); !errors.Is(err, ErrNoKey) || !errors.Is(err, snapshot.ErrStale) ||
		!strings.Contains(err.Error(), "last confirmed at 2026-01-01T11:00:00Z") || issued.Text != "" {
		t.Errorf("%q, err = %v", issued.Text, err)
	}
	i.Fence.Confirm(now)
	if _, err := i.Registry(request(t, from, alice())); err != nil {
		t.Errorf("err = %v", err)
	}
	if record().Outcome != audit.Issued {
		t.Error("what was refused is in the log as a token")
	}
}

func TestAnAnonymousTokenHasAnEmptySubjectAndAList(t *testing.T) {
	from := world(t)
	i, _ := issuer(t)
	issued, err := i.Registry(request(t, from, caller.Anonymous(), "repository:team-a/app:pull"))
	if err != nil {
		t.Fatal(err)
	}
	payload := strings.Split(issued.Text, ".")[1]
	jws, err := jose.ParseSignedCompact(issued.Text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	text := string(jws.UnsafePayloadWithoutVerification())
	if !strings.Contains(text, `"sub":""`) || !strings.Contains(text, `"access":[]`) {
		t.Errorf("payload %s = %s", payload, text)
	}
}

func TestNoTokenOutlivesWhatItGrants(t *testing.T) {
	end := func(d time.Duration) time.Time { return now.Truncate(time.Second).Add(d) }
	type want struct {
		Granted []string
		Expires time.Duration
	}
	cases := map[string]struct {
		reason   string
		policies []*v1alpha1.ClusterAccessPolicy
		scopes   string
		want     want
	}{
		"A grant that ends before the token would": {
			reason:   "exp must never pass notAfter",
			policies: []*v1alpha1.ClusterAccessPolicy{fixture.Cluster("a", users("alice"), fixture.Repositories("x", "pull"), until(end(5*time.Minute)))},
			scopes:   "repository:x:pull",
			want:     want{Granted: []string{"repository:x:pull"}, Expires: 5 * time.Minute},
		},
		"A grant that ends within the minute": {
			reason:   "a token cannot live for less than a minute, so the grant has to go",
			policies: []*v1alpha1.ClusterAccessPolicy{fixture.Cluster("a", users("alice"), fixture.Repositories("x", "pull"), until(end(59*time.Second)))},
			scopes:   "repository:x:pull",
			want:     want{Expires: fixture.Lifetime},
		},
		"A grant that ends within the minute, beside one that does not": {
			reason: "what lasts must not be lost with what does not",
			policies: []*v1alpha1.ClusterAccessPolicy{
				fixture.Cluster("a", users("alice"), fixture.Repositories("x", "push"), until(end(30*time.Second))),
				fixture.Cluster("b", users("alice"), fixture.Repositories("x", "pull"), until(end(10*time.Minute))),
				fixture.Cluster("c", users("alice"), fixture.Repositories("y", "pull"), nil),
			},
			scopes: "repository:x:pull,push repository:y:pull",
			want:   want{Granted: []string{"repository:x:pull", "repository:y:pull"}, Expires: 10 * time.Minute},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			from := world(t, tc.policies...)
			i, _ := issuer(t)
			issued, err := i.Registry(request(t, from, alice(), tc.scopes))
			if err != nil {
				t.Fatal(err)
			}
			var got want
			for _, g := range issued.Granted {
				got.Granted = append(got.Granted, g.String())
			}
			got.Expires = time.Duration(claims(t, from, issued.Text).Expiry-now.Unix()) * time.Second
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRegistryRefuses(t *testing.T) {
	from := world(t, fixture.Cluster("a", users("alice"), fixture.Repositories("**", "pull"), nil))
	long := make([]string, 60)
	for n := range long {
		long[n] = "repository:" + strings.Repeat(string(rune('a'+n%26)), 100+n) + ":pull"
	}
	cases := map[string]struct {
		reason string
		change func(*Request)
		want   error
	}{
		"An audience without a key": {
			reason: "there is nothing to sign with",
			change: func(r *Request) { r.Audience = from.Audiences["broken.example.com"] }, want: ErrNoKey,
		},
		"A key past its time": {
			reason: "a replica that missed a rotation must stop by itself",
			change: func(r *Request) {
				keys := fixture.Key(t, "old", v1alpha1.KeyID, now.Add(-time.Hour), service)
				keys.Ring.Keys[0].SignUntil = now
				r.Audience = snapshot.Build(snapshot.Input{Keys: []snapshot.Keys{keys}}).Audiences[service]
			},
			want: ErrNoKey,
		},
		"A lifetime below a minute": {
			reason: "registries' clients take expires_in below 60 for an error",
			change: func(r *Request) {
				short := *r.Audience
				short.TokenLifetime = time.Minute - 1
				r.Audience = &short
			},
			want: ErrNoKey,
		},
		"A token past 7 KiB": {
			reason: "proxies refuse the header, and the client would not know why",
			change: func(r *Request) {
				parsed, err := scope.Parse(long)
				if err != nil {
					t.Fatal(err)
				}
				r.Scopes = parsed
			},
			want: ErrTooLarge,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			i, _ := issuer(t)
			ask := request(t, from, alice(), "repository:a:pull")
			tc.change(ask)
			issued, err := i.Registry(ask)
			if !errors.Is(err, tc.want) || issued.Text != "" {
				t.Errorf("%s: token %q, error %v", tc.reason, issued.Text, err)
			}
		})
	}
}

func TestNoTokenWithoutItsRecord(t *testing.T) {
	from := world(t)
	i, _ := issuer(t)
	if err := i.Audit.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	issued, err := i.Registry(request(t, from, alice()))
	if !errors.Is(err, ErrAudit) || issued.Text != "" {
		t.Errorf("token %q, error %v", issued.Text, err)
	}
}

func TestRecord(t *testing.T) {
	from := world(t, fixture.Cluster("a", users("alice"), fixture.Repositories("team-a/**", "pull"), nil))
	i, read := issuer(t)
	i.Explain = true
	issued, err := i.Registry(request(t, from, alice(), "repository:team-a/app:pull,push"))
	if err != nil {
		t.Fatal(err)
	}
	got := read()
	told := claims(t, from, issued.Text)
	want := audit.Record{
		Time: now, Outcome: audit.Issued, RequestID: "r1", Grant: "basic", TokenID: told.ID, KeyID: from.Audiences[service].Signer.KeyID(),
		Subject: "alice", Provider: "users", Method: "password", Audience: service,
		Requested: []string{"repository:team-a/app:pull,push"}, Granted: []string{"repository:team-a/app:pull"},
		Why:      []audit.Why{{Scope: "repository:team-a/app", Action: "pull", Effect: "Allow", Policy: "ClusterAccessPolicy/a"}},
		ClientID: "docker", Account: "claimed", SourceIP: "192.0.2.1", Expires: now.Truncate(time.Second).Add(fixture.Lifetime),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// A rule of another type is not a right at a registry, whoever may read the registry's tokens.
func TestARegistryTokenHoldsNothingButRepositoriesAndTheCatalog(t *testing.T) {
	rule := func(typ string, name v1alpha1.ResourceName) v1alpha1.Rule {
		return v1alpha1.Rule{Type: typ, Names: []v1alpha1.ResourceName{name}, Actions: []v1alpha1.Action{"*"}}
	}
	from := world(t,
		fixture.Cluster("repositories", users("alice"), rule("repository", "**"), nil),
		fixture.Cluster("catalog", users("alice"), rule("registry", "catalog"), nil),
		fixture.Cluster("nats", users("alice"), rule("nats", ">"), nil),
		fixture.Cluster("oauth", users("alice"), rule("oauth", "*"), nil),
		fixture.Cluster("albums", users("alice"), rule("album", "**"), nil),
	)
	i, _ := issuer(t)
	issued, err := i.Registry(request(t, from, alice(),
		"repository:app:pull registry:catalog:* nats:orders:publish oauth:api:introspect album:holiday:view"))
	if err != nil {
		t.Fatal(err)
	}
	want := []token.Access{
		{Type: "registry", Name: "catalog", Actions: []string{"*"}},
		{Type: "repository", Name: "app", Actions: []string{"pull"}},
	}
	if diff := cmp.Diff(want, claims(t, from, issued.Text).Access); diff != "" {
		t.Errorf("access (-want +got):\n%s", diff)
	}
}
