package provider

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Bounds of what a token may say of a caller. They are those that a record of a token has room for.
const (
	maxUID         = 256
	maxExtraValues = 64
	maxExtraValue  = 1024
)

// publicIssuers are hosts whose issuers give a token to whoever asks, for any audience: without a rule everybody in the
// world would be a user. The schema of IdentityProvider has the same list.
var publicIssuers = []string{
	"accounts.google.com", "agent.buildkite.com", "api.bitbucket.org", "app.terraform.io", "appleid.apple.com", "gitlab.com",
	"login.microsoftonline.com", "oauth2.sigstore.dev", "oidc.circleci.com", "oidc.codefresh.io", "oidc.vercel.com",
	"token.actions.githubusercontent.com",
}

func (p *Provider) addJWT(spec *v1alpha1.JWTProvider) []Problem {
	if message := jwtFault(spec); message != "" {
		return []Problem{fatal(v1alpha1.ReasonInvalidSpec, "%s", message)}
	}
	p.Prefix, p.JWT = spec.Prefix, spec.DeepCopy()
	return nil
}

// jwtFault says what is wrong with the spec, or nothing. It repeats what the schema says where an object that did not
// pass through it would let in more than it should. Expressions and certificates are read by package openid.
func jwtFault(spec *v1alpha1.JWTProvider) string {
	issuer, message := issuerURL("jwt.issuer.url", spec.Issuer.URL)
	if message != "" {
		return message
	}
	if spec.Issuer.DiscoveryURL != "" {
		if _, message := issuerURL("jwt.issuer.discoveryURL", spec.Issuer.DiscoveryURL); message != "" {
			return message
		}
	}
	switch {
	case spec.Prefix == "":
		return "jwt.prefix must be given"
	case len(spec.Issuer.Audiences) == 0 || slices.Contains(spec.Issuer.Audiences, ""):
		return "jwt.issuer.audiences must name at least one audience, and no empty one"
	case slices.Contains(publicIssuers, strings.ToLower(issuer.Hostname())) && len(spec.ClaimValidationRules) == 0:
		return "jwt.claimValidationRules must have at least one rule: the issuer gives tokens to everybody"
	}
	return prefixFault("jwt", spec.Prefix)
}

// issuerURL reads the URL of a field, or says what is wrong with it.
func issuerURL(field string, text v1alpha1.IssuerURL) (*url.URL, string) {
	u, err := url.Parse(string(text))
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(string(text), "?#") {
		return nil, field + " must be an https URL with a host and without user, query and fragment"
	}
	return u, ""
}

// MappedNames returns the names of a user and of its groups with the prefix, as a token was mapped to them, or says what
// is wrong with one. A token of which one group cannot be used is no use at all: without its groups a user would escape
// what is denied to them. Groups without a name are none. The fault holds nothing of the token.
func (p *Provider) MappedNames(user string, groups []string) (username string, prefixed []string, fault string) {
	if user == "" {
		return "", nil, "the name of the user is empty"
	}
	if why := spellingFault(p.Prefix, user); why != "" {
		return "", nil, "the user: " + why
	}
	for _, group := range groups {
		if group == "" || slices.Contains(prefixed, p.Prefix+group) {
			continue
		}
		if why := spellingFault(p.Prefix, group); why != "" {
			return "", nil, "a group: " + why
		}
		if len(prefixed) >= maxGroups {
			return "", nil, "the user has more than " + strconv.Itoa(maxGroups) + " groups"
		}
		prefixed = append(prefixed, p.Prefix+group)
	}
	slices.Sort(prefixed)
	return p.Prefix + user, prefixed, ""
}

// MappedFault says what is wrong with further facts about a user, or nothing.
func MappedFault(uid string, extra map[string][]string) string {
	if len(uid) > maxUID || !utf8.ValidString(uid) {
		return "the uid is not text of at most " + strconv.Itoa(maxUID) + " bytes"
	}
	for _, values := range extra {
		if len(values) > maxExtraValues {
			return "a fact has more than " + strconv.Itoa(maxExtraValues) + " values"
		}
		for _, value := range values {
			if len(value) > maxExtraValue || !utf8.ValidString(value) {
				return "the value of a fact is not text of at most " + strconv.Itoa(maxExtraValue) + " bytes"
			}
		}
	}
	return ""
}
