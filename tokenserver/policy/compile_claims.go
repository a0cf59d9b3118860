package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// maxClaimValue is the size of one claim's value in bytes, without white space that means nothing.
const maxClaimValue = 4096

// ownClaims begins the names of the server's own claims.
const ownClaims = "tokenwright.dev/"

// registeredClaims are those that the server sets itself, beside its own; a policy that set them would forge what verifiers rely
// on.
func registeredClaims() []string {
	return []string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "access", "nats", "authorization", "permissions", "scope",
		"client_id", "typ", "cnf", "act", "status", "auth_time",
	}
}

// isRegistered says whether some reader takes the name for a claim that the server sets itself. Go's encoding/json, and so many
// a verifier, folds letters: to it Sub, and \u017fub with a long s, are sub.
func isRegistered(name string) bool {
	folded := strings.ToLower(strings.ToUpper(name)) // there and back: the long s has a capital, the sign of kelvin a small letter
	return strings.HasPrefix(folded, ownClaims) || slices.Contains(registeredClaims(), folded)
}

func (c *compiler) offlineAccess(o *v1alpha1.OfflineAccess) {
	if o == nil {
		return
	}
	if c.policy.deny {
		c.problem(v1alpha1.ReasonInvalidLifetime, "spec.offlineAccess", "may only be given when effect is Allow")
		return
	}
	lifetime, err := o.MaxLifetime.Parse()
	switch {
	case err != nil:
		c.problem(v1alpha1.ReasonInvalidLifetime, "spec.offlineAccess.maxLifetime", "%v", err)
	case lifetime < time.Minute || lifetime > 99999*time.Hour:
		c.problem(v1alpha1.ReasonInvalidLifetime, "spec.offlineAccess.maxLifetime", "must be from 1m to 99999h")
	}
	switch o.NonExpiring {
	case "", v1alpha1.Forbidden, v1alpha1.Allowed:
	default:
		c.problem(v1alpha1.ReasonInvalidLifetime, "spec.offlineAccess.nonExpiring", "must be Forbidden or Allowed")
	}
	c.policy.offline = &offlineAccess{maxLifetime: lifetime, nonExpiring: o.NonExpiring == v1alpha1.Allowed}
}

func (c *compiler) claims(claims []v1alpha1.Claim) {
	if len(claims) > 0 && c.policy.deny {
		c.problem(v1alpha1.ReasonInvalidClaim, "spec.claims", "may only be given when effect is Allow")
		return
	}
	seen := map[string]bool{}
	for i, given := range claims {
		path := fmt.Sprintf("spec.claims[%d]", i)
		switch {
		case given.Name == "":
			c.problem(v1alpha1.ReasonInvalidClaim, path+".name", "must not be empty")
		case isRegistered(given.Name):
			c.problem(v1alpha1.ReasonInvalidClaim, path+".name", "must not be a claim that the server sets itself: %q", given.Name)
		case seen[given.Name]:
			c.problem(v1alpha1.ReasonInvalidClaim, path+".name", "must not be given twice: %q", given.Name)
		}
		seen[given.Name] = true
		value, err := canonicalJSON(given.Value.Raw)
		if err != nil {
			c.problem(v1alpha1.ReasonInvalidClaim, path+".value", "%v", err)
		}
		c.policy.claims = append(c.policy.claims, claim{name: given.Name, value: value})
	}
}

// canonicalJSON makes two spellings of one value equal: object keys are sorted and white space is gone. Numbers stay as
// they are written.
func canonicalJSON(raw []byte) (string, error) {
	if len(raw) == 0 {
		return "null", nil
	}
	if len(raw) > 16*maxClaimValue {
		return "", fmt.Errorf("must be at most %d bytes", maxClaimValue)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return "", errors.New("must be JSON")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("must be one value of JSON")
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", errors.New("must be JSON")
	}
	text.Truncate(text.Len() - 1)
	if text.Len() > maxClaimValue {
		return "", fmt.Errorf("must be at most %d bytes", maxClaimValue)
	}
	return text.String(), nil
}
