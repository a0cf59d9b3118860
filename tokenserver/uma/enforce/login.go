package enforce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Login is how this server proves to the authorization server who it is: either a user of an IdentityProvider, or a ServiceAccount.
// Policies must grant it `uma_protection` for the audience.
type Login struct {
	// Username and Password are those of a user.
	Username, Password string
	// TokenFile has a ServiceAccount's token, as Kubernetes projects it into a pod. It is read each time, because it is renewed.
	TokenFile string
}

const (
	grantClient = "client_credentials"
	// accountName is the name that goes with a ServiceAccount's token.
	accountName = "serviceaccount"
	// scopeProtection is the scope of a PAT (UMA 2.0, Federated Authorization, section 1.3).
	scopeProtection = "uma_protection"
	// maxLifetime bounds how long a PAT is kept, whatever the server says.
	maxLifetime = 24 * time.Hour
	// lastMoments is how long before its end a PAT is not used any more: it has to arrive.
	lastMoments = 5 * time.Second
)

func (l Login) check() error {
	switch user := l.Username != "" && l.Password != ""; {
	case l == Login{}:
		return errors.New("one of config.Login and config.PAT must be given")
	case l.TokenFile != "" && (l.Username != "" || l.Password != ""), l.TokenFile == "" && !user:
		return errors.New("config.Login must have both of Username and Password, or TokenFile")
	}
	return nil
}

// readToken reads the ServiceAccount's token.
func (l Login) readToken() (string, error) {
	file, err := os.Open(l.TokenFile)
	if err != nil {
		return "", fmt.Errorf("read the ServiceAccount's token: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	token := strings.TrimSpace(string(text))
	if err != nil || !isToken(token) {
		return "", errors.New("read the ServiceAccount's token: the file does not hold one")
	}
	return token, nil
}

// prove puts who asks into a request: HTTP Basic as OAuth has it (RFC 6749, section 2.3.1). A ServiceAccount's token is a password
// that goes with any name. It could be exchanged, too, but that is one more right.
func (l Login) prove() (func(*http.Request), error) {
	name, secret := l.Username, l.Password
	if l.TokenFile != "" {
		var err error
		name = accountName
		if secret, err = l.readToken(); err != nil {
			return nil, err
		}
	}
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(name), url.QueryEscape(secret)) }, nil
}

// fetchPAT gets a protection API token, as the configuration says.
func (e *Enforcer) fetchPAT(ctx context.Context) (string, times, error) {
	const what = "get a protection API token"
	now := e.config.Clock()
	var token string
	var expires time.Time
	var err error
	if e.config.PAT != nil {
		token, expires, err = e.config.PAT(ctx)
	} else {
		token, expires, err = e.logIn(ctx, what, now)
	}
	if err != nil {
		return "", times{}, err
	}
	if !isToken(token) || !expires.After(now) {
		return "", times{}, fmt.Errorf("%s: what came is none, or has ended", what)
	}
	life := min(expires.Sub(now), maxLifetime)
	end := now.Add(life - min(lastMoments, life/10))
	return token, times{soon: now.Add(life * 8 / 10), due: end, end: end}, nil
}

func (e *Enforcer) logIn(ctx context.Context, what string, now time.Time) (string, time.Time, error) {
	at, err := e.endpoint(ctx, what, func(all Endpoints) string { return all.Token })
	if err != nil {
		return "", now, err
	}
	prove, err := e.config.Login.prove()
	if err != nil {
		return "", now, err
	}
	var answer struct {
		Token     string `json:"access_token"`
		ExpiresIn int64  `json:"expires_in"`
		Scope     string `json:"scope"`
	}
	form := url.Values{"grant_type": {grantClient}, "audience": {e.config.Audience}, "scope": {scopeProtection}}
	if err := e.authority.postForm(ctx, what, at, form, prove, &answer); err != nil {
		return "", now, err
	}
	if !strings.Contains(answer.Scope, scopeProtection) {
		return "", now, fmt.Errorf("%s: no policy grants %s for %s", what, scopeProtection, e.config.Audience)
	}
	return answer.Token, now.Add(time.Duration(min(answer.ExpiresIn, int64(maxLifetime/time.Second))) * time.Second), nil
}

// PAT returns the protection API token that tickets are asked for with, so that this server can register resources with it.
func (e *Enforcer) PAT(ctx context.Context) (string, error) { return e.pat.get(ctx) }
