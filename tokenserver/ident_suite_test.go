package tokenserver

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const provide = "https://provide.technology/api/v1"

// provideKey is a SigningKey as Provide's services need one.
func provideKey(t testing.TB, algorithm v1alpha1.Algorithm, begin time.Time) snapshot.Keys {
	t.Helper()
	k := fixture.Key(t, "provide", v1alpha1.KeyID, begin, provide)
	k.Object.Spec.NonExpiringTokens = v1alpha1.Allowed
	made, err := keyring.GenerateKey(rand.Reader, keyring.Params{
		Algorithm: algorithm, Format: v1alpha1.SSHFingerprintMD5, Identification: v1alpha1.KeyID, TokenLifetime: fixture.Lifetime, RSAKeySize: 2048,
	}, begin)
	if err != nil {
		t.Fatal(err)
	}
	made.State, made.Published, made.Activated = v1alpha1.KeyActive, begin, begin
	k.Ring.Keys = []keyring.Key{made}
	return k
}

func prvd(value string) func(*v1alpha1.ClusterAccessPolicySpec) {
	return func(spec *v1alpha1.ClusterAccessPolicySpec) {
		claim := v1alpha1.Claim{Name: "prvd"}
		claim.Value.Raw = []byte(value)
		spec.Claims = []v1alpha1.Claim{claim}
	}
}

// startIdent runs a server of the Provide Ident API. Of the users, alice may all that one user may, bob has an account, carol is
// two things at once, and admin may list and revoke for others.
func startIdent(t testing.TB, algorithm v1alpha1.Algorithm, change func(*Options, *Parts, *snapshot.Input)) *oauthWorld {
	t.Helper()
	return startOAuth(t, func(options *Options, parts *Parts, input *snapshot.Input) {
		options.IdentAudience = provide
		input.Keys = append(input.Keys, provideKey(t, algorithm, time.Now().Add(-time.Minute)))
		input.Policies = fixture.Policies(t, append(oauthPolicies(),
			fixture.Cluster("prvd", users("alice"), typed("nats", "user.${subject.username}.>", "subscribe"), prvd(`{"permissions":415,"application_id":"app-1","user_id":"u-1"}`)),
			fixture.Cluster("subjects", users("alice"), typed("nats", "axiom.>", "publish"), nil),
			fixture.Cluster("no-subjects", users("alice"), typed("nats", "axiom.secret.>", "*"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
				spec.Effect = v1alpha1.EffectDeny
			}),
			fixture.Cluster("long", users("alice"), typed("order", "none", "none"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
				spec.OfflineAccess = &v1alpha1.OfflineAccess{MaxLifetime: "720h", NonExpiring: v1alpha1.Allowed}
			}),
			fixture.Cluster("carol-1", users("carol"), typed("order", "none", "none"), prvd(`{"permissions":1}`)),
			fixture.Cluster("carol-2", users("carol"), typed("order", "none", "none"), prvd(`{"permissions":2}`)),
			fixture.Cluster("admin", users("admin"), oauthRule(provide, "list", "revoke"), nil),
		)...)
		input.Providers = []*provider.Provider{fixture.Htpasswd(t, map[string]string{
			"alice": "secret", "bob": "hunter2", "carol": "christmas", "admin": "adm", "rs": "rs-secret",
		})}
		if change != nil {
			change(options, parts, input)
		}
	})
}

// anotherIdent runs a second server with the same view and the same API server.
func (w *oauthWorld) anotherIdent(t testing.TB) *oauthWorld {
	t.Helper()
	second := startIdent(t, v1alpha1.EdDSA, func(_ *Options, parts *Parts, input *snapshot.Input) {
		*input, parts.Records = w.input, w.objects.Store(t)
	})
	second.objects = w.objects
	return second
}

// provedAgo returns a token of a user that says that the password was proved so long ago.
func (w *oauthWorld) provedAgo(t testing.TB, user, password string, ago time.Duration) string {
	t.Helper()
	_, claims := says(t, w.bearer(t, user, password))
	return w.sign(t, "at+jwt", provide, func(c map[string]any) {
		c["sub"], c["tokenwright.dev/credential"] = user, claims["tokenwright.dev/credential"]
		c["auth_time"] = time.Now().Add(-ago).Unix()
	})
}

// replace gives the server another view.
func (w *oauthWorld) replace(change func(*snapshot.Input)) {
	change(&w.input)
	w.snapshots.Store(snapshot.Build(w.input))
}

// json sends a body; an empty bearer is nobody, and an empty body none.
func (w *oauthWorld) json(t testing.TB, method, path, bearer, body string) reply {
	t.Helper()
	var content io.Reader = http.NoBody
	if body != "" {
		content = strings.NewReader(body)
	}
	request, err := http.NewRequest(method, w.url+path, content)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		request.Header.Set("Authorization", "Bearer "+bearer)
	}
	return w.do(t, request)
}

// login returns the token of an answer to a password.
func (w *oauthWorld) login(t testing.TB, user, password, scope string) map[string]any {
	t.Helper()
	body, err := json.Marshal(map[string]string{"username": user, "password": password, "scope": scope})
	if err != nil {
		t.Fatal(err)
	}
	got, ok := created(t, w.json(t, http.MethodPost, "/api/v1/authenticate", "", string(body)))["token"].(map[string]any)
	if !ok {
		t.Fatal("there is no token")
	}
	return got
}

// bearer returns a bearer token of a user.
func (w *oauthWorld) bearer(t testing.TB, user, password string) string {
	t.Helper()
	return field(t, w.login(t, user, password, ""), "access_token")
}

// authorize returns the answer to an ask with a bearer.
func (w *oauthWorld) authorize(t testing.TB, bearer, body string) map[string]any {
	t.Helper()
	return created(t, w.json(t, http.MethodPost, "/api/v1/tokens", bearer, body))
}

func created(t testing.TB, answer reply) map[string]any {
	t.Helper()
	if answer.status != http.StatusCreated {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	return fields(t, answer.body)
}

func field(t testing.TB, of map[string]any, name string) string {
	t.Helper()
	value, ok := of[name].(string)
	if !ok {
		t.Fatalf("no %s in %v", name, of)
	}
	return value
}

// says returns header and claims of a token, unverified.
func says(t testing.TB, text string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatal("not a token")
	}
	for i, into := range []*map[string]any{&header, &claims} {
		decoded, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(decoded))
		decoder.UseNumber()
		if err := decoder.Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// message is the body of an error.
func message(text string) string { return "{\n    \"message\": \"" + text + "\"\n}" }

// refusedToken is what a bearer gets that is not good.
var refusedToken = message("the token was not accepted")
