package enforce

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Mode says what becomes of requests for paths that are not configured.
type Mode int

const (
	// Enforcing refuses them. It is the zero value.
	Enforcing Mode = iota
	// Permissive lets them pass. Paths that are configured are protected all the same.
	Permissive
	// Disabled lets everything pass, and looks at no token.
	Disabled
)

// Defaults of Config.
const (
	DefaultTimeout    = 5 * time.Second
	DefaultLifetime   = 30 * time.Second
	DefaultMaxEntries = 1000
)

// Config is what an Enforcer goes by. Issuer, Audience, Paths, and Login or PAT are required.
type Config struct {
	// Issuer is the authorization server's name: the iss of its tokens, and the as_uri of challenges. Its metadata is looked for
	// below it, at /.well-known/uma2-configuration.
	Issuer string
	// Audience is this resource server: the aud of its tokens.
	Audience string
	// Realm is named in challenges. Empty: the audience.
	Realm string

	// Login gets the protection API token (PAT), with which tickets are asked for.
	Login Login
	// PAT gets it in another way; then Login must be empty. The enforcer keeps the token until shortly before it expires, and calls
	// PAT once at a time, however many requests wait.
	PAT func(ctx context.Context) (token string, expires time.Time, err error)

	// Endpoints are where the authorization server is, as far as its metadata shall not say so.
	Endpoints Endpoints
	// HTTPClient is how it is reached; nil: http.DefaultTransport. Redirects are never followed: they would take a token elsewhere.
	HTTPClient *http.Client
	// PlainHTTP lets endpoints that are not on this machine be http. Whoever can change what passes there can forge tokens.
	PlainHTTP bool
	// Timeout bounds what a request waits for one answer of the authorization server. 0: DefaultTimeout.
	Timeout time.Duration

	// Mode is Enforcing, if nothing is said.
	Mode Mode
	// Paths are what is protected; at most 1000.
	Paths []Path
	// Namespace is where resources that are found by Name or ByURI must be: their ids must begin with it and a slash. Empty: anywhere
	// at the audience. Every resource server of the audience can register a resource of any name; Path.Resource depends on none.
	Namespace string
	// Cache bounds what is remembered.
	Cache Cache
	// Introspect asks the authorization server about each token, beside verifying it, so that one that was revoked is refused
	// within Cache.Lifetime and not when it ends. It needs Login, and a rule of type oauth with the action introspect.
	Introspect bool

	// Claims are what this server says of a request when it asks for a ticket; policies see them in request.claims. What comes from
	// the client and was not checked must not be among them. They are at most 32, and 4 KiB.
	Claims func(*http.Request) map[string][]string
	// Report is told why requests could not be decided. No error holds a token or a secret.
	Report func(context.Context, error)
	// Clock is time.Now, if nothing is said.
	Clock func() time.Time
}

// Cache bounds each of the two things that are remembered: tokens that were verified, and resources that were looked up.
type Cache struct {
	// Lifetime is how long; 0: DefaultLifetime. A token is never remembered longer than it lives.
	Lifetime time.Duration
	// MaxEntries is how many; 0: DefaultMaxEntries. Those that were not used for longest go first.
	MaxEntries int
}

// Endpoints are URLs of the authorization server. Empty ones are those that its metadata names, which must be of the issuer's scheme
// and host.
type Endpoints struct {
	Token, JWKS, Permission, Resources, Introspection string
}

// complete fills in the defaults, and says what is wrong.
func (c *Config) complete() error {
	if c.Realm == "" {
		c.Realm = c.Audience
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Cache.Lifetime <= 0 {
		c.Cache.Lifetime = DefaultLifetime
	}
	if c.Cache.MaxEntries <= 0 {
		c.Cache.MaxEntries = DefaultMaxEntries
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{}
	}
	return errors.Join(c.checkNames(), c.checkLogin(), c.checkEndpoints())
}

func (c *Config) checkNames() error {
	var problems []error
	if c.Audience == "" {
		problems = append(problems, errors.New("config.Audience is missing"))
	}
	for field, value := range map[string]string{"Issuer": c.Issuer, "Realm": c.Realm} {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			problems = append(problems, fmt.Errorf("config.%s must be of printable ASCII characters: it is a part of a header", field))
		}
	}
	if c.Mode < Enforcing || c.Mode > Disabled {
		problems = append(problems, fmt.Errorf("config.Mode must be Enforcing, Permissive or Disabled, and is %d", c.Mode))
	}
	return errors.Join(problems...)
}

func (c *Config) checkLogin() error {
	switch {
	case c.PAT != nil && c.Login != (Login{}):
		return errors.New("only one of config.Login and config.PAT may be given")
	case c.PAT != nil && c.Introspect:
		return errors.New("config.Introspect needs Login: a PAT does not prove who asks")
	case c.PAT == nil:
		return c.Login.check()
	}
	return nil
}

func (c *Config) checkEndpoints() error {
	problems := []error{checkURL("config.Issuer", c.Issuer, c.PlainHTTP)}
	for field, value := range c.Endpoints.byField() {
		if *value != "" {
			problems = append(problems, checkURL("config.Endpoints."+field, *value, c.PlainHTTP))
		}
	}
	return errors.Join(problems...)
}

func (e *Endpoints) byField() map[string]*string {
	return map[string]*string{
		"Token": &e.Token, "JWKS": &e.JWKS, "Permission": &e.Permission, "Resources": &e.Resources, "Introspection": &e.Introspection,
	}
}

// checkURL says whether tokens may be sent to a URL, and keys taken from it.
func checkURL(field, text string, plain bool) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%s must be an https URL without user and fragment", field)
	}
	if u.Scheme == "http" && !plain && !loopback(u.Hostname()) {
		return fmt.Errorf("%s must be https, unless PlainHTTP is set", field)
	}
	return nil
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }
