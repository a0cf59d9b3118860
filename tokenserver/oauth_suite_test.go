package tokenserver

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const (
	api      = "https://api.example.com"
	otherAPI = "https://other.example.com"
)

// oauthWorld is a server with clients of OAuth and records. Of the users, rs may introspect and revoke the tokens of the API
// and introspect the registry's, alice has a refresh token, and bob has nothing.
type oauthWorld struct {
	*running
	objects *fixture.Objects
	cluster *cluster
	input   snapshot.Input
}

func oauthRule(audience v1alpha1.ResourceName, actions ...v1alpha1.Action) v1alpha1.Rule {
	return v1alpha1.Rule{Type: v1alpha1.TypeOAuth, Names: []v1alpha1.ResourceName{audience}, Actions: actions}
}

func typed(typ string, name v1alpha1.ResourceName, actions ...v1alpha1.Action) v1alpha1.Rule {
	return v1alpha1.Rule{Type: typ, Names: []v1alpha1.ResourceName{name}, Actions: actions}
}

func users(names ...string) []v1alpha1.Subject {
	var subjects []v1alpha1.Subject
	for _, name := range names {
		subjects = append(subjects, fixture.User(name))
	}
	return subjects
}

func oauthPolicies() []*v1alpha1.ClusterAccessPolicy {
	builder := []v1alpha1.Subject{{Kind: v1alpha1.SubjectServiceAccount, Namespace: "ci", Name: "builder"}}
	claim := func(spec *v1alpha1.ClusterAccessPolicySpec) {
		spec.Claims = []v1alpha1.Claim{{Name: "prvd", Value: v1alpha1.ClaimValue{Raw: []byte(`{"permissions":415}`)}}}
	}
	return []*v1alpha1.ClusterAccessPolicy{
		fixture.Cluster("public", []v1alpha1.Subject{fixture.Anonymous, fixture.Anybody}, fixture.Repositories("public/**", "pull"), nil),
		fixture.Cluster("alice", users("alice"), fixture.Repositories("team-a/**", "pull", "push"), nil),
		fixture.Cluster("rs-api", users("rs"), oauthRule(api, "introspect", "revoke"), nil),
		fixture.Cluster("rs-registry", users("rs"), oauthRule(service, "introspect"), nil),
		fixture.Cluster("orders", users("alice", "robot"), typed("order", "**", "read", "write"), nil),
		fixture.Cluster("robot-claims", users("robot"), typed("order", "none", "none"), claim),
		fixture.Cluster("exchange", append(users("alice", "robot"), builder...), oauthRule(api, "exchange"), nil),
		fixture.Cluster("exchange-other", users("alice"), oauthRule(otherAPI, "exchange"), nil),
		fixture.Cluster("builder-introspects", builder, oauthRule(api, "introspect"), nil),
		fixture.Cluster("builder", builder, typed("order", "eu/**", "read"), nil),
		fixture.Cluster("offline", users("alice"), typed("order", "none", "none"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
			spec.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "24h"}
		}),
	}
}

// startOAuth runs the world; change may be nil.
func startOAuth(t testing.TB, change func(*Options, *Parts, *snapshot.Input)) *oauthWorld {
	t.Helper()
	w := &oauthWorld{objects: fixture.NewObjects()}
	seals, err := opaque.Generate(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-time.Minute)
	w.input = snapshot.Input{
		At: time.Now(), Seals: seals, Policies: fixture.Policies(t, oauthPolicies()...), Prefixes: []string{""},
		Keys: []snapshot.Keys{
			fixture.Key(t, "registry", v1alpha1.X509Chain, begin, service),
			fixture.Key(t, "api", v1alpha1.KeyID, begin, api),
			fixture.Key(t, "other", v1alpha1.KeyID, begin, otherAPI),
			fixture.Broken("broken", brokenService),
		},
		Providers: []*provider.Provider{fixture.Htpasswd(t, map[string]string{
			"alice": "secret", "gateway": "gw", "bob": "hunter2", "rs": "rs-secret", "robot": "r2d2 + c3po%", "per%25+cent": "x:y",
		}), {Name: "accounts", UID: "accounts-uid", Kubernetes: &provider.Kubernetes{
			Audiences: []string{"tokenwright"}, Verification: v1alpha1.VerifyOffline,
		}}},
	}
	w.cluster = newCluster(t)
	w.running = start(t, func(options *Options, parts *Parts) {
		parts.Records = w.objects.Store(t)
		parts.Authenticator = identity.New(identity.Options{Cluster: w.cluster, Log: logr.Discard()})
		if change != nil {
			change(options, parts, &w.input)
		}
		parts.Snapshots.Store(snapshot.Build(w.input))
	})
	return w
}

// another runs a second server with the same view and the same API server.
func (w *oauthWorld) another(t testing.TB) *oauthWorld {
	t.Helper()
	second := startOAuth(t, func(_ *Options, parts *Parts, input *snapshot.Input) {
		*input, parts.Records = w.input, w.objects.Store(t)
	})
	second.objects = w.objects
	return second
}

// form sends a form; an empty user is nobody, and "bearer" sends the password as one.
func (w *oauthWorld) form(t testing.TB, path, user, password string, form url.Values) reply {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, w.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	switch user {
	case "":
	case "bearer":
		request.Header.Set("Authorization", "Bearer "+password)
	default:
		request.SetBasicAuth(url.QueryEscape(user), url.QueryEscape(password))
	}
	return w.do(t, request)
}

// introspect asks as rs, and returns the answer's fields.
func (w *oauthWorld) introspect(t testing.TB, text, hint string) map[string]any {
	t.Helper()
	form := url.Values{"token": {text}}
	if hint != "" {
		form.Set("token_type_hint", hint)
	}
	answer := w.form(t, "/introspect", "rs", "rs-secret", form)
	if answer.status != http.StatusOK {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	return fields(t, answer.body)
}

func fields(t testing.TB, body []byte) map[string]any {
	t.Helper()
	var got map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&got); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return got
}

// text returns a field of an answer that must be a success.
func (r reply) text(t testing.TB, field string) string {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	value, ok := fields(t, r.body)[field].(string)
	if !ok {
		t.Fatalf("no %s in %s", field, r.body)
	}
	return value
}

// registryToken and refreshToken get one of a user by Docker's protocol.
func (w *oauthWorld) registryToken(t testing.TB, user, password string) string {
	t.Helper()
	return w.get(t, user, password, asking("repository:public/app:pull repository:team-a/app:push")).text(t, "access_token")
}

func (w *oauthWorld) refreshToken(t testing.TB, audience string) string {
	t.Helper()
	return w.get(t, "alice", "secret", url.Values{"service": {audience}, "offline_token": {"true"}, "client_id": {"cli"}}).text(t, "refresh_token")
}

// sign signs claims for the API with its key, whatever they say.
func (w *oauthWorld) sign(t testing.TB, typ, audience string, change func(map[string]any)) string {
	t.Helper()
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": issuerName, "sub": "alice", "aud": audience, "exp": now + 600, "nbf": now - 60, "iat": now - 60, "jti": "abcdefghijklmnopqrstuvwxyz",
		"client_id": "alice", "scope": "order:1:read",
	}
	if change != nil {
		change(claims)
	}
	text, err := w.snapshots.Load().Audiences[audience].Signer.Sign(typ, rawClaims(claims))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type rawClaims map[string]any

func (c rawClaims) AppendJSON(dst []byte) []byte {
	text, err := json.Marshal(map[string]any(c))
	if err != nil {
		panic(err)
	}
	return append(dst, text...)
}

var _ token.Claims = rawClaims{}

// is holds an answer to a status and a body.
func (r reply) is(t testing.TB, reason string, status int, body string) {
	t.Helper()
	type said struct {
		Status int
		Body   string
	}
	if diff := cmp.Diff(said{status, body}, said{r.status, strings.TrimSpace(string(r.body))}); diff != "" {
		t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
	if got := r.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q", got)
	}
	challenged := r.status == http.StatusUnauthorized || strings.Contains(body, `"insufficient_scope"`) // RFC 6750, section 3
	if challenged != (r.header.Get("WWW-Authenticate") != "") {
		t.Errorf("WWW-Authenticate = %q with %d", r.header.Get("WWW-Authenticate"), r.status)
	}
	if r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") == "" {
		t.Error("Retry-After is missing")
	}
}

func problemOf(code, description string) string {
	return `{"error":"` + code + `","error_description":"` + description + `"}`
}

// revokeSubject stores that everything of a user until now is revoked.
func (w *oauthWorld) revokeSubject(t testing.TB, username string, before time.Time) {
	t.Helper()
	err := w.objects.Create(context.Background(), &v1alpha1.TokenRevocation{
		ObjectMeta: objectName("subject-test"),
		Spec: v1alpha1.TokenRevocationSpec{Subject: &v1alpha1.RevokedSubject{
			Username: username, IssuedBefore: v1alpha1.NewDateTime(before),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mustTime(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

const clusterIssuer = "https://kubernetes.default.svc"

// cluster is an API server that signs tokens of the ServiceAccount ci/builder.
type cluster struct {
	key    *ecdsa.PrivateKey
	issuer string
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{key, clusterIssuer}
}

// Keys implements identity.Cluster.
func (c *cluster) Keys(context.Context) (string, []byte, error) {
	document, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: c.key.Public(), KeyID: "c1", Algorithm: "ES256", Use: "sig"}}})
	return c.issuer, document, err
}

// Review implements identity.Cluster. Providers of these tests verify offline.
func (c *cluster) Review(context.Context, string, []string) (authenticationv1.TokenReviewStatus, error) {
	return authenticationv1.TokenReviewStatus{}, errors.New("nobody should ask")
}

// token is one of ci/builder that lives so long.
func (c *cluster) token(t testing.TB, lives time.Duration, change func(map[string]any)) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": c.issuer, "sub": "system:serviceaccount:ci:builder", "aud": []string{"tokenwright"}, "jti": "j1",
		"exp": now.Add(lives).Unix(), "nbf": now.Add(-time.Minute).Unix(), "iat": now.Add(-time.Minute).Unix(),
		"kubernetes.io": map[string]any{"namespace": "ci", "serviceaccount": map[string]any{"name": "builder", "uid": "u"}},
	}
	if change != nil {
		change(claims)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: c.key, KeyID: "c1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// access verifies the access token of an answer and returns its claims, without those that differ each time.
func (w *oauthWorld) access(t testing.TB, answer reply) map[string]any {
	t.Helper()
	verified, err := w.snapshots.Load().Verify(answer.text(t, "access_token"), issuerName, time.Now(), token.TypeAccess)
	if err != nil {
		t.Fatal(err)
	}
	got := fields(t, verified.Claims)
	for _, varies := range []string{"exp", "nbf", "iat", "jti"} {
		if got[varies] == nil {
			t.Errorf("%s is missing in %v", varies, got)
		}
		delete(got, varies)
	}
	return got
}
