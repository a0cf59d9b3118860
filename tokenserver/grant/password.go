package grant

// Password is grant_type=password (RFC 6749, section 4.3) as distribution's oauth.md has it. Nobody is anonymous here: a
// caller who chose this grant says that it has a name.
type Password struct{}

// Name implements Grant.
func (Password) Name(*Request) string { return namePassword }

// Check implements Grant.
func (Password) Check(request *Request) *Error {
	switch {
	case !request.Credentials.Present:
		return &Error{Kind: InvalidRequest, Message: "username and password are missing"}
	default:
		return needsAudience(request)
	}
}
