package identity

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// TestForgedTokens has every way of getting in with a token that the cluster did not make for us. Offline is the way of
// verification that has nobody to ask.
func TestForgedTokens(t *testing.T) {
	cluster := newFakeCluster(t)
	stranger := newECDSA(t)
	public, err := x509.MarshalPKIXPublicKey(cluster.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	good := cluster.token(t, nil)
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	raw := func(header, payload, signature string) string {
		return encode([]byte(header)) + "." + payload + "." + signature
	}
	edited := func(edit func(map[string]any)) string { return cluster.token(t, edit) }
	kubernetes := func(key string, value any) string {
		return edited(func(c map[string]any) { c["kubernetes.io"].(map[string]any)[key] = value })
	}
	set := func(key string, value any) string { return edited(func(c map[string]any) { c[key] = value }) }
	drop := func(key string) string { return edited(func(c map[string]any) { delete(c, key) }) }
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}

	cases := map[string]struct {
		reason string
		token  string
	}{
		"alg none":                         {"RFC 8725, 3.1.", raw(`{"alg":"none","kid":"cluster-1"}`, payload, "")},
		"alg none with a signature":        {"RFC 8725, 3.1.", raw(`{"alg":"None","kid":"cluster-1"}`, payload, signature)},
		"HS256 with the public key in PEM": {"The public key is no shared secret.", sign(t, jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), "cluster-1", claimsOf(nil), nil)},
		"HS256 with the public key in DER": {"The public key is no shared secret.", sign(t, jose.HS256, public, "cluster-1", claimsOf(nil), nil)},
		"another key under the cluster's id": {
			"The signature counts, not the id.", sign(t, jose.ES256, stranger, "cluster-1", claimsOf(nil), nil)},
		"another key of its own id": {
			"Nobody vouches for it.", sign(t, jose.ES256, stranger, "mine", claimsOf(nil), nil)},
		"a key in the header": {
			"jwk in the header is the sender's word.", sign(t, jose.ES256, stranger, "", claimsOf(nil), &jose.SignerOptions{EmbedJWK: true})},
		"a key in the header under the cluster's id": {
			"jwk in the header is the sender's word.",
			sign(t, jose.ES256, stranger, "cluster-1", claimsOf(nil), (&jose.SignerOptions{}).WithHeader("jwk", jose.JSONWebKey{Key: stranger.Public(), KeyID: "cluster-1"}))},
		"a URL of keys in the header": {
			"jku and x5u in the header are the sender's word.",
			sign(t, jose.ES256, stranger, "cluster-1", claimsOf(nil), (&jose.SignerOptions{}).WithHeader("jku", "http://localhost/").WithHeader("x5u", "http://localhost/"))},
		"an unknown critical header": {
			"RFC 7515, 4.1.11.",
			sign(t, jose.ES256, cluster.key, "cluster-1", claimsOf(nil), (&jose.SignerOptions{}).WithCritical("new").WithHeader("new", 1))},
		"an RSA key": {"The key of this id is not RSA.", sign(t, jose.RS256, rsaKey, "cluster-1", claimsOf(nil), nil)},
		"a path for a key id": {
			"The id is looked up and nothing else.", sign(t, jose.ES256, stranger, "../../../etc/passwd", claimsOf(nil), nil)},
		"a key id of 10 KB": {
			"The same.", sign(t, jose.ES256, stranger, strings.Repeat("k", 10<<10), claimsOf(nil), nil)},
		"an edited payload": {
			"The signature covers it.", head + "." + encode([]byte(`{"sub":"system:serviceaccount:kube-system:admin","aud":["tokenwright"]}`)) + "." + signature},
		"an empty signature": {"There must be one.", head + "." + payload + "."},
		"another issuer":     {"Another cluster's token, whose key could be here.", set("iss", "https://other")},
		"no issuer":          {"The same.", drop("iss")},
		"another audience":   {"A token that somebody gave to another service.", set("aud", []string{"vault"})},
		"the API server's audience": {
			"The token that every pod has.", set("aud", []string{"https://kubernetes.default.svc"})},
		"no audience":          {"Tokens of old are good for all.", drop("aud")},
		"expired":              {"An hour ago.", set("exp", noon.Add(-time.Hour).Unix())},
		"expired past leeway":  {"Clocks differ by a minute at most.", set("exp", noon.Add(-leeway-time.Second).Unix())},
		"no expiry":            {"A token must end.", drop("exp")},
		"not yet valid":        {"In an hour.", set("nbf", noon.Add(time.Hour).Unix())},
		"should be renewed":    {"A token extended to a year counts for as long as was asked.", kubernetes("warnafter", noon.Add(-2*leeway).Unix())},
		"a subject of its own": {"Only ServiceAccounts have such tokens.", set("sub", "system:admin")},
		"another subject":      {"The subject and the account must agree.", set("sub", "system:serviceaccount:ci:admin")},
		"another namespace":    {"The subject and the namespace must agree.", kubernetes("namespace", "kube-system")},
		"no subject":           {"There must be one.", drop("sub")},
		"no ServiceAccount":    {"There must be one.", drop("kubernetes.io")},
		"a colon in the name": {"ci:x:y must not become the account y of namespace ci:x.", edited(func(c map[string]any) {
			c["sub"] = "system:serviceaccount:ci:x:y"
			c["kubernetes.io"] = map[string]any{"namespace": "ci:x", "serviceaccount": map[string]any{"name": "y"}}
		})},
		"a name that is empty": {"There must be one.", edited(func(c map[string]any) {
			c["sub"] = "system:serviceaccount:ci:"
			c["kubernetes.io"] = map[string]any{"namespace": "ci", "serviceaccount": map[string]any{"name": ""}}
		})},
		"claims of the wrong types": {"They cannot be read.", set("kubernetes.io", "x")},
		"two signatures":            {"The JSON form has no two dots, and is no compact form.", `{"payload":"` + strings.Repeat("a", 80) + `..","signatures":[{},{}]}`},
		"a million dots":            {"They are counted, not split.", strings.Repeat(".", 1_000_000)},
		"16 KiB of dots":            {"They are counted, not split.", strings.Repeat(".", maxToken)},
		"two dots and nothing":      {"It is no token.", strings.Repeat("a", 80) + ".."},
		"a token past 16 KiB":       {"It is not looked at.", strings.Repeat("a", maxToken) + ".b.c"},
		"deep JSON": {
			"It is bounded by the length.", encode([]byte(strings.Repeat(`{"a":`, 1500))) + "." + payload + "." + signature},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := New(Options{Cluster: cluster})
			got, err := a.Authenticate(context.Background(), verifiedBy(v1alpha1.VerifyOffline), withToken(tc.token), noon)
			if diff := cmp.Diff("bad", outcome(err)); diff != "" {
				t.Errorf("%s\n-want +got:\n%s\n%+v %v", tc.reason, diff, got, err)
			}
		})
	}
	if cluster.reviews != 0 {
		t.Errorf("the API server was asked %d times about forged tokens", cluster.reviews)
	}
	t.Run("the token that they are made of is good", func(t *testing.T) {
		if _, err := New(Options{Cluster: cluster}).Authenticate(context.Background(), verifiedBy(v1alpha1.VerifyOffline), withToken(good), noon); err != nil {
			t.Error(err)
		}
	})
}

func TestJunkCostsTheAPIServerNothing(t *testing.T) {
	cluster := newFakeCluster(t)
	a := New(Options{Cluster: cluster})
	s := verifiedBy(v1alpha1.VerifyOnlinePreferred)
	if _, err := a.Authenticate(context.Background(), s, withToken(cluster.token(t, nil)), noon); err != nil {
		t.Fatal(err)
	}
	fetches, reviews := cluster.fetches, cluster.reviews
	stranger := newECDSA(t)
	for i := range 1000 {
		token := sign(t, jose.ES256, stranger, fmt.Sprintf("kid-%d", i), claimsOf(nil), nil)
		_, err := a.Authenticate(context.Background(), s, withToken(token), noon)
		if diff := cmp.Diff("bad", outcome(err)); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	}
	if diff := cmp.Diff([]int{fetches, reviews}, []int{cluster.fetches, cluster.reviews}); diff != "" {
		t.Errorf("fetches and reviews -before +after:\n%s", diff)
	}
}

func FuzzAuthenticateToken(f *testing.F) {
	cluster := &fakeCluster{kid: "k", review: isAway}
	var err error
	if cluster.key, err = newFuzzKey(); err != nil {
		f.Fatal(err)
	}
	f.Add("eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJhdWQiOlsidG9rZW53cmlnaHQiXSwic3ViIjoieCJ9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add(strings.Repeat(".", 100))
	s := verifiedBy(v1alpha1.VerifyOffline)
	a := New(Options{Cluster: cluster})
	f.Fuzz(func(t *testing.T, password string) {
		if len(password) <= maxPassword {
			return
		}
		if got, err := a.Authenticate(context.Background(), s, withToken(password), noon); err == nil {
			t.Errorf("%+v got in", got)
		}
	})
}
