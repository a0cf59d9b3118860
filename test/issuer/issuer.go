// Package issuer is a real OpenID Connect issuer within a test: TLS, discovery, a key set that rotates, and tokens with
// claims like those of GitHub Actions and GitLab. It can go away and come back.
package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Audience is what the tokens are for.
const Audience = "registry.example.com"

// Issuer is an issuer that runs until the test ends.
type Issuer struct {
	// URL is its iss, and CA the certificate (PEM) that its server is verified by.
	URL, CA string

	mu       sync.Mutex
	keys     []jose.JSONWebKey
	signing  jose.JSONWebKey
	serial   int
	down     bool
	requests int
	describe func(description map[string]any)
	document []byte
}

// New starts an issuer with one key of ES256.
func New(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{}
	i.Rotate(t, jose.ES256)
	server := httptest.NewUnstartedServer(http.HandlerFunc(i.serve))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it are part of the tests
	server.StartTLS()
	t.Cleanup(server.Close)
	i.URL = server.URL
	i.CA = string(PEM(server.Certificate()))
	return i
}

// PEM spells a certificate as certificateAuthority has it.
func PEM(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests++
	if i.down {
		panic(http.ErrAbortHandler) // the connection breaks
	}
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration", "/elsewhere":
		description := map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/jwks"}
		if i.describe != nil {
			i.describe(description)
		}
		answer = description
	case "/jwks":
		if i.document != nil {
			_, _ = w.Write(i.document)
			return
		}
		answer = jose.JSONWebKeySet{Keys: i.keys}
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// Rotate makes a key, publishes it beside the others, and signs with it from now on.
func (i *Issuer) Rotate(t testing.TB, algorithm jose.SignatureAlgorithm) {
	t.Helper()
	private := newKey(t, algorithm)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.serial++
	kid := fmt.Sprintf("key-%d", i.serial)
	i.signing = jose.JSONWebKey{Key: private, KeyID: kid, Algorithm: string(algorithm), Use: "sig"}
	i.keys = append(i.keys, i.signing.Public())
}

func newKey(t testing.TB, algorithm jose.SignatureAlgorithm) crypto.Signer {
	t.Helper()
	curves := map[jose.SignatureAlgorithm]elliptic.Curve{jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521()}
	var private crypto.Signer
	var err error
	if curve, ok := curves[algorithm]; ok {
		private, err = ecdsa.GenerateKey(curve, rand.Reader)
	} else {
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// Withdraw takes all keys but the one that signs out of the key set.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = []jose.JSONWebKey{i.signing.Public()}
}

// Key is the key that signs.
func (i *Issuer) Key() jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.signing
}

// Down makes every connection break, or no longer.
func (i *Issuer) Down(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Describe changes the description that the issuer gives of itself; nil: no longer.
func (i *Issuer) Describe(change func(description map[string]any)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.describe = change
}

// Publish makes the document the key set, whatever it is.
func (i *Issuer) Publish(document []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.document = document
}

// Requests is how many there were.
func (i *Issuer) Requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests
}

// Token signs the claims, as the issuer does.
func (i *Issuer) Token(t testing.TB, claims map[string]any) string {
	t.Helper()
	key := i.Key()
	return Sign(t, jose.SignatureAlgorithm(key.Algorithm), key.Key, key.KeyID, claims, nil)
}

// Sign signs the claims with any key.
func Sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, kid string, claims map[string]any, options *jose.SignerOptions) string {
	t.Helper()
	if options == nil {
		options = &jose.SignerOptions{}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, options.WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Provider is an IdentityProvider that trusts the issuer: users are the subjects.
func (i *Issuer) Provider(namespace, name, prefix string, edit func(*v1alpha1.JWTProvider)) *v1alpha1.IdentityProvider {
	spec := &v1alpha1.JWTProvider{
		Issuer: v1alpha1.JWTIssuer{
			URL: v1alpha1.IssuerURL(i.URL), CertificateAuthority: i.CA, Audiences: []v1alpha1.Audience{Audience},
		},
		Prefix:        prefix,
		ClaimMappings: v1alpha1.ClaimMappings{Username: v1alpha1.ClaimOrExpression{Claim: "sub"}},
	}
	if edit != nil {
		edit(spec)
	}
	return &v1alpha1.IdentityProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-of-" + name), Generation: 1},
		Spec:       v1alpha1.IdentityProviderSpec{JWT: spec},
	}
}

// claims are those that every token has; more are laid over them.
func (i *Issuer) claims(subject string, more map[string]any) map[string]any {
	now := time.Now()
	claims := map[string]any{
		"iss": i.URL, "sub": subject, "aud": Audience, "jti": "0b1c2d3e",
		"iat": now.Unix(), "nbf": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
	maps.Copy(claims, more)
	return claims
}
