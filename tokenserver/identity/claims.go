package identity

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// leeway is by how much the API server's clock and ours may differ.
const leeway = time.Minute

// accountAlgorithms are what an API server signs ServiceAccount tokens with. HS* and none are not among them, so that a
// public key is never taken for a shared secret.
var accountAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512}

// accountClaims are the claims of a ServiceAccount token (KEP-1205, KEP-4193).
type accountClaims struct {
	jwt.Claims
	Kubernetes struct {
		Namespace      string           `json:"namespace"`
		ServiceAccount boundObject      `json:"serviceaccount"`
		Pod            *boundObject     `json:"pod"`
		Node           *boundObject     `json:"node"`
		WarnAfter      *jwt.NumericDate `json:"warnafter"`
	} `json:"kubernetes.io"`
}

type boundObject struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// accountToken is a token that has been taken apart and not been verified.
type accountToken struct {
	parsed *jwt.JSONWebToken
	// claimed must be used for nothing but to find out who could verify the token.
	claimed accountClaims
}

func parseAccountToken(token string) (accountToken, error) {
	parsed, err := jwt.ParseSigned(token, accountAlgorithms)
	if err != nil || len(parsed.Headers) != 1 || !canonical(token) {
		return accountToken{}, refuse("the password is neither a token nor short enough for a password")
	}
	t := accountToken{parsed: parsed}
	if err := parsed.UnsafeClaimsWithoutVerification(&t.claimed); err != nil {
		return accountToken{}, refuse("the claims of the token cannot be read")
	}
	return t, nil
}

// canonical says whether the parts are base64url as RFC 7515 writes it. Decoders pass over line breaks and spare bits:
// one token could be written in any number of ways, and each would be a new question to the API server.
func canonical(token string) bool {
	strict := base64.RawURLEncoding.Strict()
	for part := range strings.SplitSeq(token, ".") {
		if _, err := strict.DecodeString(part); err != nil || strings.ContainsAny(part, "\r\n") {
			return false
		}
	}
	return true
}

// keyID is the kid of the header; jwk, x5c, jku and x5u in it are never looked at.
func (t accountToken) keyID() string { return t.parsed.Headers[0].KeyID }

// verify checks signature, issuer, audience and times, and returns the caller. The issuer is the one that the API server
// names first: after a change of issuer the tokens of the old one are refused until they are renewed, which kubelets do
// within the hour.
func (t accountToken) verify(issuer string, keys []jose.JSONWebKey, audiences []string, now time.Time) (caller.Caller, error) {
	claims, ok := t.signed(keys)
	if !ok {
		return caller.Caller{}, refuse("the signature of the token is wrong")
	}
	if claims.Expiry == nil {
		return caller.Caller{}, refuse("the token has no expiry")
	}
	expected := jwt.Expected{Issuer: issuer, AnyAudience: audiences, Time: now}
	if err := claims.ValidateWithLeeway(expected, leeway); err != nil {
		return caller.Caller{}, refuse("%w", err)
	}
	// An API server may extend tokens to a year for clients that do not read them anew. It watches those accounts itself;
	// without asking it, the life that was asked for is what counts.
	if after := claims.Kubernetes.WarnAfter; after != nil && now.After(after.Time().Add(leeway)) {
		return caller.Caller{}, refuse("the token should have been renewed")
	}
	return claims.caller(now)
}

// signed returns the claims if one of the keys has signed them.
func (t accountToken) signed(keys []jose.JSONWebKey) (accountClaims, bool) {
	for _, key := range keys {
		if key.Algorithm != "" && key.Algorithm != t.parsed.Headers[0].Algorithm {
			continue
		}
		var claims accountClaims
		if t.parsed.Claims(key.Key, &claims) == nil {
			return claims, true
		}
	}
	return accountClaims{}, false
}

// caller is who the token speaks of, in the words that a TokenReview would use.
func (c accountClaims) caller(now time.Time) (caller.Caller, error) {
	namespace, account := c.Kubernetes.Namespace, c.Kubernetes.ServiceAccount
	username := caller.ServiceAccountUser(namespace, account.Name)
	who := caller.Caller{
		Username: username, UID: account.UID, Groups: caller.ServiceAccountGroups(namespace),
		Extra: c.extra(), Method: caller.MethodServiceAccount, AuthTime: now,
	}
	if ns, name := who.ServiceAccount(); c.Subject != username || ns != namespace || name != account.Name || ns == "" {
		return caller.Caller{}, refuse("the subject of the token is not its ServiceAccount")
	}
	return who, nil
}

// extra has the keys that the API server gives (k8s.io/apiserver/pkg/authentication/serviceaccount).
func (c accountClaims) extra() map[string][]string {
	extra := map[string][]string{}
	add := func(key, value string) {
		if value != "" {
			extra["authentication.kubernetes.io/"+key] = []string{value}
		}
	}
	if c.ID != "" {
		add("credential-id", "JTI="+c.ID)
	}
	if pod := c.Kubernetes.Pod; pod != nil {
		add("pod-name", pod.Name)
		add("pod-uid", pod.UID)
	}
	if node := c.Kubernetes.Node; node != nil {
		add("node-name", node.Name)
		add("node-uid", node.UID)
	}
	if len(extra) == 0 {
		return nil
	}
	return extra
}

// meant says whether the token claims one of the audiences.
func (c accountClaims) meant(audiences []string) bool {
	return slices.ContainsFunc(audiences, c.Audience.Contains)
}
