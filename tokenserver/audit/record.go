package audit

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Outcomes.
const (
	// Issued says that a token was made. If the record could not be written, the token was not sent.
	Issued = "issued"
	// Refused says that there was no token.
	Refused = "refused"
	// Decided says that the caller was told what it may do with protected resources, and got no token for it.
	Decided = "decided"
	// Revoked says that a token was taken back: jti names it, and subject who did so.
	Revoked = "revoked"
	// Stored and Deleted say that a protected resource, or what was asked of its owner, was stored or deleted for the caller: granted
	// names the resource and its scopes.
	Stored  = "stored"
	Deleted = "deleted"
	// Approved and Denied say what the caller decided of what somebody asked of an owner.
	Approved = "approved"
	Denied   = "denied"
)

// Record is one line. It never holds a token, a password or a hash of one.
type Record struct {
	Time      time.Time `json:"time"`
	Outcome   string    `json:"outcome"`
	RequestID string    `json:"requestID"`
	// Error says why there was no token.
	Error string `json:"error,omitempty"`
	Grant string `json:"grant"`
	// TokenID and KeyID are the token's jti and kid.
	TokenID string `json:"jti,omitempty"`
	KeyID   string `json:"kid,omitempty"`
	// RefreshID is the id of the refresh token that was used or issued with it.
	RefreshID string `json:"refreshID,omitempty"`
	// SubjectTokenID is the jti of the token that was good enough to be exchanged, as its issuer wrote it.
	SubjectTokenID string `json:"subjectTokenID,omitempty"`
	// TicketID is the jti of the permission ticket that came, if we signed it and it had not expired.
	TicketID string `json:"ticketID,omitempty"`
	// Subject, Provider and Method are what was proved.
	Subject  string `json:"subject,omitempty"`
	Provider string `json:"provider,omitempty"`
	Method   string `json:"method,omitempty"`
	// Client is the OAuth client that asked for the subject, as proved; absent if the subject asked itself.
	Client   string `json:"client,omitempty"`
	Audience string `json:"audience,omitempty"`
	// For is the user who asked an owner, or whose resource it is.
	For string `json:"for,omitempty"`
	// Requested and Granted are scopes in Docker's grammar.
	Requested []string `json:"requested"`
	Granted   []string `json:"granted"`
	// GrantedOmitted is how many more there are than Granted has room for.
	GrantedOmitted int `json:"grantedOmitted,omitempty"`
	// Why names the policies behind each grant; only with --audit-explain.
	Why []Why `json:"why,omitempty"`
	// WhyOmitted is how many more there are than Why has room for.
	WhyOmitted int `json:"whyOmitted,omitempty"`
	// Failed names the first few policies whose expression gave no answer; only with --audit-explain.
	Failed []Failed `json:"failedExpressions,omitempty"`
	// ClientID and Account are claims of the client that nobody proved.
	ClientID string    `json:"claimedClientID,omitempty"`
	Account  string    `json:"claimedAccount,omitempty"`
	SourceIP string    `json:"sourceIP,omitempty"`
	Expires  time.Time `json:"expires,omitzero"`
}

// Why is one rule that spoke for or against an action.
type Why struct {
	Scope  string `json:"scope"`
	Action string `json:"action"`
	Effect string `json:"effect"`
	// Policy is kind/name or kind/namespace/name.
	Policy string `json:"policy"`
	Rule   int    `json:"rule"`
}

// Failed is a policy whose expression gave no answer, so that it did not match if it allows, and did if it denies.
type Failed struct {
	// Policy is kind/name or kind/namespace/name.
	Policy string `json:"policy"`
	// Reason is error, cost_limit or budget.
	Reason string `json:"reason"`
}

// maxClaimed bounds what a client can put into a line with a value that nobody proved, in bytes.
const maxClaimed = 128

// Claimed makes a client's own claim fit to be kept: printable, and at most 128 bytes.
func Claimed(value string) string {
	return Bounded(value, maxClaimed)
}

// Bounded cuts a value at limit bytes, marks the cut, and replaces what is not printable.
func Bounded(value string, limit int) string {
	cut := len(value) > limit
	if cut {
		value = value[:limit]
	}
	value = strings.Map(printable, strings.ToValidUTF8(value, "\uFFFD"))
	if cut {
		return value + "…"
	}
	return value
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == '\u2028' || r == '\u2029' {
		return utf8.RuneError
	}
	return r
}
