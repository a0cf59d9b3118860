package tokenserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenwright/tokenwright/test/issuer"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// forgedOf are tokens that somebody makes who has the public key of an issuer, a key of her own, and tokens of the issuer's that
// are good no more, or for somebody else.
func forgedOf(t testing.TB, of *issuer.Issuer) map[string]string {
	t.Helper()
	key, claims := of.Key(), of.GitHub(nil)
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, foreign.Public(), foreign)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public().Key)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(algorithm jose.SignatureAlgorithm, with any, kid string, name jose.HeaderKey, value any) string {
		options := &jose.SignerOptions{}
		if name != "" {
			options.WithHeader(name, value)
		}
		return issuer.Sign(t, algorithm, with, kid, claims, options)
	}
	changed := func(name string, value any) string { return of.Token(t, of.GitHub(map[string]any{name: value})) }
	part := strings.Split(of.Token(t, claims), ".")
	other := strings.Split(changed("repository", "octo-org/another"), ".")
	unsigned := func(algorithm string) string {
		head, err := json.Marshal(map[string]string{"alg": algorithm, "typ": "JWT", "kid": key.KeyID})
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(head) + "." + part[1] + "."
	}
	return map[string]string{
		"tampered with":             other[0] + "." + part[1] + "." + other[2],
		"alg none":                  unsigned("none"),
		"alg ES256, unsigned":       unsigned("ES256"),
		"HS256 with the public key": sign(jose.HS256, public, key.KeyID, "", nil),
		"a stranger's signature":    sign(jose.ES256, foreign, key.KeyID, "", nil),
		"an embedded jwk":           sign(jose.ES256, foreign, key.KeyID, "jwk", jose.JSONWebKey{Key: foreign.Public()}),
		"a foreign x5c":             sign(jose.ES256, foreign, key.KeyID, "x5c", []string{base64.StdEncoding.EncodeToString(certificate)}),
		"a jku":                     sign(jose.ES256, foreign, key.KeyID, "jku", of.URL+"/jwks"),
		"an unknown crit":           sign(jose.ES256, key.Key, key.KeyID, "crit", []string{"x"}),
		"a kid of 10 KB":            sign(jose.ES256, key.Key, strings.Repeat("k", 10<<10), "", nil),
		"a path as kid":             sign(jose.ES256, key.Key, "../../etc/passwd", "", nil),
		"of another audience":       changed("aud", "vault.example.com"),
		"of another issuer":         changed("iss", "https://issuer.example.com"),
		"expired":                   changed("exp", time.Now().Add(-5*time.Minute).Unix()),
		"not good yet":              changed("nbf", time.Now().Add(5*time.Minute).Unix()),
		"of a rule that forbids it": changed("repository_owner_id", "66"),
	}
}

// TestForgedTokensOfAnIssuer shows each forgery to both doors that take an issuer's tokens, and to them a good one that nobody
// trusts any more.
func TestForgedTokensOfAnIssuer(t *testing.T) {
	hub := issuer.New(t)
	w := startWithIssuers(t, hub, issuer.New(t))
	const refused = `{"errors":[{"code":"UNAUTHORIZED","message":"the credentials were not accepted"}]}`
	notAccepted := tokenProblem("INVALID_REQUEST", "invalid_request", "the subject_token was not accepted")
	login := func(text string) reply { return w.get(t, "x", text, asking()) }
	exchange := func(text string) reply {
		return w.form(t, "/token", "", "", exchanging(text, "subject_token_type", typeID))
	}
	good := hub.Token(t, hub.GitHub(nil))
	for name, answer := range map[string]reply{"a login": login(good), "an exchange": exchange(good)} {
		if answer.status != http.StatusOK {
			t.Fatalf("%s with a good one: %d %s", name, answer.status, answer.body)
		}
	}
	for name, text := range forgedOf(t, hub) {
		t.Run(name, func(t *testing.T) {
			exchange(text).is(t, "exchanged", 400, notAccepted)
			if len(text) > 12<<10 { // in base64 it is more than a header may have
				login(text).is(t, "as a password", 431, `{"errors":[{"code":"INVALID_REQUEST","message":"the header is larger than 16 KiB"}]}`)
				return
			}
			login(text).is(t, "as a password", 401, refused)
		})
	}
	w.replace(func(input *snapshot.Input) {
		input.Providers = slices.DeleteFunc(input.Providers, func(p *provider.Provider) bool { return p.Name == "github" })
	})
	login(good).is(t, "its provider was deleted", 401, refused)
	exchange(good).is(t, "its provider was deleted", 400, notAccepted)
}
