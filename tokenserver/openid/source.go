package openid

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

const (
	// fetchTimeout bounds a request to an issuer; callers set tighter bounds.
	fetchTimeout = 10 * time.Second
	// maxDocument bounds what an issuer may answer, in bytes.
	maxDocument = 1 << 20
	// maxRedirects is how often it may send us elsewhere.
	maxRedirects = 3
	// wellKnown is where the description is (OpenID Connect Discovery 1.0, section 4).
	wellKnown = "/.well-known/openid-configuration"
)

// Fault is why an issuer's keys cannot be had.
type Fault struct {
	// Message is for a status: it is the same each time the same thing is wrong, and names no address but those of the spec.
	Message string
	// Cause is for logs; may be nil.
	Cause error
}

// Error implements error.
func (f *Fault) Error() string {
	if f.Cause == nil {
		return f.Message
	}
	return f.Message + ": " + f.Cause.Error()
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// Source is where the keys of one issuer come from.
type Source struct {
	client         *http.Client
	issuer, lookAt string
}

// NewSource returns the source of the issuer's keys. Nothing is sent yet.
func NewSource(issuer v1alpha1.JWTIssuer) (*Source, error) {
	var roots *x509.CertPool // nil: those of the system
	if issuer.CertificateAuthority != "" {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(issuer.CertificateAuthority)) {
			return nil, errors.New("jwt.issuer.certificateAuthority holds no certificate that can be read")
		}
	}
	s := &Source{issuer: string(issuer.URL), lookAt: string(issuer.DiscoveryURL)}
	if s.lookAt == "" {
		s.lookAt = strings.TrimSuffix(s.issuer, "/") + wellKnown
	}
	s.client = &http.Client{
		Timeout: fetchTimeout, CheckRedirect: follow,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: fetchTimeout, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
			// Keys are fetched every few minutes: a connection that is kept open would be found dead each time.
			DisableKeepAlives: true,
		},
	}
	return s, nil
}

func follow(to *http.Request, via []*http.Request) error {
	if to.URL.Scheme != "https" || len(via) > maxRedirects {
		return errors.New("redirected to another place than https, or too often")
	}
	return nil
}

// Keys fetches the issuer's description and then its keys. The error is a *Fault.
func (s *Source) Keys(ctx context.Context) ([]jose.JSONWebKey, error) {
	body, err := s.get(ctx, s.lookAt, "the description at "+s.lookAt)
	if err != nil {
		return nil, err
	}
	var description struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &description); err != nil {
		return nil, &Fault{Message: "the description at " + s.lookAt + " cannot be read", Cause: err}
	}
	if description.Issuer != s.issuer {
		// Section 4.3: they must be equal to the letter.
		return nil, &Fault{Message: fmt.Sprintf("the description at %s names the issuer %.128q", s.lookAt, description.Issuer)}
	}
	where, err := url.Parse(description.JWKSURI)
	if err != nil || where.Scheme != "https" || where.Hostname() == "" {
		return nil, &Fault{Message: "the description at " + s.lookAt + " names no https URL of its keys"}
	}
	body, err = s.get(ctx, description.JWKSURI, "the keys that the description at "+s.lookAt+" names")
	if err != nil {
		return nil, err
	}
	keys, err := ReadKeys(body)
	if err != nil {
		return nil, &Fault{Message: "the keys that the description at " + s.lookAt + " names cannot be used", Cause: err}
	}
	return keys, nil
}

// get fetches one document.
func (s *Source) get(ctx context.Context, from, what string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return nil, &Fault{Message: what + " cannot be asked for", Cause: err}
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, &Fault{Message: what + " could not be fetched", Cause: err}
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	if response.StatusCode != http.StatusOK {
		return nil, &Fault{Message: what + " could not be fetched", Cause: fmt.Errorf("HTTP status %d", response.StatusCode)}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return nil, &Fault{Message: what + " could not be fetched", Cause: err}
	}
	if len(body) > maxDocument {
		return nil, &Fault{Message: fmt.Sprintf("%s have more than %d bytes", what, maxDocument)}
	}
	return body, nil
}
