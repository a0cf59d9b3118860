package grant

import "unicode/utf8"

// Names of grants, as metrics and audit records spell them.
const (
	nameAnonymous = "anonymous"
	nameBasic     = "basic"
	namePassword  = "password"
	nameRefresh   = "refresh_token"
	nameClient    = "client_credentials"
	nameExchange  = "token_exchange"
	nameBearer    = "bearer"
)

// Docker is the grant of GET in the Docker token protocol: HTTP Basic with a password or a refresh token, or nobody in
// particular.
type Docker struct{}

// Name implements Grant.
func (Docker) Name(request *Request) string {
	switch {
	case request.Refresh != "":
		return nameRefresh
	case request.Credentials.Present:
		return nameBasic
	}
	return nameAnonymous
}

// Check implements Grant. There is nothing that a GET must bring but the service.
func (Docker) Check(request *Request) *Error { return needsAudience(request) }

func needsAudience(request *Request) *Error {
	switch {
	case request.Audience != "":
		return nil
	case request.Access:
		return &Error{Kind: InvalidRequest, Message: "audience is missing"}
	}
	return &Error{Kind: InvalidRequest, Message: "service is missing"}
}

func printable(name string) bool {
	if !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f {
			return false
		}
	}
	return true
}
