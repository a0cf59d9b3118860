package identity

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/openid"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const (
	// tokenProvedFor is how long a good token need not be verified again, at most until it expires. What ends it at once
	// is a change of the provider.
	tokenProvedFor = time.Minute
	// maxKeyID is the longest kid that is looked up; real ones have some forty bytes.
	maxKeyID = 256
)

// issuedToken is a token that has been taken apart and not been verified.
type issuedToken struct {
	text  string
	keyID string
	// claimed must be used for nothing but to find out who could verify the token, and to refuse it.
	claimed issuedClaims
}

type issuedClaims struct {
	jwt.Claims
	// AuthTime is a number where the issuer says when its user proved who they are (OpenID Connect Core 1.0, section 2).
	AuthTime any `json:"auth_time"`
}

// parseIssuedToken takes a token apart. What no issuer could have signed is refused before anybody is asked for keys.
func parseIssuedToken(text string) (issuedToken, error) {
	parsed, err := jwt.ParseSigned(text, openid.Algorithms())
	if err != nil || len(parsed.Headers) != 1 || !canonical(text) {
		return issuedToken{}, refuse("the password is neither a token nor short enough for a password")
	}
	t := issuedToken{text: text, keyID: parsed.Headers[0].KeyID}
	if err := parsed.UnsafeClaimsWithoutVerification(&t.claimed); err != nil {
		return issuedToken{}, refuse("the claims of the token cannot be read")
	}
	_, critical := parsed.Headers[0].ExtraHeaders["crit"]
	switch {
	case critical:
		return issuedToken{}, refuse("the token has critical headers, of which none is known") // RFC 7515, 4.1.11
	case len(t.keyID) > maxKeyID:
		return issuedToken{}, refuse("the key id of the token has more than %d bytes", maxKeyID)
	}
	return t, nil
}

// token proves a caller by a token. Its issuer and audience, which are not verified yet, say which provider is asked, and
// no other is: the provider of the issuer, or that of the cluster's ServiceAccounts.
func (a *Authenticator) token(ctx context.Context, s *snapshot.Snapshot, text string, now time.Time) (caller.Caller, error) {
	if !slices.ContainsFunc(s.Providers, func(p *provider.Provider) bool { return p.JWT != nil }) {
		return a.serviceAccount(ctx, s, text, now)
	}
	t, err := parseIssuedToken(text)
	if err != nil {
		return caller.Caller{}, err
	}
	known, meant := issuersOf(s.Providers, t.claimed)
	switch {
	case !known || a.accounts.signs(s, t.claimed):
		return a.serviceAccount(ctx, s, text, now)
	case len(meant) == 0:
		return caller.Caller{}, refuse("no provider accepts the audiences of the token")
	case len(meant) > 1:
		return caller.Caller{}, refuse("the token is for the audiences of several providers, which may differ in who it speaks of")
	}
	return a.issued(ctx, meant[0], t, now)
}

// issuersOf returns the providers whose issuer and audience a token claims, and whether any has its issuer.
func issuersOf(providers []*provider.Provider, claimed issuedClaims) (known bool, meant []*provider.Provider) {
	for _, p := range providers {
		if p.JWT == nil || string(p.JWT.Issuer.URL) != claimed.Issuer {
			continue
		}
		known = true
		if slices.ContainsFunc(p.JWT.Issuer.Audiences, func(a v1alpha1.Audience) bool { return claimed.Audience.Contains(string(a)) }) {
			meant = append(meant, p)
		}
	}
	return known, meant
}

// signs says whether a token claims to be that of a ServiceAccount of this cluster, for a provider of them. It goes there
// also if a provider of type jwt names the cluster's own issuer, which would not know what has been deleted.
func (a *accounts) signs(s *snapshot.Snapshot, claimed issuedClaims) bool {
	return a.keys != nil && a.keys.last().issuer == claimed.Issuer &&
		strictest(s.Providers, accountClaims{Claims: claimed.Claims}) != nil
}

// issued proves a caller by the token of an external issuer.
func (a *Authenticator) issued(ctx context.Context, p *provider.Provider, t issuedToken, now time.Time) (caller.Caller, error) {
	if t.claimed.Expiry == nil {
		return caller.Caller{}, refuse("the token has no expiry")
	}
	if err := t.claimed.ValidateWithLeeway(jwt.Expected{Time: now}, leeway); err != nil {
		return caller.Caller{}, refuse("%w", err)
	}
	issuer := a.issuers.of(p)
	id := a.seal.of("jwt", p.UID, issuer.serial, t.text)
	if who, ok := a.issuers.proved.get(id, now); ok {
		who.AuthTime = t.authTime(now)
		return who, nil
	}
	if issuer.fault != nil {
		return caller.Caller{}, unavailable(issuer.fault)
	}
	keys, err := issuer.find(ctx, t.keyID, now)
	switch {
	case errors.Is(err, errUnknownKey):
		return caller.Caller{}, refuse("%w", err)
	case err != nil:
		return caller.Caller{}, unavailable(err)
	}
	proved, err := issuer.verifier.Verify(ctx, t.text, keys)
	if err != nil {
		// Claims may be in it, of a token that the issuer has signed: which rule was broken is what a person has to know.
		return caller.Caller{}, refuse("provider %s: %.512s", p.Name, err.Error())
	}
	who, err := mapped(p, proved)
	if err != nil {
		return caller.Caller{}, err
	}
	who.AuthTime = t.authTime(now)
	if until := min(tokenProvedFor, t.claimed.Expiry.Time().Sub(now)); until > 0 {
		a.issuers.proved.put(id, who, now.Add(until), now)
	}
	return who, nil
}

// mapped is the caller that the provider makes of a user of its issuer.
func mapped(p *provider.Provider, proved user.Info) (caller.Caller, error) {
	username, groups, fault := p.MappedNames(proved.GetName(), proved.GetGroups())
	if fault == "" {
		fault = provider.MappedFault(proved.GetUID(), proved.GetExtra())
	}
	if fault != "" {
		return caller.Caller{}, refuse("provider %s: %s", p.Name, fault)
	}
	return caller.Caller{
		Username: username, UID: proved.GetUID(), Groups: append(groups, caller.GroupAuthenticated), Extra: proved.GetExtra(),
		Provider: p.Name, Method: caller.MethodOIDC,
	}, nil
}

// authTime is when the issuer's user proved who they are, if the token says so, and else now. The token must have been
// verified.
func (t issuedToken) authTime(now time.Time) time.Time {
	seconds, ok := t.claimed.AuthTime.(float64)
	if !ok || seconds < 0 || seconds >= float64(now.Unix()) {
		return now
	}
	return time.Unix(int64(seconds), 0)
}
