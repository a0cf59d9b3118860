package issue

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// kind is one kind of token: what differs between those that go through the same steps.
type kind interface {
	// holds says whether rules of the type have a place among the token's scopes.
	holds(typ string) bool
	// entitle adds what policies give beside the scopes.
	entitle(request *Request, v *verdict, budget *policy.Budget) error
	// standsFor says whether the token has the word for protected resources.
	standsFor(request *Request) bool
	// newID draws a token's id.
	newID(random io.Reader) (string, error)
	// describe puts what is granted into the audit record.
	describe(record *audit.Record, v *verdict)
	// claims returns the header's typ and what the token says.
	claims(request *Request, v *verdict, at times, issuer, id string) (typ string, claims token.Claims)
}

// granted describes tokens that hold scopes, and have an id as all have.
type granted struct{}

func (granted) newID(random io.Reader) (string, error) { return token.NewID(random) }

func (granted) describe(record *audit.Record, v *verdict) {
	record.Granted, record.Why, record.WhyOmitted, record.Failed = texts(v.granted), v.why, v.omitted, v.failed
}

// times are iat and nbf, which are one, and exp.
type times struct{ issued, expires int64 }

// registryToken is a token of the Docker token protocol.
type registryToken struct{ granted }

func (registryToken) holds(typ string) bool {
	return typ == v1alpha1.TypeRepository || typ == v1alpha1.TypeRegistry
}

func (registryToken) entitle(*Request, *verdict, *policy.Budget) error { return nil }

func (registryToken) standsFor(*Request) bool { return false }

func (registryToken) claims(request *Request, v *verdict, at times, issuer, id string) (string, token.Claims) {
	subject := request.Caller.Username
	if request.Caller.IsAnonymous() {
		subject = ""
	}
	return token.TypeRegistry, token.RegistryClaims{
		Issuer: issuer, Subject: subject, Audience: request.Audience.Name, ID: id,
		Expiry: at.expires, NotBefore: at.issued, IssuedAt: at.issued, Access: access(v.granted),
	}
}

// access is never nil: a registry reads null as a malformed token.
func access(granted []scope.Scope) []token.Access {
	entries := make([]token.Access, len(granted))
	for n, g := range granted {
		entries[n] = token.Access{Type: g.Type, Name: g.Name, Actions: g.Actions}
	}
	return entries
}

// accessToken is an access token of RFC 9068.
type accessToken struct{ granted }

// holds is true of all types but nats: what those allow has a claim of its own.
func (accessToken) holds(typ string) bool { return typ != v1alpha1.TypeNATS }

// entitle adds the application's claims. A token never outlives the policies that they are of. Where that would be within the
// minute, there is no token until they have ended: without a claim it could mean more than with it.
func (accessToken) entitle(request *Request, v *verdict, budget *policy.Budget) error {
	given, err := request.Policies.Entitlements(policy.Request{
		Caller: request.Caller, Audience: request.Audience.Name, SourceIP: request.SourceIP, Time: request.Time,
		Admits: request.Audience.Namespaces.Admits, Budget: budget,
	})
	var conflict *policy.ConflictError
	if errors.As(err, &conflict) {
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	if err != nil {
		return err
	}
	v.application = given.Claims
	v.end(given.NotAfter)
	return nil
}

// standsFor is true for whoever asks: it gives nothing that the caller could not have by proving who it is.
func (accessToken) standsFor(request *Request) bool {
	return request.UMA && !request.Caller.IsAnonymous()
}

func (t accessToken) claims(request *Request, v *verdict, at times, issuer, id string) (string, token.Claims) {
	return token.TypeAccess, token.AccessClaims{
		Issuer: issuer, Subject: request.Caller.Username, Audience: request.Audience.Name, ID: id,
		Expiry: at.expires, NotBefore: at.issued, IssuedAt: at.issued,
		ClientID: cmp.Or(request.Client, request.Caller.Username), Scope: t.scope(request, v), Application: v.application,
		Provider: vouched(request.Caller), Through: request.Through,
	}
}

// vouched is the provider of a ServiceAccount; of other users the prefix of the name says it.
func vouched(who caller.Caller) string {
	if namespace, _ := who.ServiceAccount(); namespace == "" {
		return ""
	}
	return who.Provider
}

// ScopeUMA is the scope that asks for an access token which stands for the caller where requesting party tokens are issued, and
// ActionUMA the action of a rule of type oauth by which a token speaks for a resource server.
const (
	ScopeUMA  = "uma_authorization"
	ActionUMA = "uma_protection"
)

func (t accessToken) scope(request *Request, v *verdict) string {
	text := scope.Join(v.granted)
	switch {
	case !t.standsFor(request):
		return text
	case text == "":
		return ScopeUMA
	}
	return text + " " + ScopeUMA
}
