package permission

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of what a resource server can say of a request.
const (
	maxClaims     = 16
	maxValues     = 16
	maxClaimName  = 64
	maxClaimValue = 256
)

// registered are the names of claims by which tokens say whose they are and who vouches (RFC 7519, section 4.1, and OpenID Connect).
// Nobody changes it.
var registered = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "email", "email_verified", "groups", "preferred_username", "azp", "auth_time", "acr", "amr",
}

// ClaimsProblem says what is wrong with what a resource server says of a request; nothing if all is well. It says nothing that an
// expression could take for the word of an issuer: what it says of a request counts before that.
func ClaimsProblem(claims map[string][]string) string {
	if len(claims) > maxClaims {
		return fmt.Sprintf("there must be at most %d claims", maxClaims)
	}
	for name, values := range claims {
		switch {
		case name == "" || len(name) > maxClaimName || !plain(name):
			return fmt.Sprintf("the name of a claim must have 1 to %d bytes, and no control characters", maxClaimName)
		case slices.Contains(registered, strings.ToLower(name)):
			return "a claim must not have one of the names by which ID tokens say whose they are: " + strings.Join(registered, ", ")
		case len(values) == 0 || len(values) > maxValues:
			return fmt.Sprintf("a claim must have 1 to %d values", maxValues)
		}
		for _, value := range values {
			if len(value) > maxClaimValue || !plain(value) {
				return fmt.Sprintf("the value of a claim must have at most %d bytes, and no control characters", maxClaimValue)
			}
		}
	}
	return ""
}

func plain(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if r < ' ' || r == 0x7f {
			return false
		}
	}
	return true
}

// SameClaims says whether a resource server said the same of two requests.
func SameClaims(a, b map[string][]string) bool { return maps.EqualFunc(a, b, slices.Equal) }
