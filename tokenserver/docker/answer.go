package docker

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/quote"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// appendAnswer appends the union of what token.md and oauth.md ask for. expires_in is an integer, in seconds, at least
// 60; issued_at is RFC 3339, and true: unlike the token's iat it is not set back. token_type and scope are RFC 6749's,
// section 5.1; only a POST has them. A refresh_token is there only for a client that asked for one or came with one: who sees
// one may drop the password, or turn to POST for good.
func appendAnswer(dst []byte, method string, issued *grant.Answer) []byte {
	dst = slices.Grow(dst, 2*len(issued.Text)+256)
	// A token has letters, digits, "-", "_" and "." only: nothing to be quoted.
	dst = append(append(dst, `{"token":"`...), issued.Text...)
	dst = append(append(dst, `","access_token":"`...), issued.Text...)
	dst = append(dst, '"')
	if method == http.MethodPost {
		dst = quote.Append(append(dst, `,"token_type":"Bearer","scope":`...), scope.Join(issued.Granted))
	}
	if issued.Refresh != "" { // letters, digits, "-", "_" and "." only
		dst = append(append(append(dst, `,"refresh_token":"`...), issued.Refresh...), '"')
	}
	dst = strconv.AppendInt(append(dst, `,"expires_in":`...), int64(issued.ExpiresIn/time.Second), 10)
	dst = issued.IssuedAt.UTC().AppendFormat(append(dst, `,"issued_at":"`...), time.RFC3339)
	return append(dst, "\"}\n"...)
}

// appendAccess appends the answer for a service (RFC 6749, section 5.1), and for an exchange what kind of token it is (RFC 8693,
// section 2.2.1).
func appendAccess(dst []byte, request *grant.Request, issued *grant.Answer) []byte {
	dst = append(append(dst, `{"access_token":"`...), issued.Text...)
	dst = strconv.AppendInt(append(dst, `","token_type":"Bearer","expires_in":`...), int64(issued.ExpiresIn/time.Second), 10)
	granted := scope.Join(issued.Granted)
	if issued.UMA {
		granted = strings.TrimPrefix(granted+" "+issue.ScopeUMA, " ")
	}
	dst = quote.Append(append(dst, `,"scope":`...), granted)
	if request.Subject != "" {
		dst = append(append(append(dst, `,"issued_token_type":"`...), grant.TokenTypeAccess...), '"')
	}
	if issued.Refresh != "" {
		dst = append(append(append(dst, `,"refresh_token":"`...), issued.Refresh...), '"')
	}
	return append(dst, "}\n"...)
}
