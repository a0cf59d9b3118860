package enforce

import (
	"errors"
	"net/http"
	"strings"
)

// errAmbiguous says that a request could be read in two ways: what is behind could take the other one.
var errAmbiguous = errors.New("the request has more than one Authorization header")

// bearerOf is the token of a request; none if it has no bearer. Tokens in a form or a query are not looked at (RFC 9700, 2.1).
func bearerOf(header http.Header) (string, error) {
	values := header["Authorization"]
	if len(values) > 1 {
		return "", errAmbiguous
	}
	if len(values) == 0 {
		return "", nil
	}
	scheme, token, found := strings.Cut(values[0], " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	return token, nil
}

// isToken says whether a text can be written into a header as it is (the b64token of RFC 6750, section 2.1).
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("-._~+/=", r)
	})
}
