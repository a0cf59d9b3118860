package token

import (
	"strconv"

	"github.com/tokenwright/tokenwright/tokenserver/quote"
)

// RPTClaims are the claims of a requesting party token: those of an access token without a scope, and what may be done with
// which protected resources.
type RPTClaims struct {
	AccessClaims
	Permissions []Permission
	// Keycloak adds typ and azp, by which Keycloak's adapters know a token that they may take.
	Keycloak bool
}

// AppendJSON implements Claims.
func (c RPTClaims) AppendJSON(dst []byte) []byte {
	dst = c.appendAccess(dst)
	if c.Keycloak {
		dst = quote.Append(append(dst, `,"typ":"Bearer","azp":`...), c.ClientID)
	}
	dst = AppendPermissions(append(dst, `,"authorization":{"permissions":`...), c.Permissions)
	return append(dst, "}}"...)
}

// appendAccess appends the claims of an access token, without the scope and the last brace.
func (c RPTClaims) appendAccess(dst []byte) []byte {
	c.NoScope = true
	dst = c.AccessClaims.AppendJSON(dst)
	return dst[:len(dst)-1]
}

// UMA1Claims are the claims of a requesting party token in the form of UMA 1, as Keycloak once issued them.
type UMA1Claims struct {
	RPTClaims
	// AccessToken is the caller's own, which a resource server can use in its place; empty: it is left out.
	AccessToken string
}

// uma1Type is the claim typ of the older form.
const uma1Type = "kc_ett"

// AppendJSON implements Claims.
func (c UMA1Claims) AppendJSON(dst []byte) []byte {
	dst = c.appendAccess(dst)
	dst = quote.Append(append(dst, `,"typ":"`+uma1Type+`","azp":`...), c.ClientID)
	dst = append(dst, `,"permissions":[`...)
	for n, p := range c.Permissions {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = quote.Append(append(dst, `{"resource_set_id":`...), p.ID)
		if p.Name != "" {
			dst = quote.Append(append(dst, `,"resource_set_name":`...), p.Name)
		}
		dst = quote.AppendList(append(dst, `,"scopes":`...), p.Scopes)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if c.AccessToken != "" {
		dst = quote.Append(append(dst, `,"accessToken":`...), c.AccessToken)
	}
	return append(dst, '}')
}

// TicketClaims are the claims of a permission ticket.
type TicketClaims struct {
	Issuer string
	// ResourceServer is the audience whose resources are asked for, and RequestedBy whoever asked for the ticket in its name.
	ResourceServer, RequestedBy string
	// Provider is that of RequestedBy, as an access token says it: see AccessClaims.
	Provider                    string
	Expiry, NotBefore, IssuedAt int64
	ID                          string
	Permissions                 []Permission
}

// AppendJSON implements Claims. A ticket is for its issuer alone, which is its aud: a verifier at the resource server that looks at
// no more than signature, iss, aud and exp must not take what somebody asks for as what somebody may do. For the same reason it has
// none of the claims of a token that would say whose it is or what it is good for.
func (c TicketClaims) AppendJSON(dst []byte) []byte {
	dst = quote.Append(append(dst, `{"iss":`...), c.Issuer)
	dst = quote.Append(append(dst, `,"aud":`...), c.Issuer)
	dst = strconv.AppendInt(append(dst, `,"exp":`...), c.Expiry, 10)
	dst = strconv.AppendInt(append(dst, `,"nbf":`...), c.NotBefore, 10)
	dst = strconv.AppendInt(append(dst, `,"iat":`...), c.IssuedAt, 10)
	dst = quote.Append(append(dst, `,"jti":`...), c.ID)
	dst = quote.Append(append(dst, `,"tokenwright.dev/resource_server":`...), c.ResourceServer)
	dst = quote.Append(append(dst, `,"tokenwright.dev/requested_by":`...), c.RequestedBy)
	if c.Provider != "" {
		dst = quote.Append(append(dst, `,"tokenwright.dev/provider":`...), c.Provider)
	}
	dst = AppendPermissions(append(dst, `,"tokenwright.dev/permissions":`...), c.Permissions)
	return append(dst, '}')
}
