package enforce

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// wellKnown is where the metadata is (UMA 2.0, Grant, section 2).
const wellKnown = "/.well-known/uma2-configuration"

// discover reads the server's metadata. What the configuration says comes first.
func (e *Enforcer) discover(ctx context.Context) (Endpoints, times, error) {
	now := e.config.Clock()
	// Where things are changes with an installation: the old places are better than none.
	when := times{soon: now.Add(55 * time.Minute), due: now.Add(time.Hour), end: now.Add(24 * time.Hour)}
	found := e.config.Endpoints
	if found.complete(e.config.Introspect) {
		return found, when, nil
	}
	var metadata struct {
		Issuer        string `json:"issuer"`
		Token         string `json:"token_endpoint"`
		JWKS          string `json:"jwks_uri"`
		Permission    string `json:"permission_endpoint"`
		Resources     string `json:"resource_registration_endpoint"`
		Introspection string `json:"introspection_endpoint"`
	}
	err := e.authority.get(ctx, "read the metadata", strings.TrimSuffix(e.config.Issuer, "/")+wellKnown, "", &metadata)
	if err != nil {
		return Endpoints{}, when, err
	}
	if metadata.Issuer != e.config.Issuer {
		return Endpoints{}, when, fmt.Errorf("read the metadata: it is that of the issuer %.256q", metadata.Issuer)
	}
	said := Endpoints{metadata.Token, metadata.JWKS, metadata.Permission, metadata.Resources, metadata.Introspection}
	fields := said.byField()
	for field, into := range found.byField() {
		switch value := *fields[field]; {
		case *into != "" || value == "":
		case !sameOrigin(value, e.config.Issuer):
			return Endpoints{}, when, fmt.Errorf("read the metadata: the endpoint %s is not of the issuer's scheme and host", field)
		default:
			*into = value
		}
	}
	return found, when, nil
}

// complete says whether the metadata has nothing to add.
func (e Endpoints) complete(introspect bool) bool {
	return e.Token != "" && e.JWKS != "" && e.Permission != "" && e.Resources != "" && (e.Introspection != "" || !introspect)
}

// sameOrigin says whether two URLs are of one scheme, host and port: tokens are sent to the issuer and to nobody else.
func sameOrigin(a, b string) bool {
	one, err := url.Parse(a)
	if err != nil {
		return false
	}
	other, err := url.Parse(b)
	return err == nil && one.Scheme == other.Scheme && strings.EqualFold(one.Host, other.Host) && one.User == nil
}

// endpoint picks one of the endpoints.
func (e *Enforcer) endpoint(ctx context.Context, what string, pick func(Endpoints) string) (string, error) {
	all, err := e.endpoints.get(ctx)
	if err != nil {
		return "", err
	}
	if at := pick(all); at != "" {
		return at, nil
	}
	return "", fmt.Errorf("%s: the authorization server names no endpoint for it", what)
}
