package oauth

import (
	"errors"
	"net/http"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
)

// credentialsOf reads who asks: Basic as OAuth has it, or a ServiceAccount's or provider's token as bearer.
func credentialsOf(header http.Header) (identity.Credentials, error) {
	given, err := httpx.ReadAuthorization(header)
	if errors.Is(err, httpx.ErrMalformed) {
		return identity.Credentials{}, invalidClient("the Authorization header is malformed", nil)
	}
	if err != nil {
		return identity.Credentials{}, err
	}
	switch given.Scheme {
	case "":
		return identity.Credentials{}, nil
	case httpx.Basic:
		name, password, err := given.Client()
		if err != nil {
			return identity.Credentials{}, invalidClient("name and password must be encoded as in a form (RFC 6749, section 2.3.1)", nil)
		}
		return identity.Credentials{Username: name, Password: password, Present: name != "" || password != ""}, nil
	case httpx.Bearer:
		if !identity.IsToken(given.Token) {
			return identity.Credentials{}, invalidClient("the bearer is not a token that proves who asks", nil)
		}
		return identity.Credentials{Password: given.Token, Present: true}, nil
	}
	return identity.Credentials{}, invalidClient("the Authorization header must be of the scheme Basic or Bearer", nil)
}

// invalidClient is a 401 (RFC 6749, section 5.2).
func invalidClient(message string, cause error) *httpx.Error {
	return &httpx.Error{Status: http.StatusUnauthorized, Code: "invalid_client", Message: message, Cause: cause}
}

// unavailable is a 503.
func unavailable(message string, after time.Duration, cause error) *httpx.Error {
	return &httpx.Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Message: message,
		RetryAfter: max(after, retryAfter), Cause: cause,
	}
}

// tooMany is a 429 (RFC 6585, section 4), with the code that the token endpoint has for it.
func tooMany(message string, after time.Duration, cause error) *httpx.Error {
	return &httpx.Error{Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", Message: message, RetryAfter: after, Cause: cause}
}

// The challenges of a 401, by the scheme that the caller used (RFC 6749, section 5.2; RFC 6750, section 3).
const (
	challengeBasic  = `Basic realm="tokenwright", charset="UTF-8"`
	challengeBearer = `Bearer realm="tokenwright", error="invalid_token"`
)

// WriteError writes an error as RFC 6749, section 5.2 has it.
func WriteError(w http.ResponseWriter, r *http.Request, e *httpx.Error) {
	if e.Status == http.StatusUnauthorized {
		challenge := challengeBasic
		if given, err := httpx.ReadAuthorization(r.Header); err == nil && given.Scheme == httpx.Bearer {
			challenge = challengeBearer
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	w.Header().Set("Pragma", "no-cache")
	httpx.WritePlainError(w, r, e)
}
