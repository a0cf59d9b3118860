package tokenserver

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// validBy says what the status list that a token names says of it, by the server that is asked.
func (w *oauthWorld) validBy(t testing.TB, claims map[string]any) bool {
	t.Helper()
	var where struct {
		List struct {
			Index int    `json:"idx"`
			URI   string `json:"uri"`
		} `json:"status_list"`
	}
	text, err := json.Marshal(claims["status"])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &where); err != nil {
		t.Fatal(err)
	}
	answer := w.json(t, http.MethodGet, strings.TrimPrefix(where.List.URI, issuerName), "", "")
	if answer.status != http.StatusOK {
		t.Fatalf("%s: status %d: %s", where.List.URI, answer.status, answer.body)
	}
	_, list := says(t, string(answer.body))
	if list["sub"] != where.List.URI {
		t.Fatalf("sub %v", list["sub"])
	}
	body, _ := list["status_list"].(map[string]any)
	metadata, _ := w.document(t, "/.well-known/oauth-authorization-server")
	if body["aggregation_uri"] != metadata["status_list_aggregation_endpoint"] {
		t.Fatalf("aggregation_uri %v, and the metadata names %v", body["aggregation_uri"], metadata["status_list_aggregation_endpoint"])
	}
	all, _ := w.document(t, strings.TrimPrefix(field(t, body, "aggregation_uri"), issuerName))
	if uris, _ := all["status_lists"].([]any); !slices.Contains(uris, any(where.List.URI)) {
		t.Fatalf("%s is not among %v", where.List.URI, uris)
	}
	compressed, err := base64.RawURLEncoding.DecodeString(field(t, body, "lst"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := zlib.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	bits, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return bits[where.List.Index/8]>>(where.List.Index%8)&1 == 0
}

// TestTokensWithoutAnExpiry follows one from its birth to its end.
func TestTokensWithoutAnExpiry(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	other := w.anotherIdent(t)
	bearer := w.bearer(t, "alice", "secret")
	got := w.authorize(t, bearer, `{"application_id":"app-1","scope":"nats order:eu/1:read"}`)
	text := field(t, got, "access_token")
	_, claims := says(t, text)
	if got["expires_in"] != nil || got["refresh_token"] != nil || claims["exp"] != nil || claims["access"] != nil || claims["auth_time"] != nil {
		t.Errorf("got %v with %v", got, claims)
	}
	if claims["nats"] == nil || claims["scope"] != "order:eu/1:read nats" || claims["sub"] != "alice" || got["id"] != claims["jti"] {
		t.Errorf("claims %v", claims)
	}
	records := w.objects.Tokens()
	if len(records) != 1 {
		t.Fatalf("%d records", len(records))
	}
	spec, signer := records[0].Spec, w.snapshots.Load().Audiences[provide].Signer
	year := mustTime(t, string(spec.Expires)).Sub(records[0].CreationTimestamp.Time)
	if spec.Type != v1alpha1.AccessToken || spec.ID != got["id"] || spec.KeyThumbprint != signer.Thumbprint() || spec.SecretHash != "" ||
		year > 365*24*time.Hour+2*time.Second || year < 364*24*time.Hour {
		t.Errorf("record %+v", spec)
	}
	for _, server := range []*oauthWorld{w, other} {
		if !server.validBy(t, claims) {
			t.Error("it is not valid by its list")
		}
		if got := server.json(t, http.MethodGet, "/api/v1/tokens", text, ""); got.status != http.StatusOK {
			t.Errorf("as a bearer: status %d: %s", got.status, got.body)
		}
	}
	// It is worth no more than it says.
	derived := w.authorize(t, text, `{"scope":"offline_access order:eu/1:write order:eu/1:read"}`)
	if derived["refresh_token"] != nil || derived["scope"] != "order:eu/1:read" {
		t.Errorf("what comes from it: %v", derived)
	}

	w.json(t, http.MethodDelete, "/api/v1/tokens/"+field(t, got, "id"), bearer, "").is(t, "", 204, "")
	for _, server := range []*oauthWorld{w, other} {
		server.json(t, http.MethodGet, "/api/v1/tokens", text, "").is(t, "it was deleted", 401, refusedToken)
		waitFor(t, "a token that was deleted is not valid by its list", func() bool { return !server.validBy(t, claims) })
	}
}

// TestIntrospectionOfTokensWithoutAnExpiry has services ask: such a token is active as long as its record.
func TestIntrospectionOfTokensWithoutAnExpiry(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, func(_ *Options, _ *Parts, input *snapshot.Input) {
		input.Policies = fixture.Policies(t,
			fixture.Cluster("rs", users("rs"), oauthRule(provide, "introspect"), nil),
			fixture.Cluster("long", users("alice"), typed("order", "none", "none"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
				spec.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "720h", NonExpiring: v1alpha1.Allowed}
			}))
	})
	bearer := w.bearer(t, "alice", "secret")
	got := w.authorize(t, bearer, `{"scope":"non_expiring"}`)
	text := field(t, got, "access_token")
	if answer := w.introspect(t, text, ""); answer["active"] != true || answer["jti"] != got["id"] || answer["exp"] == nil {
		t.Errorf("got %v", answer)
	}
	noRecord := w.sign(t, token.TypeAccess, provide, func(c map[string]any) {
		delete(c, "exp")
		c["jti"] = "0-7-abcdefghijklmnopqrstuvwxyz"
	})
	if answer := w.introspect(t, noRecord, ""); answer["active"] != false || len(answer) != 1 {
		t.Errorf("without a record: %v", answer)
	}
	w.json(t, http.MethodDelete, "/api/v1/tokens/"+field(t, got, "id"), bearer, "").is(t, "", 204, "")
	if answer := w.introspect(t, text, ""); answer["active"] != false || len(answer) != 1 {
		t.Errorf("deleted: %v", answer)
	}
}

// TestWhoGetsTokensWithoutAnExpiry has each of the two that must allow them forbid them, and more.
func TestWhoGetsTokensWithoutAnExpiry(t *testing.T) {
	forever := func(change func(*v1alpha1.ClusterAccessPolicySpec)) func(*Options, *Parts, *snapshot.Input) {
		return func(_ *Options, _ *Parts, input *snapshot.Input) {
			input.Policies = fixture.Policies(t, fixture.Cluster("long", users("alice"), typed("order", "**", "read"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
				spec.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "720h", NonExpiring: v1alpha1.Allowed}
				change(spec)
			}))
		}
	}
	const forbidden = "a token without an expiry is not allowed here"
	cases := map[string]struct {
		change  func(*Options, *Parts, *snapshot.Input)
		away    bool
		status  int
		message string
	}{
		"both allow it":      {forever(func(*v1alpha1.ClusterAccessPolicySpec) {}), false, 201, ""},
		"the SigningKey not": {func(_ *Options, _ *Parts, input *snapshot.Input) { last(input).NonExpiringTokens = v1alpha1.Forbidden }, false, 403, forbidden},
		"a key by chain": {func(_ *Options, _ *Parts, input *snapshot.Input) {
			k := fixture.Key(t, "chain", v1alpha1.X509Chain, time.Now().Add(-time.Minute), provide)
			k.Object.Spec.NonExpiringTokens = v1alpha1.Allowed // which the schema refuses
			input.Keys[len(input.Keys)-1] = k
		}, false, 403, forbidden},
		"the policy not":          {forever(func(s *v1alpha1.ClusterAccessPolicySpec) { s.OfflineAccess.NonExpiring = v1alpha1.Forbidden }), false, 403, forbidden},
		"a policy that ends":      {forever(func(s *v1alpha1.ClusterAccessPolicySpec) { s.When = &v1alpha1.When{NotAfter: "2099-01-01T00:00:00Z"} }), false, 403, forbidden},
		"an issuer without lists": {func(o *Options, _ *Parts, _ *snapshot.Input) { o.Issuer = "tokenwright" }, false, 403, forbidden},
		"nowhere to record it":    {nil, true, 503, "refresh tokens can be neither stored nor read at present"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := startIdent(t, v1alpha1.EdDSA, c.change)
			bearer := w.bearer(t, "alice", "secret")
			w.objects.Away(c.away)
			answer := w.json(t, http.MethodPost, "/api/v1/tokens", bearer, `{"scope":"non_expiring order:1:read"}`)
			w.objects.Away(false)
			if c.status != http.StatusCreated {
				answer.is(t, "", c.status, message(c.message))
			} else {
				created(t, answer)
			}
			if n := len(w.objects.Tokens()); n != 0 && c.status != http.StatusCreated {
				t.Errorf("%d records", n)
			}
		})
	}
}

func last(input *snapshot.Input) *v1alpha1.SigningKeySpec {
	return &input.Keys[len(input.Keys)-1].Object.Spec
}

// TestAChangedPasswordEndsTokensWithoutAnExpiry, as it ends refresh tokens.
func TestAChangedPasswordEndsTokensWithoutAnExpiry(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	text := field(t, w.authorize(t, w.bearer(t, "alice", "secret"), `{"scope":"non_expiring"}`), "access_token")
	w.replace(func(input *snapshot.Input) {
		input.Providers = []*provider.Provider{fixture.Htpasswd(t, map[string]string{"alice": "another"})}
	})
	w.json(t, http.MethodGet, "/api/v1/tokens", text, "").is(t, "", 401, refusedToken)
}

// TestTokensWithoutAnExpiryAreBounded: a user has as many records as anybody else.
func TestTokensWithoutAnExpiryAreBounded(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	for n := range record.MaxPerSubject {
		id := slot.ID{Index: n, Random: "abcdefghijklmnopqrstuvwxyz"}
		err := w.objects.Create(t.Context(), &v1alpha1.IssuedToken{ObjectMeta: objectName(id.Name()), Spec: v1alpha1.IssuedTokenSpec{
			Type: v1alpha1.AccessToken, ID: id.String(), Subject: v1alpha1.RecordedSubject{Username: "alice"}, Audience: provide,
			Expires: v1alpha1.NewDateTime(time.Now().Add(time.Hour)),
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.json(t, http.MethodPost, "/api/v1/tokens", w.bearer(t, "alice", "secret"), `{"scope":"non_expiring"}`).
		is(t, "", 403, message("the user has too many tokens: revoke some"))
}

// TestTokensThatLastAreMadeSlowly: nobody fills the API server with records and what takes them back.
func TestTokensThatLastAreMadeSlowly(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	bearer := w.bearer(t, "alice", "secret")
	for n := range 46 { // 30, and one for each second that this takes
		answer := w.json(t, http.MethodPost, "/api/v1/tokens", bearer, `{"scope":"offline_access"}`)
		if answer.status == http.StatusTooManyRequests {
			answer.is(t, "", 429, message("the caller makes or revokes too many tokens"))
			if answer.header.Get("Retry-After") != "1" || n < 30 {
				t.Errorf("after %d: Retry-After %q", n, answer.header.Get("Retry-After"))
			}
			return
		}
		created(t, answer)
	}
	t.Error("46 tokens were made at once")
}

// TestRegistryTokensAlwaysExpire: nobody gets access[] for ever, by no parameter.
func TestRegistryTokensAlwaysExpire(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	got := w.get(t, "alice", "secret", url.Values{"service": {provide}, "scope": {"non_expiring repository:team-a/app:pull"}})
	if _, claims := says(t, got.text(t, "access_token")); claims["exp"] == nil || claims["access"] == nil {
		t.Errorf("claims %v", claims)
	}
	lasting := w.authorize(t, w.bearer(t, "alice", "secret"), `{"scope":"non_expiring repository:team-a/app:pull"}`)
	if _, claims := says(t, field(t, lasting, "access_token")); claims["exp"] != nil || claims["access"] != nil || fmt.Sprint(claims["scope"]) != "repository:team-a/app:pull" {
		t.Errorf("claims %v", claims)
	}
}

// TestTokensWithoutAnExpiryNeedACurrentView: a server that would not have heard of a revocation says 503, and does not guess.
func TestTokensWithoutAnExpiryNeedACurrentView(t *testing.T) {
	var fence *snapshot.Fence
	w := startIdent(t, v1alpha1.EdDSA, func(_ *Options, parts *Parts, _ *snapshot.Input) {
		fence = snapshot.NewFence(time.Hour)
		fence.Confirm(time.Now())
		parts.Fence = fence
	})
	text := field(t, w.authorize(t, w.bearer(t, "alice", "secret"), `{"scope":"non_expiring"}`), "access_token")
	if got := w.json(t, http.MethodGet, "/api/v1/tokens", text, ""); got.status != http.StatusOK {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	old := snapshot.NewFence(time.Hour)
	old.Confirm(time.Now().Add(-4 * time.Minute))
	cutOff := startIdent(t, v1alpha1.EdDSA, func(_ *Options, parts *Parts, input *snapshot.Input) {
		*input, parts.Records, parts.Fence = w.input, w.objects.Store(t), old
	})
	cutOff.objects = w.objects
	cutOff.json(t, http.MethodGet, "/api/v1/tokens", text, "").is(t, "", 503, message("the token cannot be verified at present"))
}
