package grant

import (
	"net/netip"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// Names of what package uma asks for, as metrics and audit records spell them.
const (
	nameUMA    = "uma_ticket"
	nameTicket = "permission_ticket"
)

// NameUMA is the grant of requesting party tokens.
const NameUMA = nameUMA

// Mode is what is wanted for permissions.
type Mode int

// The modes.
const (
	// ModeToken is a requesting party token.
	ModeToken Mode = iota
	// ModeDecision is whether all that was named is granted, and ModePermissions what is.
	ModeDecision
	ModePermissions
)

// UMARequest is one ask for permissions at protected resources, parsed once.
type UMARequest struct {
	// ID names the request in logs and audit records.
	ID   string
	Time time.Time
	// Source is the zero Addr if it is not known.
	Source netip.Addr
	// Audience is the resource server. Beside a ticket it may be empty; else it must be the ticket's.
	Audience string
	// Ticket is a permission ticket, and Permissions what is asked for without one; nil with a ticket.
	Ticket      string
	Permissions *permission.Query
	// RPT is a requesting party token whose permissions are to be had, too.
	RPT string
	// ClaimToken is an ID token.
	ClaimToken string
	// Bearer is a token that proves the caller: an access token of ours, or one that a provider verifies. Without one the
	// credentials do, which are those of an OAuth client.
	Bearer      string
	Credentials identity.Credentials
	Mode        Mode
	// Most is how many permissions are kept, the last ones; zero: all.
	Most int
	// Names says that the names of the resources are wanted.
	Names bool
	// Submit says that the owners are to be asked for what is denied.
	Submit bool
	// SubmitOne says that the owner is to be asked if one resource is denied, and not if several are.
	SubmitOne bool
	// UMA1 wants the older form of token, and AccessToken the caller's own access token in it.
	UMA1, AccessToken bool
	// Keycloak wants the token as Keycloak has it.
	Keycloak bool
}

// UMAAnswer is what a request got.
type UMAAnswer struct {
	// Token is the requesting party token, if one was wanted.
	issue.Token
	Permissions []token.Permission
	// Upgraded says that those of an older token are among them.
	Upgraded bool
}

// check refuses a request that contradicts itself, or lacks something.
func (r *UMARequest) check() *Error {
	switch {
	case r.Ticket != "" && r.Permissions != nil:
		return &Error{Kind: InvalidRequest, Message: "ticket and permission cannot be given together"}
	case r.Ticket == "" && r.Audience == "":
		return &Error{Kind: InvalidRequest, Message: "ticket is missing, or audience"}
	case r.Bearer == "" && !r.Credentials.Present:
		return &Error{Kind: BadClient, Message: "the caller must prove who it is"}
	}
	return nil
}
