package openid

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-jose/go-jose/v4"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Algorithms are what tokens may be signed with: all asymmetric ones that an API server takes (RFC 7518, 3.1). HS* and
// none are not among them, so that a public key is never taken for a shared secret.
func Algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512,
	}
}

// Verifier makes a user of a token, as an API server with the same configuration would. It never uses the network.
type Verifier struct {
	token authenticator.Token
}

// NewVerifier returns the verifier of a provider, or what Check says of it.
func NewVerifier(spec *v1alpha1.JWTProvider) (*Verifier, error) {
	if err := Check(spec); err != nil {
		return nil, err
	}
	config := authenticatorOf(spec)
	// The description is read by Source. What is left of the network is distributed claims, by which a token names URLs
	// that the server would have to fetch.
	config.Issuer.DiscoveryURL, config.Issuer.CertificateAuthority = "", ""
	algorithms := make([]string, 0, len(Algorithms()))
	for _, a := range Algorithms() {
		algorithms = append(algorithms, string(a))
	}
	token, err := oidc.New(context.Background(), oidc.Options{
		JWTAuthenticator: config, Compiler: compiler(), SupportedSigningAlgs: algorithms,
		KeySet: given{}, Client: &http.Client{Transport: noNetwork{}},
	})
	if err != nil {
		return nil, fmt.Errorf("make an authenticator: %w", err)
	}
	return &Verifier{token: token}, nil
}

// Verify checks signature, issuer, audience, times and rules, and returns the user without the prefix. The error may hold
// claims of the token, if one of the keys has signed it.
func (v *Verifier) Verify(ctx context.Context, token string, keys []jose.JSONWebKey) (user.Info, error) {
	response, ok, err := v.token.AuthenticateToken(context.WithValue(ctx, givenKeys{}, keys), token)
	switch {
	case err != nil:
		return nil, err
	case !ok || response == nil || response.User == nil:
		return nil, errors.New("the token is not of this issuer")
	}
	return response.User, nil
}

// given is the key set of the library: the keys that Verify was called with.
type given struct{}

type givenKeys struct{}

var errSignature = errors.New("the signature of the token is wrong")

// VerifySignature implements the library's KeySet. Only a key of the set counts: jwk, x5c, jku and x5u of the header are
// never looked at, and a header with crit is refused.
func (given) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, Algorithms())
	if err != nil || len(signed.Signatures) != 1 {
		return nil, errSignature
	}
	header := signed.Signatures[0].Protected
	if _, ok := header.ExtraHeaders["crit"]; ok {
		return nil, errSignature
	}
	keys, _ := ctx.Value(givenKeys{}).([]jose.JSONWebKey)
	for _, key := range keys {
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := signed.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errSignature
}

// noNetwork refuses every request.
type noNetwork struct{}

var errNoNetwork = errors.New("claims that are elsewhere are not fetched")

func (noNetwork) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNoNetwork }
