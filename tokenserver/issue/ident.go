package issue

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
	"github.com/tokenwright/tokenwright/tokenserver/statuslist"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// ErrForbidden says that there is no token without an expiry for the caller: SigningKey and policy must both allow it.
var ErrForbidden = errors.New("a token without an expiry is not allowed")

// ErrNotTheirs says that a request names an application, an organization or a user that policies do not say the caller is.
var ErrNotTheirs = errors.New("policies do not say so of the caller")

// Ids name what a caller is, as the claim prvd of Provide does. An empty one says nothing.
type Ids struct {
	Application  string `json:"application_id"`
	Organization string `json:"organization_id"`
	User         string `json:"user_id"`
}

// SubjectUser is what Provide's subjects begin with that are users: user:<uuid>.
const SubjectUser = "user:"

// UserID is the UUID of a user name of the form user:<uuid>; nothing of another.
func UserID(username string) string {
	if id, ok := strings.CutPrefix(username, SubjectUser); ok && IsUUID(id) {
		return id
	}
	return ""
}

// IsUUID says whether a text is a UUID as this program writes them.
func IsUUID(text string) bool {
	id, err := uuid.Parse(text)
	return err == nil && id.String() == text
}

// CheckIds returns ErrNotTheirs unless the claim prvd, which policies give, says all that the request's ids do. Nobody becomes an
// application by naming it.
func (i *Issuer) CheckIds(request *Request) error {
	ids := request.Ids
	if ids.User != "" && ids.User == UserID(request.Caller.Username) {
		ids.User = ""
	}
	if ids == (Ids{}) {
		return nil
	}
	given, err := request.Policies.Entitlements(entitled(request, policy.NewBudget()))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	var says Ids
	if err := json.Unmarshal(given.Claims["prvd"], &says); err != nil {
		return fmt.Errorf("%w: there is no claim prvd with such ids", ErrNotTheirs)
	}
	for _, id := range [][2]string{
		{ids.Application, says.Application}, {ids.Organization, says.Organization}, {ids.User, says.User},
	} {
		if id[0] != "" && id[0] != id[1] {
			return fmt.Errorf("%w: the claim prvd has another id", ErrNotTheirs)
		}
	}
	return nil
}

// Ident issues a token of the Provide Ident API: an access token that may say what its bearer may do at NATS servers, and by
// what the caller was proved.
func (i *Issuer) Ident(request *Request) (Token, error) { return i.issue(request, identToken{}) }

// MayLast returns ErrForbidden unless the caller may have a token without an expiry for the audience, and another error if
// none can be made at present.
func (i *Issuer) MayLast(request *Request) error {
	if _, err := i.usable(request.Audience, request.Time); err != nil {
		return err
	}
	switch {
	case i.Lists == "":
		return fmt.Errorf("%w: there is no URL where verifiers could find status lists", ErrForbidden)
	case !request.Audience.NonExpiring:
		return fmt.Errorf("%w by SigningKey %s", ErrForbidden, request.Audience.SigningKey)
	}
	given, err := request.Policies.Entitlements(entitled(request, policy.NewBudget()))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case !given.NonExpiring:
		return fmt.Errorf("%w by policy", ErrForbidden)
	}
	return nil
}

// NonExpiring issues a token without an expiry, which its record bounds. The caller has asked MayLast. Store creates the record
// for the key with the thumbprint before anything is signed, and returns the token's id.
func (i *Issuer) NonExpiring(request *Request, until time.Time, store func(thumbprint string) (slot.ID, error)) (Token, error) {
	if _, err := i.usable(request.Audience, request.Time); err != nil {
		return Token{}, err
	}
	as := identToken{}
	verdict, err := i.decide(request, as)
	switch {
	case err != nil:
		return Token{}, err
	case !verdict.notAfter.IsZero():
		return Token{}, fmt.Errorf("%w: what policies give ends at %s", ErrForbidden, verdict.notAfter.UTC().Format(time.RFC3339))
	}
	id, err := store(request.Audience.Signer.Thumbprint())
	if err != nil {
		return Token{}, err
	}
	as.recorded, as.lists = &id, i.Lists
	at := times{issued: request.Time.Add(-Backdate).Unix()}
	minted, record, err := i.sign(request, as, &verdict, at, id.String())
	if err != nil {
		return Token{}, err
	}
	record.Expires = until.UTC()
	if err := i.Audit.Write(&record); err != nil {
		i.Metrics.AuditFailure()
		return Token{}, fmt.Errorf("%w: %w", ErrAudit, err)
	}
	i.Metrics.Token(request.Grant, request.Audience.Name)
	return minted, nil
}

// identToken is a token of the Provide Ident API; recorded is its place in the status lists, if it has one, and lists where they
// are.
type identToken struct {
	accessToken
	recorded *slot.ID
	lists    string
}

func (t identToken) entitle(request *Request, v *verdict, budget *policy.Budget) error {
	if err := t.accessToken.entitle(request, v, budget); err != nil || !request.NATS {
		return err
	}
	given, err := request.Policies.NATS(entitled(request, budget), MinLifetime)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	v.nats = &given
	v.end(given.NotAfter)
	return nil
}

// newID implements kind: Provide's clients take UUIDs only.
func (identToken) newID(random io.Reader) (string, error) { return token.NewUUID(random) }

// entitled asks about the caller and no resource.
func entitled(request *Request, budget *policy.Budget) policy.Request {
	return policy.Request{
		Caller: request.Caller, Audience: request.Audience.Name, SourceIP: request.SourceIP, Time: request.Time,
		Admits: request.Audience.Namespaces.Admits, Budget: budget,
	}
}

func (t identToken) claims(request *Request, v *verdict, at times, issuer, id string) (string, token.Claims) {
	typ, base := t.accessToken.claims(request, v, at, issuer, id)
	claims := token.IdentClaims{}
	claims.AccessClaims, _ = base.(token.AccessClaims)
	if v.nats != nil {
		claims.NATS = &token.NATSClaim{Publish: token.Subjects(v.nats.Publish), Subscribe: token.Subjects(v.nats.Subscribe)}
		if claims.Scope != "" {
			claims.Scope += " "
		}
		claims.Scope += ScopeNATS
	}
	if request.Credential != "" && request.Caller.Method == caller.MethodPassword {
		claims.AuthTime, claims.Credential = request.Caller.AuthTime.Unix(), request.Credential
	}
	if t.recorded != nil {
		claims.NoExpiry = true
		claims.Status = &token.StatusClaim{Index: t.recorded.Index, URI: statuslist.URI(t.lists, t.recorded.List)}
	}
	return typ, claims
}

// ScopeNATS is the scope that asks for the claim nats.
const ScopeNATS = "nats"
