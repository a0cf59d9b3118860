package httpx

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// The schemes of the Authorization header that are read.
const (
	Basic  = "basic"
	Bearer = "bearer"
)

// ErrMalformed says that an Authorization header does not follow the grammar of its scheme.
var ErrMalformed = errors.New("the Authorization header is malformed")

// Authorization is what an Authorization header says. Nothing of it is proved.
type Authorization struct {
	// Scheme is in lower case; empty if there was no header.
	Scheme string
	// Username and Password are those of Basic (RFC 7617), Token is that of Bearer (RFC 6750).
	Username, Password, Token string
}

// ReadAuthorization reads the header. The error is ErrMalformed, or a 400 if there is more than one.
func ReadAuthorization(header http.Header) (Authorization, error) {
	fields := header.Values("Authorization")
	switch len(fields) {
	case 0:
		return Authorization{}, nil
	case 1:
	default:
		return Authorization{}, BadRequest("there must not be more than one Authorization header")
	}
	scheme, rest, _ := strings.Cut(fields[0], " ")
	a, rest := Authorization{Scheme: strings.ToLower(scheme)}, strings.Trim(rest, " ")
	switch a.Scheme {
	case "":
		return Authorization{}, ErrMalformed
	case Bearer:
		a.Token = rest
	case Basic:
		text, err := base64.StdEncoding.Strict().DecodeString(rest)
		if err != nil {
			return Authorization{}, ErrMalformed
		}
		var found bool
		if a.Username, a.Password, found = strings.Cut(string(text), ":"); !found {
			return Authorization{}, ErrMalformed
		}
	}
	return a, nil
}

// Client returns name and password of an OAuth client, which encodes both as in a form before it puts them into Basic (RFC
// 6749, section 2.3.1): so a name can have a colon.
func (a Authorization) Client() (name, password string, err error) {
	name, nameErr := url.QueryUnescape(a.Username)
	password, passwordErr := url.QueryUnescape(a.Password)
	if nameErr != nil || passwordErr != nil {
		return "", "", ErrMalformed
	}
	return name, password, nil
}
