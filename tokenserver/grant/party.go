package grant

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// party is who asks for permissions.
type party struct {
	caller caller.Caller
	// client is the client that asked for the caller; empty: the caller itself.
	client string
	// notAfter is when the token ends that proved the caller; zero if none did.
	notAfter time.Time
	// held is that token if it is ours; nil if it is not.
	held *Held
	// claims are those of an ID token.
	claims map[string]any
}

// What is wrong with a claim_token, for the log.
var (
	errNotAnIDToken = errors.New("no provider of tokens vouches for it")
	errOursAsClaims = errors.New("it is ours, and we issue no ID tokens")
)

// party proves the caller: by a bearer, or by the credentials of a client, beside which an ID token says for whom the client asks.
func (g *Granter) party(ctx context.Context, from *snapshot.Snapshot, request *UMARequest) (*party, *Error) {
	p, failure := g.prover(ctx, from, request)
	if failure != nil || request.ClaimToken == "" {
		return p, failure
	}
	who, claims, ends, failure := g.idToken(ctx, from, request)
	switch {
	case failure != nil:
		return nil, failure
	case request.Bearer == "":
		p.client, p.caller, p.notAfter = p.caller.Username, who, time.Time{}
	case who.Username != p.caller.Username:
		return nil, &Error{Kind: InvalidRequest, Message: "the claim_token is of another user than the bearer"}
	}
	p.claims = claims
	if p.notAfter.IsZero() || ends.Before(p.notAfter) {
		p.notAfter = ends
	}
	return p, nil
}

// prover is who came, by the bearer or by credentials.
func (g *Granter) prover(ctx context.Context, from *snapshot.Snapshot, request *UMARequest) (*party, *Error) {
	if request.Bearer == "" {
		return g.foreign(ctx, from, request, request.Credentials, BadClient)
	}
	claimed, ok := token.Peek(request.Bearer)
	switch {
	case !ok || !identity.IsToken(request.Bearer):
		return nil, &Error{Kind: BadCredentials, Message: "the bearer is not a token that proves who asks"}
	case claimed.Issuer == g.Issuer.Name:
		return g.ours(ctx, from, request)
	}
	return g.foreign(ctx, from, request, identity.Credentials{Password: request.Bearer, Present: true}, BadCredentials)
}

// ours proves the caller by an access token of ours.
func (g *Granter) ours(ctx context.Context, from *snapshot.Snapshot, request *UMARequest) (*party, *Error) {
	s, err := g.pat(ctx, from, &Request{Bearer: request.Bearer, Time: request.Time})
	switch {
	case err == nil:
		g.Metrics.Authentication(string(s.Caller.Method), metrics.AuthenticationOK)
		return &party{caller: s.Caller, notAfter: s.Held.Expires, held: &s.Held}, nil
	case IsUnavailable(err) || errors.Is(err, snapshot.ErrStale):
		g.Metrics.Authentication("unknown", metrics.AuthenticationUnavailable)
		return nil, &Error{Kind: Unavailable, Message: "the token cannot be verified at present", RetryAfter: retryAfter, Cause: err}
	}
	g.Metrics.Authentication("unknown", metrics.AuthenticationRefused)
	return nil, &Error{Kind: BadCredentials, Message: "the token was not accepted", Cause: err}
}

// foreign proves the caller by what a provider verifies. Nobody in particular has no permissions.
func (g *Granter) foreign(ctx context.Context, from *snapshot.Snapshot, request *UMARequest, c identity.Credentials, refused Kind) (*party, *Error) {
	who, failure := g.authenticate(ctx, from, &Request{Credentials: c, Source: request.Source, Time: request.Time})
	if failure == nil && who.IsAnonymous() {
		failure = &Error{Kind: BadCredentials, Message: "the caller must prove who it is"}
	}
	if failure != nil {
		if failure.Kind == BadCredentials {
			failure.Kind = refused
		}
		return nil, failure
	}
	p := &party{caller: who}
	if identity.IsToken(c.Password) {
		claimed, _ := token.Peek(c.Password) // what was peeked at is verified by now
		if claimed.Expires.IsZero() {
			return nil, &Error{Kind: refused, Message: "the token was not accepted", Cause: errNoExpiry}
		}
		p.notAfter = claimed.Expires
	}
	return p, nil
}

// idToken verifies a claim_token like a login, and returns all that it says.
func (g *Granter) idToken(ctx context.Context, from *snapshot.Snapshot, request *UMARequest) (caller.Caller, map[string]any, time.Time, *Error) {
	refuse := func(cause error) (caller.Caller, map[string]any, time.Time, *Error) {
		return caller.Caller{}, nil, time.Time{}, &Error{Kind: InvalidRequest, Message: "the claim_token was not accepted", Cause: cause}
	}
	claimed, ok := token.Peek(request.ClaimToken)
	switch {
	case !ok || !identity.IsToken(request.ClaimToken):
		return refuse(errNotAToken)
	case claimed.Issuer == g.Issuer.Name:
		return refuse(errOursAsClaims)
	}
	credentials := identity.Credentials{Password: request.ClaimToken, Present: true}
	who, failure := g.authenticate(ctx, from, &Request{Credentials: credentials, Source: request.Source, Time: request.Time})
	switch {
	case failure != nil && failure.Kind == BadCredentials:
		return refuse(failure)
	case failure != nil:
		return caller.Caller{}, nil, time.Time{}, failure
	case who.Method != caller.MethodOIDC:
		return refuse(errNotAnIDToken)
	case claimed.Expires.IsZero():
		return refuse(errNoExpiry)
	}
	claims, ok := token.Payload(request.ClaimToken)
	if !ok {
		return refuse(errNotAToken)
	}
	return who, claims, claimed.Expires, nil
}

// bound is what of the asks the caller's token reaches for, if it is ours. One with the word for it stands for the caller; another
// gives no more than its scopes say, and only at its own audience.
func (p *party) bound(from *snapshot.Snapshot, asks []permission.Ask, audience string) (reached []permission.Ask, whole bool, failure *Error) {
	if p.held == nil || standsFor(&p.held.Signed) {
		return asks, true, nil
	}
	has := scopesOf(&p.held.Signed)
	if p.held.Audience != audience || len(has) == 0 {
		return nil, false, &Error{
			Kind: InsufficientScope, Message: "the token does not stand for the caller here: ask for one with the scope " + issue.ScopeUMA,
		}
	}
	reached, whole = permission.Within(from.Resources, audience, asks, has)
	return reached, whole, nil
}

// mayReach asks policy whether a token of ours may be used for another audience than its own, as in an exchange.
func (g *Granter) mayReach(p *party, progress *issue.Request) *Error {
	progress.NotAfter, progress.Client = p.notAfter, p.client
	if p.held == nil {
		return nil
	}
	notAfter := progress.NotAfter
	if err := derive(progress, p.held, progress.Audience.Name); err != nil {
		return &Error{Kind: BadCredentials, Message: "the token was not accepted", Cause: err}
	}
	if notAfter.Before(progress.NotAfter) {
		progress.NotAfter = notAfter
	}
	crossing := &Request{Bearer: p.held.ID, BearerAudience: p.held.Audience, Audience: progress.Audience.Name}
	return g.mayExchange(crossing, progress)
}

// ticketed are the permissions of a ticket that a resource server asks for. The same resource twice is one, with the scopes of both.
func ticketed(from *snapshot.Snapshot, audience string, asked []token.Permission) ([]token.Permission, *Error) {
	if len(asked) == 0 || len(asked) > permission.MaxInTicket {
		return nil, &Error{Kind: InvalidRequest, Message: "there must be 1 to 256 permissions"}
	}
	var list []token.Permission
	for _, p := range asked {
		r := from.Resources.ByID(audience, p.ID)
		if r == nil {
			return nil, &Error{Kind: InvalidResource, Message: "the resource is not known at this audience"}
		}
		for _, s := range p.Scopes {
			if !r.Has(s) {
				return nil, &Error{Kind: InvalidScope, Message: "the resource has no such scope"}
			}
		}
		if problem := permission.ClaimsProblem(p.Claims); problem != "" {
			return nil, &Error{Kind: InvalidRequest, Message: problem}
		}
		at := slices.IndexFunc(list, func(have token.Permission) bool { return have.ID == p.ID })
		if at < 0 {
			list = append(list, token.Permission{ID: p.ID, Scopes: slices.Clone(p.Scopes), Claims: p.Claims})
			continue
		}
		if !permission.SameClaims(list[at].Claims, p.Claims) {
			return nil, &Error{Kind: InvalidRequest, Message: "two permissions of one resource have different claims"}
		}
		if len(p.Scopes) == 0 || len(list[at].Scopes) == 0 {
			list[at].Scopes = nil // all of them
			continue
		}
		list[at].Scopes = append(list[at].Scopes, p.Scopes...)
	}
	for n := range list {
		slices.Sort(list[n].Scopes)
		list[n].Scopes = slices.Compact(list[n].Scopes)
	}
	return list, nil
}
