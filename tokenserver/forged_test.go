package tokenserver

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// forged are tokens for an audience that somebody makes who has the public key, which must be one of ES256, a key of her own, and
// time. The first is good, so that it can be seen that the others fail for what was done to them.
func (w *oauthWorld) forged(t testing.TB, audience string) (good string, bad map[string]string) {
	t.Helper()
	owner := slices.IndexFunc(w.input.Keys, func(k snapshot.Keys) bool {
		return slices.Contains(k.Object.Spec.Audiences, v1alpha1.Audience(audience))
	})
	key := w.input.Keys[owner].Ring.Keys[0]
	foreign, err := ecdsa.GenerateKey(key.Public.(*ecdsa.PublicKey).Curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, foreign.Public(), foreign)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public)
	if err != nil {
		t.Fatal(err)
	}
	good = w.sign(t, token.TypeAccess, audience, nil)
	part := strings.Split(good, ".")
	payload, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		t.Fatal(err)
	}
	forge := func(algorithm jose.SignatureAlgorithm, with any, kid string, more map[jose.HeaderKey]any) string {
		options := (&jose.SignerOptions{ExtraHeaders: more}).WithType(token.TypeAccess).WithHeader("kid", kid)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: with}, options)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		text, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	unsigned := func(algorithm string) string {
		head, err := json.Marshal(map[string]string{"alg": algorithm, "typ": token.TypeAccess, "kid": key.KeyID})
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(head) + "." + part[1] + "."
	}
	changed := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), "order:1:read", "order:1:*", 1)))
	return good, map[string]string{
		"tampered with":             part[0] + "." + changed + "." + part[2],
		"alg none":                  unsigned("none"),
		"alg ES256, unsigned":       unsigned("ES256"),
		"HS256 with the public key": forge(jose.HS256, public, key.KeyID, nil),
		"an embedded jwk":           forge(jose.ES256, foreign, key.KeyID, map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: foreign.Public()}}),
		"a foreign x5c":             forge(jose.ES256, foreign, key.KeyID, map[jose.HeaderKey]any{"x5c": []string{base64.StdEncoding.EncodeToString(certificate)}}),
		"a jku":                     forge(jose.ES256, foreign, key.KeyID, map[jose.HeaderKey]any{"jku": "https://evil.example.com/keys"}),
		"an unknown crit":           forge(jose.ES256, key.Private, key.KeyID, map[jose.HeaderKey]any{"crit": []string{"x"}, "x": 1}),
		"a kid of 10 KB":            forge(jose.ES256, key.Private, strings.Repeat("k", 10<<10), nil),
		"a path as kid":             forge(jose.ES256, key.Private, "../../etc/passwd", nil),
		"of another audience":       w.sign(t, token.TypeAccess, audience, func(c map[string]any) { c["aud"] = otherAPI }),
		"expired":                   w.sign(t, token.TypeAccess, audience, func(c map[string]any) { c["exp"] = time.Now().Unix() }),
	}
}

// TestForgedTokensAreOfNoUseAnywhere shows each forgery to each door that looks at tokens; those of the Provide Ident API, which
// takes tokens of its own audience only, are in TestIdentDefectBearers.
func TestForgedTokensAreOfNoUseAnywhere(t *testing.T) {
	w := startOAuth(t, nil)
	good, bad := w.forged(t, api)
	if answer := w.introspect(t, good, ""); answer["active"] != true {
		t.Fatalf("the one that is not forged: %v", answer)
	}
	w.access(t, w.form(t, "/token", "", "", exchanging(good)))
	for name, text := range bad {
		t.Run(name, func(t *testing.T) {
			w.form(t, "/introspect", "rs", "rs-secret", values("token", text)).is(t, "introspected", 200, inactive)
			w.form(t, "/revoke", "alice", "secret", values("token", text)).is(t, "revoked", 200, "")
			w.form(t, "/introspect", "bearer", text, values("token", good)).
				is(t, "as a bearer", 401, problemOf("invalid_client", "the credentials were not accepted"))
			w.form(t, "/token", "", "", exchanging(text, "subject_token_type", typeAccess)).
				is(t, "exchanged", 400, tokenProblem("INVALID_REQUEST", "invalid_request", "the subject_token was not accepted"))
			w.form(t, "/token", "", "", values("grant_type", "refresh_token", "refresh_token", text, "audience", api)).
				is(t, "as a refresh token", 401, tokenProblem("UNAUTHORIZED", "invalid_grant", "the refresh token was not accepted"))
			client := w.form(t, "/token", "alice", text, values("grant_type", "client_credentials", "audience", api))
			login := w.get(t, "alice", text, asking())
			if len(text) > 12<<10 { // in base64 it is more than a header may have
				const tooLong = "the header is larger than 16 KiB"
				client.is(t, "as a client's secret", 431, tokenProblem("INVALID_REQUEST", "invalid_request", tooLong))
				login.is(t, "as a password", 431, `{"errors":[{"code":"INVALID_REQUEST","message":"`+tooLong+`"}]}`)
				return
			}
			client.is(t, "as a client's secret", 401, tokenProblem("UNAUTHORIZED", "invalid_client", "the credentials were not accepted"))
			login.is(t, "as a password", 401, `{"errors":[{"code":"UNAUTHORIZED","message":"the credentials were not accepted"}]}`)
		})
	}
	if got := w.objects.Calls(); got != 0 {
		t.Errorf("the API server was asked %d times", got)
	}
}

// TestJunkDoesNotReachTheAPIServer is the thousand strings that look like refresh tokens.
func TestJunkDoesNotReachTheAPIServer(t *testing.T) {
	w := startIdent(t, v1alpha1.ES256, nil)
	const refused = `{"errors":[{"code":"UNAUTHORIZED","message":"the refresh token was not accepted"}]}`
	refresh := w.refreshToken(t, api)
	part := strings.Split(refresh, ".")
	before := w.objects.Calls()
	for n := range 1000 {
		text := fmt.Sprintf("twr_0-%d-abcdefghijklmnopqrstuvwxyz.%s.%s", n, part[1], part[2])
		switch n % 6 {
		case 0:
			w.form(t, "/introspect", "rs", "rs-secret", values("token", text, "token_type_hint", "refresh_token")).is(t, "not sealed", 200, inactive)
		case 1:
			w.form(t, "/revoke", "alice", "secret", values("token", text)).is(t, "not sealed", 200, "")
		case 2:
			w.get(t, "<token>", text, asking()).is(t, "not sealed", 401, refused)
		case 3:
			r, err := http.NewRequest(http.MethodGet, w.url+"/token?"+asking().Encode(), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth("", text)
			w.do(t, r).is(t, "not sealed", 401, refused)
		case 4:
			w.json(t, http.MethodPost, "/api/v1/tokens", text, `{"grant_type":"refresh_token"}`).
				is(t, "not sealed", 401, message("the refresh token was not accepted"))
		default:
			w.form(t, "/token", "", "", values("grant_type", "refresh_token", "refresh_token", text, "audience", api)).
				is(t, "not sealed", 401, tokenProblem("UNAUTHORIZED", "invalid_grant", "the refresh token was not accepted"))
		}
	}
	if got := w.objects.Calls(); got != before {
		t.Errorf("the API server was asked %d times", got-before)
	}
}

// A provider that trusts our keys, as one for another service might, does not know what is revoked: a token that says it is
// ours is never shown to one.
func TestATokenOfOursIsNotVerifiedByAnother(t *testing.T) {
	w := startOAuth(t, nil)
	w.cluster.issuer = issuerName
	text := w.cluster.token(t, time.Hour, nil)
	if answer := w.get(t, "x", text, asking()); answer.status != http.StatusOK {
		t.Fatalf("the provider does not trust it, so that this shows nothing: %d %s", answer.status, answer.body)
	}
	w.form(t, "/token", "", "", exchanging(text)).
		is(t, "our name and another's signature", 400, tokenProblem("INVALID_REQUEST", "invalid_request", "the subject_token was not accepted"))
}

func TestJSONIsNoFormAtTheTokenEndpoint(t *testing.T) {
	w := startOAuth(t, nil)
	ask{method: "POST", contentType: "application/json", body: `{"grant_type":"client_credentials","audience":"` + api + `"}`, user: "bob", password: "hunter2"}.
		send(t, w.running).is(t, "RFC 6749 knows forms only", 400,
		tokenProblem("INVALID_REQUEST", "invalid_request", "the content type must be application/x-www-form-urlencoded"))
}

// A token without exp is good as long as its record.
func TestARecordedTokenIsActiveAsLongAsItsRecord(t *testing.T) {
	w := startOAuth(t, nil)
	const id = "0-7-abcdefghijklmnopqrstuvwxyz"
	text := w.sign(t, token.TypeAccess, api, func(c map[string]any) { delete(c, "exp"); c["jti"] = id })
	ask := func() reply { return w.form(t, "/introspect", "rs", "rs-secret", values("token", text)) }
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	record := fixture.AccessRecord(id, "alice", api, end)
	from := w.snapshots.Load()
	people := from.Providers[slices.IndexFunc(from.Providers, func(p *provider.Provider) bool { return p.Htpasswd != nil })]
	proof, err := identity.ProofOf(from, caller.Caller{Username: "alice", Provider: people.Name, Method: caller.MethodPassword}, identity.InRecord)
	if err != nil {
		t.Fatal(err)
	}
	record.Spec.Provider, record.Spec.Credential = v1alpha1.RecordedProvider{Name: proof.Provider, UID: proof.ProviderUID}, proof.Credential
	if err := w.objects.Create(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	got := fields(t, ask().body)
	if got["active"] != true || got["exp"] != json.Number(fmt.Sprint(end.Unix())) || got["jti"] != id {
		t.Fatalf("answer = %v", got)
	}
	hash := people.Htpasswd.Hashes["alice"]
	people.Htpasswd.Hashes["alice"] = people.Htpasswd.Hashes["bob"]
	ask().is(t, "her password has changed since", 200, inactive)
	w.form(t, "/token", "", "", exchanging(text)).
		is(t, "her password has changed since", 400, tokenProblem("INVALID_REQUEST", "invalid_request", "the subject_token was not accepted"))
	people.Htpasswd.Hashes["alice"] = hash
	w.form(t, "/revoke", "alice", "secret", values("token", text)).is(t, "it is hers", 200, "")
	ask().is(t, "it was taken back", 200, inactive)
}

func TestAServerWithoutAClusterStoresNoRevocations(t *testing.T) {
	w := startOAuth(t, func(options *Options, _ *Parts, _ *snapshot.Input) { options.Manifests = []string{"manifests"} })
	w.form(t, "/revoke", "alice", "secret", values("token", w.sign(t, token.TypeAccess, api, nil))).
		is(t, "the endpoint is not there", 404, problemOf("not_found", "there is nothing here"))
}
