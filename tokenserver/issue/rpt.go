package issue

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// Permissions are what a request asks of protected resources, and what came of it.
type Permissions struct {
	Asks []permission.Ask
	// Claims are those of a verified ID token.
	Claims map[string]any
	// Most is how many are kept, the last ones; zero: all.
	Most int
	// Names says that the names of the resources go into the answer.
	Names bool

	permission.Answer
	verdict verdict
}

// Decide asks the policies about protected resources. Least is for how long what they grant must last: MinLifetime for a token.
func (i *Issuer) Decide(request *Request, p *Permissions, least time.Duration) {
	v, budget := &p.verdict, policy.NewBudget()
	asker := permission.Asker{
		Policies: request.Policies, Caller: request.Caller, Audience: request.Audience.Name, SourceIP: request.SourceIP,
		Time: request.Time, Admits: request.Audience.Namespaces.Admits, Budget: budget, Claims: p.Claims, Least: least,
	}
	if i.Explain {
		asker.Decide = func(ask policy.Request) policy.Decision {
			decision := i.ask(request.Policies, ask, maxWhy-len(v.why))
			v.explain(scope.Scope{Type: ask.Resource.Type, Name: ask.Resource.Name}, decision)
			return decision
		}
	}
	p.Answer = asker.Evaluate(p.Asks)
	if p.Most > 0 {
		p.Last(p.Most)
	}
	i.report(request, budget)
	if i.Explain {
		v.failed = failed(budget)
	}
}

// Decided records what was granted to a caller who wanted no token for it. Without the record there is no answer.
func (i *Issuer) Decided(request *Request, p *Permissions) error {
	record := request.Record(audit.Decided)
	p.describe(&record)
	if err := i.Audit.Write(&record); err != nil {
		i.Metrics.AuditFailure()
		return fmt.Errorf("%w: %w", ErrAudit, err)
	}
	return nil
}

// maxDescribed is how many permissions an audit record spells out.
const maxDescribed = 256

// describe puts what is granted into an audit record: ids of resources stand where names do, which people may choose.
func (p *Permissions) describe(record *audit.Record) {
	for n := range p.Granted[:min(len(p.Granted), maxDescribed)] {
		g := &p.Granted[n]
		record.Granted = append(record.Granted, scope.Scope{Type: g.Resource.Type, Name: g.Resource.ID, Actions: g.Scopes}.String())
	}
	record.GrantedOmitted = max(0, len(p.Granted)-maxDescribed)
	record.Why, record.WhyOmitted, record.Failed = p.verdict.why, p.verdict.omitted, p.verdict.failed
}

// Describe puts what is asked into the request, for its audit record.
func (p *Permissions) Describe(request *Request) {
	request.Scopes = nil
	for n := range p.Asks[:min(len(p.Asks), maxDescribed)] {
		a := &p.Asks[n]
		request.Scopes = append(request.Scopes, scope.Scope{Type: a.Resource.Type, Name: a.Resource.ID, Actions: a.Scopes})
	}
}

// Form is the form of a requesting party token.
type Form struct {
	// UMA1 is the older form, and AccessToken the caller's own, which it may hold.
	UMA1        bool
	AccessToken string
	// Keycloak is the form of today as Keycloak has it.
	Keycloak bool
}

// RPT issues a requesting party token (UMA 2.0, Grant, section 3.3.5) for what was decided.
func (i *Issuer) RPT(request *Request, p *Permissions, form Form) (Token, error) {
	if p.Outgrows(MaxToken, p.Names) {
		return Token{}, fmt.Errorf("%w: its permissions alone", ErrTooLarge) // before a megabyte of them is signed
	}
	return i.issue(request, rptToken{permissions: p, form: form})
}

// rptToken is an access token with permissions in the place of scopes.
type rptToken struct {
	accessToken
	permissions *Permissions
	form        Form
}

func (rptToken) holds(string) bool { return false }

func (rptToken) standsFor(*Request) bool { return false }

func (t rptToken) describe(record *audit.Record, _ *verdict) { t.permissions.describe(record) }

func (t rptToken) entitle(request *Request, v *verdict, budget *policy.Budget) error {
	v.end(t.permissions.NotAfter())
	return t.accessToken.entitle(request, v, budget)
}

func (t rptToken) claims(request *Request, v *verdict, at times, issuer, id string) (string, token.Claims) {
	_, base := t.accessToken.claims(request, v, at, issuer, id)
	claims := token.RPTClaims{Permissions: t.permissions.Permissions(t.permissions.Names), Keycloak: t.form.Keycloak}
	claims.AccessClaims, _ = base.(token.AccessClaims)
	if !t.form.UMA1 && !t.form.Keycloak {
		return token.TypeRPT, claims
	}
	claims.Application = maps.Clone(claims.Application)
	maps.DeleteFunc(claims.Application, func(name string, _ json.RawMessage) bool {
		return strings.EqualFold(name, "azp") || t.form.UMA1 && strings.EqualFold(name, "accessToken") // these forms' own
	})
	if !t.form.UMA1 {
		return token.TypeRPT, claims
	}
	return token.TypeRPT, token.UMA1Claims{RPTClaims: claims, AccessToken: t.form.AccessToken}
}

// TicketLifetime is how long a permission ticket is good; less if the audience's tokens live shorter.
const TicketLifetime = 5 * time.Minute

// ErrTicketTooLarge says that a permission ticket would be longer than MaxToken.
var ErrTicketTooLarge = errors.New("the permission ticket would be too long")

// ResourceServer is who asks for a permission ticket in the name of the resource server, and the provider that vouched where the
// name does not say it.
type ResourceServer struct{ Username, Provider string }

// By is the resource server's caller, as a ticket has it.
func By(who caller.Caller) ResourceServer { return ResourceServer{who.Username, vouched(who)} }

// Ticket issues a permission ticket (UMA 2.0, Federated Authorization, section 4) for the request's audience. It is recorded like
// a token, and stored nowhere.
func (i *Issuer) Ticket(request *Request, by ResourceServer, permissions []token.Permission) (string, error) {
	lifetime, err := i.usable(request.Audience, request.Time)
	if err != nil {
		return "", err
	}
	id, err := token.NewID(i.Random)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	issued := request.Time.Truncate(time.Second)
	expires := issued.Add(min(lifetime, TicketLifetime))
	text, err := request.Audience.Signer.Sign(token.TypeTicket, token.TicketClaims{
		Issuer: i.Name, ResourceServer: request.Audience.Name, RequestedBy: by.Username, Provider: by.Provider, ID: id,
		Expiry: expires.Unix(), NotBefore: issued.Add(-Backdate).Unix(), IssuedAt: issued.Add(-Backdate).Unix(), Permissions: permissions,
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("%w for audience %q: %w", ErrNoKey, request.Audience.Name, err)
	case len(text) > MaxToken:
		return "", fmt.Errorf("%w: %d bytes", ErrTicketTooLarge, len(text))
	}
	record := request.Record(audit.Issued)
	record.TokenID, record.KeyID, record.Expires = id, request.Audience.Signer.KeyID(), expires.UTC()
	if err := i.Audit.Write(&record); err != nil {
		i.Metrics.AuditFailure()
		return "", fmt.Errorf("%w: %w", ErrAudit, err)
	}
	i.Metrics.Token(request.Grant, request.Audience.Name)
	return text, nil
}
