package openid_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/issuer"
	"github.com/tokenwright/tokenwright/tokenserver/openid"
)

func TestKeysAreFetched(t *testing.T) {
	i := issuer.New(t)
	i.Rotate(t, jose.RS256)
	for name, at := range map[string]string{"where discovery says": "", "where the provider says": i.URL + "/elsewhere"} {
		t.Run(name, func(t *testing.T) {
			spec := i.Provider("", "a", "a:", nil).Spec.JWT.Issuer
			spec.DiscoveryURL = v1alpha1.IssuerURL(at)
			source, err := openid.NewSource(spec)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := source.Keys(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, key := range keys {
				ids = append(ids, key.KeyID)
			}
			if diff := cmp.Diff([]string{"key-1", "key-2"}, ids); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestFaultsOfIssuers has the messages that a status gets: they must be the same the next time.
func TestFaultsOfIssuers(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	describe := func(name string, value any) func(*issuer.Issuer, *v1alpha1.JWTIssuer) {
		return func(i *issuer.Issuer, _ *v1alpha1.JWTIssuer) {
			i.Describe(func(d map[string]any) { d[name] = value })
		}
	}
	publish := func(document string) func(*issuer.Issuer, *v1alpha1.JWTIssuer) {
		return func(i *issuer.Issuer, _ *v1alpha1.JWTIssuer) { i.Publish([]byte(document)) }
	}
	const description, keys = "the description at URL/.well-known/openid-configuration", "the keys that the description at URL/.well-known/openid-configuration names"
	cases := map[string]struct {
		reason string
		args   func(*issuer.Issuer, *v1alpha1.JWTIssuer)
		want   string
	}{
		"down":                  {"Nobody answers.", func(i *issuer.Issuer, _ *v1alpha1.JWTIssuer) { i.Down(true) }, description + " could not be fetched"},
		"a certificate of ours": {"Whoever is in between is not the issuer.", func(_ *issuer.Issuer, s *v1alpha1.JWTIssuer) { s.CertificateAuthority = "" }, description + " could not be fetched"},
		"not there":             {"The address is wrong.", func(i *issuer.Issuer, s *v1alpha1.JWTIssuer) { s.DiscoveryURL = v1alpha1.IssuerURL(i.URL + "/nowhere") }, "the description at URL/nowhere could not be fetched"},
		"no JSON": {"It is no description.", func(i *issuer.Issuer, s *v1alpha1.JWTIssuer) {
			i.Publish([]byte("<html>"))
			s.DiscoveryURL = v1alpha1.IssuerURL(i.URL + "/jwks")
		}, "the description at URL/jwks cannot be read"},
		"another issuer":    {"Discovery 1.0, 4.3.", describe("issuer", "https://evil.example.com"), description + ` names the issuer "https://evil.example.com"`},
		"an issuer of 1 KB": {"A status is no archive.", describe("issuer", strings.Repeat("x", 1024)), description + ` names the issuer "` + strings.Repeat("x", 128) + `"`},
		"an issuer with a slash": {"They must be equal to the letter.", func(i *issuer.Issuer, _ *v1alpha1.JWTIssuer) {
			i.Describe(func(d map[string]any) { d["issuer"] = i.URL + "/" })
		}, description + ` names the issuer "URL/"`},
		"keys without TLS":     {"Whoever is in between could sign.", describe("jwks_uri", plain.URL), description + " names no https URL of its keys"},
		"keys in a file":       {"The server's own files are no key sets.", describe("jwks_uri", "file:///etc/passwd"), description + " names no https URL of its keys"},
		"no keys named":        {"There is no place to look.", describe("jwks_uri", ""), description + " names no https URL of its keys"},
		"keys of nothing":      {"Nothing could be verified.", publish(`{"keys":[]}`), keys + " cannot be used"},
		"keys that are no set": {"Nothing could be verified.", publish(`[]`), keys + " cannot be used"},
		"a secret for a key":   {"A key set is public: everybody could sign.", publish(`{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}`), keys + " cannot be used"},
		"keys of 2 MiB":        {"They are not read to the end.", publish(strings.Repeat(" ", 2<<20) + `{}`), keys + " have more than 1048576 bytes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			i := issuer.New(t)
			spec := i.Provider("", "a", "a:", nil).Spec.JWT.Issuer
			tc.args(i, &spec)
			source, err := openid.NewSource(spec)
			if err != nil {
				t.Fatal(err)
			}
			_, err = source.Keys(context.Background())
			var fault *openid.Fault
			if !errors.As(err, &fault) {
				t.Fatalf("%s: got %v, want a fault", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, strings.ReplaceAll(fault.Message, i.URL, "URL")); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestIssuersDoNotLeadAway shows that no redirect leaves TLS, nor goes on for ever.
func TestIssuersDoNotLeadAway(t *testing.T) {
	reached := false
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer plain.Close()
	asked := 0
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if strings.HasPrefix(r.URL.Path, "/loop") {
			http.Redirect(w, r, server.URL+"/loop", http.StatusFound)
			return
		}
		http.Redirect(w, r, plain.URL, http.StatusFound)
	}))
	defer server.Close()
	authority := string(issuer.PEM(server.Certificate()))
	for name, path := range map[string]string{"to plain HTTP": "/plain", "in a circle": "/loop"} {
		t.Run(name, func(t *testing.T) {
			source, err := openid.NewSource(v1alpha1.JWTIssuer{URL: v1alpha1.IssuerURL(server.URL + path), CertificateAuthority: authority})
			if err != nil {
				t.Fatal(err)
			}
			asked = 0
			if _, err := source.Keys(context.Background()); err == nil || reached || asked > 4 {
				t.Errorf("error %v, plain HTTP reached %v, %d requests; want an error, not reached, at most 4", err, reached, asked)
			}
		})
	}
}

func TestReadKeys(t *testing.T) {
	i := issuer.New(t)
	private := i.Key()
	strong := private.Public()
	set := func(keys ...jose.JSONWebKey) string {
		document, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		return string(document)
	}
	edited := func(edit func(*jose.JSONWebKey)) jose.JSONWebKey {
		key := strong
		edit(&key)
		return key
	}
	unnamed := edited(func(k *jose.JSONWebKey) { k.KeyID = "" })
	const none = "the key set has no key that tokens may be signed with"
	cases := map[string]struct {
		reason, args, want string
		keys               int
	}{
		"a key":                        {"It is good.", set(strong), "", 1},
		"a key without algorithm":      {"Many issuers leave it out.", set(edited(func(k *jose.JSONWebKey) { k.Algorithm = "" })), "", 1},
		"a key for encryption":         {"It is not for signatures.", set(edited(func(k *jose.JSONWebKey) { k.Use = "enc" })), none, 0},
		"a key for HS256":              {"Nobody may sign with it.", set(edited(func(k *jose.JSONWebKey) { k.Algorithm = "HS256" })), none, 0},
		"a private key":                {"Everybody could sign.", set(private), none, 0},
		"a key without a name":         {"It is the only one.", set(unnamed), "", 1},
		"keys without and with a name": {"It is not clear which one is meant.", set(unnamed, strong), "", 1},
		"a key that cannot be read":    {"The others are used.", strings.Replace(set(strong), `{"keys":[`, `{"keys":[{"kty":"EC","crv":"P-256","kid":"x","x":"AA","y":"AA"},7,`, 1), "", 1},
		"a short RSA key": {"RFC 7518, 3.3.", `{"keys":[{"kty":"RSA","kid":"a","e":"AQAB","n":"` +
			strings.Repeat("_", 170) + `8"}]}`, none, 0},
		"257 keys": {"The rest is not looked at.", set(slices.Repeat([]jose.JSONWebKey{strong}, 257)...), "", 256},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			keys, err := openid.ReadKeys([]byte(tc.args))
			said := ""
			if err != nil {
				said = err.Error()
			}
			if said != tc.want || len(keys) != tc.keys {
				t.Errorf("%s\ngot %d keys and %q, want %d and %q", tc.reason, len(keys), said, tc.keys, tc.want)
			}
		})
	}
}

func FuzzReadKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"x","x":"AA","y":"AA"}]}`))
	f.Add(bytes.Repeat([]byte("["), 1000))
	f.Fuzz(func(t *testing.T, document []byte) {
		keys, err := openid.ReadKeys(document)
		if err == nil && len(keys) == 0 {
			t.Error("neither keys nor an error")
		}
		for _, key := range keys {
			if !key.IsPublic() {
				t.Errorf("%v is not public", key.KeyID)
			}
		}
	})
}
