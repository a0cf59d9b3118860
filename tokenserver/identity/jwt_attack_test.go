package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/issuer"
)

func newEd25519(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// forgery is a token that must not get in, and the exact reason that the log gets.
type forgery struct {
	reason, token, want string
}

const (
	noToken      = "the password is neither a token nor short enough for a password"
	badSignature = "provider gh: oidc: verify token: failed to verify signature: the signature of the token is wrong"
)

func headerForgeries(t *testing.T, i *issuer.Issuer) map[string]forgery {
	t.Helper()
	stranger := newECDSA(t)
	own := i.Key()
	kid, claims := own.KeyID, i.GitHub(nil)
	public, err := x509.MarshalPKIXPublicKey(own.Public().Key)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(i.Token(t, claims), ".")
	payload, signature, _ := strings.Cut(rest, ".")
	encode := base64.RawURLEncoding.EncodeToString
	with := func(key any, kid string, edit func(*jose.SignerOptions) *jose.SignerOptions) string {
		return issuer.Sign(t, jose.ES256, key, kid, claims, edit(&jose.SignerOptions{}))
	}
	header := func(name string, value any) func(*jose.SignerOptions) *jose.SignerOptions {
		return func(o *jose.SignerOptions) *jose.SignerOptions { return o.WithHeader(jose.HeaderKey(name), value) }
	}
	return map[string]forgery{
		"alg none":                 {"RFC 8725, 3.1.", encode([]byte(`{"alg":"none","kid":"`+kid+`"}`)) + "." + payload + ".", noToken},
		"alg none and a signature": {"RFC 8725, 3.1.", encode([]byte(`{"alg":"nOnE","kid":"`+kid+`"}`)) + "." + payload + "." + signature, noToken},
		"an algorithm of nobody":   {"It is not known.", encode([]byte(`{"alg":"ES256K","kid":"`+kid+`"}`)) + "." + payload + "." + signature, noToken},
		"EdDSA":                    {"No API server takes it of an issuer.", edDSA(t, i), noToken},
		"HS256 with the key in PEM": {"The public key is no shared secret.",
			issuer.Sign(t, jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), kid, claims, nil), noToken},
		"HS256 with the key in DER": {"The public key is no shared secret.", issuer.Sign(t, jose.HS256, public, kid, claims, nil), noToken},
		"another algorithm of the same key": {"The key set says what the key is for.",
			encode([]byte(`{"alg":"ES384","kid":"`+kid+`"}`)) + "." + payload + "." + signature, badSignature},
		"another key of the same id": {"The signature counts, not the id.", issuer.Sign(t, jose.ES256, stranger, kid, claims, nil), badSignature},
		"another key of its own id":  {"Nobody vouches for it.", issuer.Sign(t, jose.ES256, stranger, "mine", claims, nil), "the issuer has no key of this id"},
		"a key in the header":        {"jwk is the sender's word.", with(stranger, kid, header("jwk", jose.JSONWebKey{Key: stranger.Public(), KeyID: kid})), badSignature},
		"a certificate in the header": {"x5c is the sender's word.",
			with(stranger, kid, header("x5c", []string{certificateOf(t, stranger)})), badSignature},
		"a URL of keys in the header": {"jku is the sender's word.", with(stranger, kid, header("jku", i.URL+"/jwks")), badSignature},
		"an unknown critical header": {"RFC 7515, 4.1.11.",
			with(own.Key, kid, func(o *jose.SignerOptions) *jose.SignerOptions { return o.WithCritical("new").WithHeader("new", 1) }),
			"the token has critical headers, of which none is known"},
		"a payload that is not encoded": {"RFC 7797 is critical, and signs other bytes.",
			with(own.Key, kid, func(o *jose.SignerOptions) *jose.SignerOptions { return o.WithCritical("b64").WithHeader("b64", true) }),
			"the token has critical headers, of which none is known"},
		"a kid of 10 KB":         {"Nobody is asked for it.", issuer.Sign(t, jose.ES256, stranger, strings.Repeat("k", 10<<10), claims, nil), "the key id of the token has more than 256 bytes"},
		"no kid and no only key": {"With several keys the header has to name one.", issuer.Sign(t, jose.ES256, own.Key, "", claims, nil), "the issuer has no key of this id"},
		"an edited payload":      {"The signature covers it.", head + "." + encode([]byte(strings.Replace(decoded(t, payload), "octo-org/octo-repo", "octo-org/other-re", 1))) + "." + signature, badSignature},
		"no signature":           {"There must be one.", head + "." + payload + ".", badSignature},
		"a claim twice":          {"Two readers could read two things.", head + "." + encode([]byte(strings.Replace(decoded(t, payload), "{", `{"iss":"`+i.URL+`",`, 1))) + "." + signature, "the claims of the token cannot be read"},
		"a token past 16 KiB":    {"It is not looked at.", i.Token(t, i.GitHub(map[string]any{"x": strings.Repeat("x", maxToken)})), "the password has more than 72 bytes"},
		"line breaks in a token": {"One token must not be many.", head + "." + payload + ".\n" + signature, noToken},
	}
}

// certificateOf is a certificate of the key by itself, as x5c has it.
func certificateOf(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func decoded(t *testing.T, payload string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func claimForgeries(t *testing.T, i *issuer.Issuer) map[string]forgery {
	t.Helper()
	set := func(name string, value any) string { return i.Token(t, i.GitHub(map[string]any{name: value})) }
	now := time.Now()
	const early = "go-jose/go-jose/jwt: validation failed, token not valid yet (nbf)"
	const late = "go-jose/go-jose/jwt: validation failed, token is expired (exp)"
	const nobody = "no provider accepts the audiences of the token"
	drop := func(name string) string {
		claims := i.GitHub(nil)
		delete(claims, name)
		return i.Token(t, claims)
	}
	return map[string]forgery{
		"another issuer":            {"Nobody trusts it.", set("iss", "https://evil.example.com"), nobody},
		"an issuer with a slash":    {"It is compared to the letter.", set("iss", i.URL+"/"), nobody},
		"an issuer in capitals":     {"It is compared to the letter.", set("iss", strings.ToUpper(i.URL)), nobody},
		"no issuer":                 {"The same.", drop("iss"), nobody},
		"another audience":          {"A token that somebody gave to another service.", set("aud", "vault"), nobody},
		"an audience that is alike": {"It is compared to the letter.", set("aud", issuer.Audience+"."), nobody},
		"no audience":               {"The same.", drop("aud"), nobody},
		"expired":                   {"An hour ago.", set("exp", now.Add(-time.Hour).Unix()), late},
		"no expiry":                 {"A token must end.", drop("exp"), "the token has no expiry"},
		"not yet valid":             {"In an hour.", set("nbf", now.Add(time.Hour).Unix()), early},
		"expiry in words":           {"It is no time.", set("exp", "tomorrow"), "the claims of the token cannot be read"},
		"another owner": {"The rule of the provider.", set("repository_owner_id", "66"),
			"provider gh: oidc: error evaluating claim validation expression: validation expression 'claims.repository_owner_id == '65'' failed: not of our organization"},
		"no owner": {"What is not there is not equal.", drop("repository_owner_id"),
			"provider gh: oidc: error evaluating claim validation expression: expression 'claims.repository_owner_id == '65'' resulted in error: no such key: repository_owner_id"},
		"an owner of another type": {"A number is not the text.", set("repository_owner_id", 65),
			"provider gh: oidc: error evaluating claim validation expression: validation expression 'claims.repository_owner_id == '65'' failed: not of our organization"},
		"another event": {"The rule of the provider.", set("event_name", "pull_request"),
			"provider gh: oidc: required claim event_name value does not match. Got = pull_request, want = push"},
		"a user who may not": {"The rule of the provider.", set("repository", "octo-org/secret-x"),
			"provider gh: oidc: error evaluating user info validation rule: validation expression '!user.username.startsWith('octo-org/secret')' failed: "},
		"no user":                {"Somebody must ask.", set("repository", ""), "provider gh: oidc: empty username via CEL expression is not allowed"},
		"a user who is a number": {"It is no name.", set("repository", 7), "provider gh: oidc: error evaluating username claim expression: username claim expression must return a string"},
		"a user with a line break": {"Two names that look alike.", set("repository", "octo\n"),
			"provider gh: the user: the name has characters that cannot be seen"},
		"a user of 1 KB":  {"No policy could name it.", set("repository", strings.Repeat("r", 1024)), "provider gh: the user: the name is longer than 256 bytes"},
		"a group of 1 KB": {"What is denied to it must be denied.", set("ref", strings.Repeat("r", 1024)), "provider gh: a group: the name is longer than 256 bytes"},
		"a uid of 1 KB":   {"No record could hold it.", set("repository_id", strings.Repeat("r", 1024)), "provider gh: the uid is not text of at most 256 bytes"},
		"a fact of 2 KB":  {"No record could hold it.", set("workflow_ref", strings.Repeat("r", 2048)), "provider gh: the value of a fact is not text of at most 1024 bytes"},
	}
}

// TestForgedTokensOfIssuers has every way of getting in with a token that the issuer did not make, or not for us.
func TestForgedTokensOfIssuers(t *testing.T) {
	i := issuer.New(t)
	i.Rotate(t, jose.ES256) // two keys
	s := trusting(t, i.Provider("", "gh", "gh:", actions))
	for _, table := range []map[string]forgery{headerForgeries(t, i), claimForgeries(t, i)} {
		for name, tc := range table {
			t.Run(name, func(t *testing.T) {
				got, err := prove(New(Options{}), s, tc.token)
				if err == nil {
					t.Fatalf("%s\n%+v got in", tc.reason, got)
				}
				if diff := cmp.Diff(ErrBadCredentials.Error()+": "+tc.want, strings.ReplaceAll(err.Error(), "\u00a0", " ")); diff != "" {
					t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
				}
			})
		}
	}
	t.Run("the token that they are made of is good", func(t *testing.T) {
		if _, err := prove(New(Options{}), s, i.Token(t, i.GitHub(nil))); err != nil {
			t.Error(err)
		}
	})
}

// TestNamesOfKubernetesAreNotMapped has an issuer that names the cluster's own users.
func TestNamesOfKubernetesAreNotMapped(t *testing.T) {
	i := issuer.New(t)
	s := trusting(t, i.Provider("", "gh", "system", func(s *v1alpha1.JWTProvider) {
		s.ClaimMappings.Groups = &v1alpha1.ClaimOrExpression{Claim: "groups"}
	}))
	const fault = ": names that start with system: belong to Kubernetes"
	cases := map[string]forgery{
		"a ServiceAccount": {"The prefix makes it ours.", i.Token(t, i.GitHub(map[string]any{"sub": ":serviceaccount:ci:builder"})), "provider gh: the user" + fault},
		"a group":          {"The same.", i.Token(t, i.GitHub(map[string]any{"groups": []string{":masters"}})), "provider gh: a group" + fault},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := prove(New(Options{}), s, tc.token)
			if err == nil {
				t.Fatalf("%+v got in", got)
			}
			if diff := cmp.Diff(ErrBadCredentials.Error()+": "+tc.want, err.Error()); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestClaimsElsewhereAreNotFetched has a token, signed by the issuer, that sends the server to a URL of its own
// (distributed claims, OpenID Connect Core 1.0, 5.6.2).
func TestClaimsElsewhereAreNotFetched(t *testing.T) {
	i, elsewhere := issuer.New(t), issuer.New(t)
	s := trusting(t, i.Provider("", "gh", "gh:", func(s *v1alpha1.JWTProvider) {
		s.ClaimMappings.Groups = &v1alpha1.ClaimOrExpression{Claim: "groups"}
	}))
	token := i.Token(t, i.GitHub(map[string]any{
		"_claim_names": map[string]any{"groups": "x"}, "_claim_sources": map[string]any{"x": map[string]any{"endpoint": elsewhere.URL + "/groups"}},
	}))
	_, err := prove(New(Options{}), s, token)
	want := ErrBadCredentials.Error() + `: provider gh: oidc: could not expand distributed claims: while getting distributed claim "groups": Get "` +
		elsewhere.URL + `/groups": claims that are elsewhere are not fetched`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if elsewhere.Requests() != 0 {
		t.Error("the server went there")
	}
}

// TestJunkDoesNotReachIssuers has tokens by the thousand: those for nobody cause no request, and those with key ids that
// do not exist one in the cool-down.
func TestJunkDoesNotReachIssuers(t *testing.T) {
	i := issuer.New(t)
	s := trusting(t, i.Provider("", "gh", "gh:", actions))
	stranger := newECDSA(t)
	a := New(Options{})
	kinds := map[string]struct {
		claims map[string]any
		kid    func(n int) string
	}{
		"of another issuer":   {i.GitHub(map[string]any{"iss": "https://evil.example.com"}), func(n int) string { return fmt.Sprint(n) }},
		"of another audience": {i.GitHub(map[string]any{"aud": "vault"}), func(n int) string { return fmt.Sprint(n) }},
		"expired":             {i.GitHub(map[string]any{"exp": 1}), func(n int) string { return fmt.Sprint(n) }},
		"long key ids":        {i.GitHub(nil), func(n int) string { return fmt.Sprintf("%0300d", n) }},
	}
	for name, junk := range kinds {
		for n := range 250 {
			if got := outcome(second(prove(a, s, issuer.Sign(t, jose.ES256, stranger, junk.kid(n), junk.claims, nil)))); got != "bad" {
				t.Fatalf("%s: %s", name, got)
			}
		}
	}
	if i.Requests() != 0 {
		t.Errorf("the issuer was asked %d times about tokens that are not its own", i.Requests())
	}
	if _, err := prove(a, s, i.Token(t, i.GitHub(nil))); err != nil {
		t.Fatal(err)
	}
	before, began := i.Requests(), time.Now()
	for n := range 1000 {
		if got := outcome(second(prove(a, s, issuer.Sign(t, jose.ES256, stranger, fmt.Sprint(n), i.GitHub(nil), nil)))); got != "bad" {
			t.Fatal(got)
		}
	}
	if most := 2 * int(time.Since(began)/keysCooldown+1); i.Requests()-before > most {
		t.Errorf("the issuer was asked %d times about key ids that do not exist, want at most %d", i.Requests()-before, most)
	}
}

func FuzzTokenOfAnIssuer(f *testing.F) {
	i := issuer.New(f)
	s := trusting(f, i.Provider("", "gh", "gh:", nil))
	a := New(Options{})
	good := i.Token(f, i.GitHub(nil))
	f.Add(good[:len(good)-2])
	f.Add("eyJhbGciOiJub25lIn0." + strings.Repeat("e30", 20) + ".")
	f.Fuzz(func(t *testing.T, password string) {
		if password == good || len(password) <= maxPassword {
			return
		}
		if got, err := prove(a, s, password); err == nil {
			t.Errorf("%+v got in", got)
		}
	})
}
