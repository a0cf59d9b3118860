package grant

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// apiServer stores records, and has every server see them at once.
type apiServer struct {
	mu     sync.Mutex
	index  *record.Index
	err    error
	stored map[string]*v1alpha1.IssuedToken
	reads  int
}

func (a *apiServer) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	if r, ok := object.(*v1alpha1.TokenRevocation); ok {
		a.index.PutRevocation(r.DeepCopy())
	}
	if t, ok := object.(*v1alpha1.IssuedToken); ok {
		t.CreationTimestamp, t.UID = metav1.NewTime(now), types.UID(t.Name)
		a.stored[t.Name] = t.DeepCopy()
		a.index.PutRecord(t.DeepCopy())
	}
	return nil
}

func (a *apiServer) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reads++
	if a.err != nil {
		return a.err
	}
	t, ok := object.(*v1alpha1.IssuedToken)
	if found := a.stored[key.Name]; ok && found != nil {
		found.DeepCopyInto(t)
		return nil
	}
	return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("issuedtokens").GroupResource(), key.Name)
}

func (*apiServer) Status() client.SubResourceWriter { return nil }

// refreshing is a world in which alice and bob have passwords, and alice may have refresh tokens for two days.
type refreshing struct {
	world
	server   *apiServer
	provider *provider.Provider
	input    snapshot.Input
}

func newRefreshing(t *testing.T) *refreshing {
	t.Helper()
	seals, err := opaque.Generate(rand.Reader, now)
	if err != nil {
		t.Fatal(err)
	}
	r := &refreshing{
		world: newWorld(t, &authenticator{}), server: &apiServer{index: &record.Index{}, stored: map[string]*v1alpha1.IssuedToken{}},
		provider: fixture.Htpasswd(t, map[string]string{"alice": "secret", "bob": "secret"}),
	}
	r.Authenticator = identity.New(identity.Options{Log: logr.Discard()})
	r.Records = record.New(record.Options{
		Client: r.server, Namespace: "tokenwright-system", Index: r.server.index, Random: rand.Reader,
		Now: func() time.Time { return now }, Log: logr.Discard(),
	})
	r.input = snapshot.Input{
		At: now, Seals: seals, Providers: []*provider.Provider{r.provider},
		Keys: []snapshot.Keys{
			fixture.Key(t, "registry", v1alpha1.KeyID, now, service), fixture.Key(t, "other", v1alpha1.KeyID, now, "other.example.com"),
			fixture.Broken("broken", "broken.example.com"),
		},
		Policies: fixture.Policies(t, fixture.Cluster("alice", []v1alpha1.Subject{fixture.User("alice")}, fixture.Repositories("**", "pull"),
			func(s *v1alpha1.ClusterAccessPolicySpec) {
				s.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "48h"}
			})),
	}
	r.publish()
	return r
}

func (r *refreshing) publish() { r.Snapshots.Store(snapshot.Build(r.input)) }

// login asks with a password for a refresh token.
func (r *refreshing) login(user string) (Answer, error) {
	return r.Grant(context.Background(), Docker{}, &Request{
		ID: "r1", Time: now, Audience: service, Offline: true, ClientID: "docker",
		Credentials: identity.Credentials{Username: user, Password: "secret", Present: true},
	})
}

func (r *refreshing) refreshed(token string, at time.Time) (Answer, error) {
	return r.Grant(context.Background(), RefreshToken{}, &Request{ID: "r2", Time: at, Audience: service, Refresh: token})
}

func (r *refreshing) token(t *testing.T) string {
	t.Helper()
	answer, err := r.login("alice")
	if err != nil || answer.Refresh == "" {
		t.Fatalf("got %v, %v", answer, err)
	}
	return answer.Refresh
}

func kindOf(err error) Kind {
	var failure *Error
	if errors.As(err, &failure) {
		return failure.Kind
	}
	return ""
}

// TestWhoGetsARefreshToken is the rule of protocols.md: asked for, allowed by policy, and by a password.
func TestWhoGetsARefreshToken(t *testing.T) {
	password := func(user string) identity.Credentials {
		return identity.Credentials{Username: user, Password: "secret", Present: true}
	}
	cases := map[string]struct {
		reason  string
		change  func(*refreshing)
		request Request
		want    bool
		kind    Kind
	}{
		"Asked for and allowed":    {reason: "It is what login is for.", request: Request{Offline: true, Credentials: password("alice")}, want: true},
		"Not asked for":            {reason: "A client that sees one may drop the password.", request: Request{Credentials: password("alice")}},
		"No policy allows it":      {reason: "Default is deny.", request: Request{Offline: true, Credentials: password("bob")}},
		"Anonymous":                {reason: "Nobody has proved anything.", request: Request{Offline: true}},
		"A server without records": {reason: "It could not take it back.", change: func(r *refreshing) { r.Records = nil }, request: Request{Offline: true, Credentials: password("alice")}},
		"For another service":      {reason: "The policy is for all.", request: Request{Offline: true, Credentials: password("alice"), Audience: "other.example.com"}, want: true},
		"It cannot be stored": {reason: "A client that asked for one would keep the password.", change: func(r *refreshing) {
			r.server.err = apierrors.NewForbidden(v1alpha1.GroupVersion.WithResource("issuedtokens").GroupResource(), "", errors.New("no"))
		}, request: Request{Offline: true, Credentials: password("alice")}, kind: Unavailable},
		"There are no seals":     {reason: "The manager has not made them.", change: func(r *refreshing) { r.input.Seals = opaque.Keys{} }, request: Request{Offline: true, Credentials: password("alice")}, kind: Unavailable},
		"No key for the service": {reason: "There is no access token to go with it, and nothing is stored.", request: Request{Offline: true, Credentials: password("alice"), Audience: "broken.example.com"}, kind: Unavailable},
		"A wrong password":       {reason: "It is wrong.", request: Request{Offline: true, Credentials: identity.Credentials{Username: "alice", Password: "x", Present: true}}, kind: BadCredentials},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRefreshing(t)
			if tc.change != nil {
				tc.change(r)
				r.publish()
			}
			request := tc.request
			request.Time = now
			if request.Audience == "" {
				request.Audience = service
			}
			answer, err := r.Grant(t.Context(), Docker{}, &request)
			if kindOf(err) != tc.kind || (err == nil) != (tc.kind == "") {
				t.Fatalf("%s got %v", tc.reason, err)
			}
			if got := answer.Refresh != ""; got != tc.want {
				t.Errorf("%s got a refresh token: %v", tc.reason, got)
			}
			if got := len(r.server.stored) > 0; got != tc.want {
				t.Errorf("%s stored: %v", tc.reason, got)
			}
		})
	}
}

// TestTheRecordOfARefreshToken holds no more than it needs, and nothing that could be used.
func TestTheRecordOfARefreshToken(t *testing.T) {
	r := newRefreshing(t)
	text := r.token(t)
	for _, stored := range r.server.stored {
		spec := stored.Spec
		if strings.Contains(text, spec.SecretHash) || strings.Contains(text, spec.Credential) {
			t.Error("the record holds a part of the token")
		}
		if spec.SecretHash == "" || spec.Credential == "" || !strings.HasPrefix(text, "twr_"+spec.ID+".") {
			t.Errorf("the record is %+v", spec)
		}
		spec.ID, spec.SecretHash, spec.Credential = "", "", ""
		want := v1alpha1.IssuedTokenSpec{
			Type: v1alpha1.RefreshToken, Audience: service, ClientID: "docker",
			Subject:  v1alpha1.RecordedSubject{Username: "alice", Groups: []string{caller.GroupAuthenticated}},
			Provider: v1alpha1.RecordedProvider{Name: r.provider.Name, UID: r.provider.UID},
			AuthTime: "2026-01-01T12:00:00Z", Expires: "2026-01-03T12:00:00Z",
		}
		if diff := cmp.Diff(want, spec); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	for _, record := range r.records(t) {
		if record.RefreshID == "" || strings.Contains(record.RefreshID, ".") {
			t.Errorf("the audit record names the refresh token %q", record.RefreshID)
		}
	}
}

// TestRefresh uses a refresh token after something has changed. Identity and policy are asked again each time.
func TestRefresh(t *testing.T) {
	later := now.Add(time.Hour)
	policies := func(t *testing.T, change func(*v1alpha1.ClusterAccessPolicySpec)) func(*refreshing) {
		return func(r *refreshing) {
			r.input.Policies = fixture.Policies(t, fixture.Cluster("alice", []v1alpha1.Subject{fixture.User("alice")}, fixture.Repositories("**", "pull"), change))
		}
	}
	revoke := func(spec v1alpha1.TokenRevocationSpec) func(*refreshing) {
		return func(r *refreshing) {
			r.server.index.PutRevocation(&v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: spec})
		}
	}
	subject := func(name, before, audience string) v1alpha1.TokenRevocationSpec {
		return v1alpha1.TokenRevocationSpec{Subject: &v1alpha1.RevokedSubject{Username: name, IssuedBefore: v1alpha1.DateTime(before), Audience: v1alpha1.Audience(audience)}}
	}
	cases := map[string]struct {
		reason string
		change func(*refreshing)
		at     time.Time
		kind   Kind
	}{
		"Nothing":        {"It is good for two days.", func(*refreshing) {}, later, ""},
		"Two days later": {"It has ended.", func(*refreshing) {}, now.Add(48 * time.Hour), BadCredentials},
		"Another password": {"Who changes a password wants the old logins gone.", func(r *refreshing) {
			r.provider = fixture.Htpasswd(t, map[string]string{"alice": "new"})
			r.input.Providers = []*provider.Provider{r.provider}
		}, later, BadCredentials},
		"The provider is gone":         {"Nobody vouches for alice.", func(r *refreshing) { r.input.Providers = nil }, later, BadCredentials},
		"The policy is gone":           {"Nobody may have refresh tokens.", func(r *refreshing) { r.input.Policies = nil }, later, BadCredentials},
		"The policy allows no offline": {"Alice may pull, with a password.", policies(t, nil), later, BadCredentials},
		"The policy allows less": {"What is older than that has ended.", policies(t, func(s *v1alpha1.ClusterAccessPolicySpec) {
			s.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "30m"}
		}), later, BadCredentials},
		"Revoked by subject":           {"All of alice's are.", revoke(subject("alice", "2026-01-01T12:00:00Z", "")), later, BadCredentials},
		"Revoked for the audience":     {"Hers for the registry are.", revoke(subject("alice", "2026-01-01T12:00:00Z", service)), later, BadCredentials},
		"Revoked for another audience": {"This one is not.", revoke(subject("alice", "2026-01-01T12:00:00Z", "other.example.com")), later, ""},
		"Revoked before it was issued": {"It came after.", revoke(subject("alice", "2026-01-01T11:59:59Z", "")), later, ""},
		"Bob is revoked":               {"Alice is not.", revoke(subject("bob", "2026-01-01T13:00:00Z", "")), later, ""},
		"The record is gone": {"A record that was deleted is no good any more.", func(r *refreshing) {
			for name := range r.server.stored {
				r.server.index.DeleteRecord(name)
			}
			clear(r.server.stored)
		}, later, BadCredentials},
		"It cannot be read":      {"What was seen is enough.", func(r *refreshing) { r.server.err = errors.New("away") }, later, ""},
		"The API server is away": {"It may have been revoked since.", func(r *refreshing) { r.Current = func() bool { return false } }, later, Unavailable},
		"Not seen, and it is away": {"Nobody knows: try again.", func(r *refreshing) {
			for name := range r.server.stored {
				r.server.index.DeleteRecord(name)
			}
			r.server.err = context.DeadlineExceeded
		}, later, Unavailable},
		"Another replica's": {"It is read, once.", func(r *refreshing) {
			for name := range r.server.stored {
				r.server.index.DeleteRecord(name)
			}
		}, later, ""},
		"The seals are gone": {"Nothing opens.", func(r *refreshing) { r.input.Seals = opaque.Keys{} }, later, BadCredentials},
		"The record was exchanged": {"An object of the name is not the token's record.", func(r *refreshing) {
			for _, s := range r.server.stored {
				s.Spec.SecretHash = strings.Repeat("A", 43)
				r.server.index.PutRecord(s.DeepCopy())
			}
		}, later, BadCredentials},
		"The record is an access token": {"One kind is not the other.", func(r *refreshing) {
			for _, s := range r.server.stored {
				s.Spec.Type = v1alpha1.AccessToken
				r.server.index.PutRecord(s.DeepCopy())
			}
		}, later, BadCredentials},
		"The record is bob's": {"The proof is alice's.", func(r *refreshing) {
			for _, s := range r.server.stored {
				s.Spec.Subject.Username = "bob"
				r.server.index.PutRecord(s.DeepCopy())
			}
		}, later, BadCredentials},
		"No records": {"A server without any takes none.", func(r *refreshing) { r.Records = nil }, later, BadCredentials},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRefreshing(t)
			text := r.token(t)
			tc.change(r)
			r.publish()
			answer, err := r.refreshed(text, tc.at)
			if kindOf(err) != tc.kind || (err == nil) != (tc.kind == "") {
				t.Fatalf("%s got %v", tc.reason, err)
			}
			if err == nil && (answer.Refresh != text || answer.Text == "") {
				t.Errorf("%s the same comes back, with an access token", tc.reason)
			}
			if err != nil && strings.Contains(err.Error(), text) {
				t.Error("the error holds the token")
			}
		})
	}
}

// TestRefreshTokensOfOthers are those that the client should not have, or that are for elsewhere.
func TestRefreshTokensOfOthers(t *testing.T) {
	r := newRefreshing(t)
	text := r.token(t)
	cases := map[string]struct {
		reason  string
		request Request
		kind    Kind
	}{
		"For another service":         {"It is for one.", Request{Audience: "other.example.com", Refresh: text}, BadCredentials},
		"For a service nobody has":    {"Nor is that said to who has none.", Request{Audience: "none.example.com", Refresh: text}, BadCredentials},
		"An access token":             {"It is another kind.", Request{Audience: service, Refresh: "eyJhbGciOiJub25lIn0.e30."}, BadCredentials},
		"Somebody's password":         {"It is no token.", Request{Audience: service, Refresh: "secret"}, BadCredentials},
		"A refresh token that begets": {"What came with one gets no other.", Request{Audience: service, Refresh: text, Offline: true}, ""},
		"None":                        {"It must be there.", Request{Audience: service}, InvalidRequest},
		"A password beside it":        {"The refresh token counts.", Request{Audience: service, Refresh: "twr_x", Credentials: identity.Credentials{Username: "alice", Password: "secret", Present: true}}, BadCredentials},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.request.Time = now
			answer, err := r.Grant(t.Context(), RefreshToken{}, &tc.request)
			if kindOf(err) != tc.kind || (err == nil) != (tc.kind == "") {
				t.Fatalf("%s got %v", tc.reason, err)
			}
			if err == nil && answer.Refresh != text {
				t.Errorf("%s got another", tc.reason)
			}
		})
	}
	if len(r.server.stored) != 1 {
		t.Errorf("%d records", len(r.server.stored))
	}
}

// TestJunkDoesNotReachTheAPIServer is the client that tries refresh tokens by the thousand.
func TestJunkDoesNotReachTheAPIServer(t *testing.T) {
	r := newRefreshing(t)
	text := r.token(t)
	before := r.server.reads
	parts := strings.SplitN(text, ".", 2)
	for n := range 1000 {
		junk := []string{"twr_" + strings.Repeat("x", n%190), parts[0] + "." + strings.Repeat("A", 43) + ".", strings.Replace(text, "-", "_", 1), text + "x"}[n%4]
		if _, err := r.refreshed(junk, now); kindOf(err) != BadCredentials {
			t.Fatalf("%q got %v", junk, err)
		}
	}
	if r.server.reads != before {
		t.Errorf("the API server was asked %d times", r.server.reads-before)
	}
}

// TestASubjectThatWasJustRevokedWaits is the minute in which a new token could not be told from the revoked ones.
func TestASubjectThatWasJustRevokedWaits(t *testing.T) {
	r := newRefreshing(t)
	r.server.index.PutRevocation(&v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Name: "x"},
		Spec:       v1alpha1.TokenRevocationSpec{Subject: &v1alpha1.RevokedSubject{Username: "alice", IssuedBefore: "2026-01-01T12:00:00Z"}},
	})
	ask := func(user string, at time.Time) error {
		_, err := r.Grant(t.Context(), Docker{}, &Request{
			Time: at, Audience: service, Credentials: identity.Credentials{Username: user, Password: "secret", Present: true},
		})
		return err
	}
	err := ask("alice", now)
	var failure *Error
	if !errors.As(err, &failure) || failure.Kind != Unavailable || failure.RetryAfter <= 0 || failure.RetryAfter > 3*time.Minute {
		t.Fatalf("got %v", err)
	}
	if err := ask("bob", now); err != nil {
		t.Errorf("bob: %v", err)
	}
	if err := ask("alice", now.Add(failure.RetryAfter)); err != nil {
		t.Errorf("after %s: %v", failure.RetryAfter, err)
	}
}

// TestLoginsAreBounded is docker login in a loop: each leaves an object, and past the twentieth a second one.
func TestLoginsAreBounded(t *testing.T) {
	r := newRefreshing(t)
	r.Logins = record.NewLoginLimits()
	made := 0
	for range 100 {
		_, err := r.login("alice")
		var failure *Error
		switch {
		case err == nil:
			made++
		case !errors.As(err, &failure) || failure.Kind != TooManyRequests || failure.RetryAfter <= 0 || failure.RetryAfter > 10*time.Second:
			t.Fatalf("got %v", err)
		}
	}
	if made != 60 {
		t.Errorf("%d were made", made)
	}
	if answer, err := r.login("bob"); err != nil || answer.Text == "" {
		t.Errorf("bob, who gets none: %v", err)
	}
}

// TestNoRecordStaysOfATokenThatDidNotCome is an audit log that cannot be written.
func TestNoRecordStaysOfATokenThatDidNotCome(t *testing.T) {
	r := newRefreshing(t)
	if err := r.Audit.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if answer, err := r.login("alice"); err == nil || answer.Refresh != "" {
		t.Fatalf("got %v, %v", answer, err)
	}
	if len(r.server.stored) != 1 {
		t.Fatalf("%d records", len(r.server.stored))
	}
	for _, stored := range r.server.stored {
		if !r.server.index.Revoked(stored) {
			t.Error("the record is good, and nobody has its token")
		}
	}
}

// TestAPolicyThatEndsDoesNotEndItsTokensSooner: a refresh token ended at half of what was left of its policy.
func TestAPolicyThatEndsDoesNotEndItsTokensSooner(t *testing.T) {
	r := newRefreshing(t)
	end := now.Add(10 * time.Hour)
	r.input.Policies = fixture.Policies(t, fixture.Cluster("alice", []v1alpha1.Subject{fixture.User("alice")}, fixture.Repositories("**", "pull"),
		func(s *v1alpha1.ClusterAccessPolicySpec) {
			s.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "48h"}
			s.When = &v1alpha1.When{NotAfter: v1alpha1.NewDateTime(end)}
		}))
	r.publish()
	text := r.token(t)
	for after, want := range map[time.Duration]Kind{time.Hour: "", 9 * time.Hour: "", 10 * time.Hour: BadCredentials} {
		if _, err := r.refreshed(text, now.Add(after)); kindOf(err) != want {
			t.Errorf("after %s: %v", after, err)
		}
	}
}
