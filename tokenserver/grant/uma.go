package grant

import (
	"context"
	"errors"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// RequestingParty answers an ask for permissions at protected resources (UMA 2.0, Grant, section 3.3), or returns an *Error. A
// refusal is audited too, as far as the audit log keeps up.
func (g *Granter) RequestingParty(ctx context.Context, request *UMARequest) (UMAAnswer, error) {
	progress := &issue.Request{ID: request.ID, Grant: nameUMA, SourceIP: request.Source, Time: request.Time}
	answer, failure := g.umaSteps(ctx, request, progress)
	if failure != nil {
		g.refused(progress, failure)
		return UMAAnswer{}, failure
	}
	return answer, nil
}

// umaSteps are the same for every ask, in this order.
func (g *Granter) umaSteps(ctx context.Context, request *UMARequest, progress *issue.Request) (UMAAnswer, *Error) {
	// 1. The request's own needs.
	if failure := request.check(); failure != nil {
		return UMAAnswer{}, failure
	}

	// 2. One snapshot.
	from := g.Snapshots.Load()

	// 3. Who asks. Nothing is said of a ticket to who proved nothing, and it stays good.
	party, failure := g.party(ctx, from, request)
	if failure != nil {
		return UMAAnswer{}, failure
	}
	progress.Caller = party.caller

	// 4. With what ticket.
	ticket, failure := g.cameWith(from, request, progress)
	if failure != nil {
		return UMAAnswer{}, failure
	}

	// 5. For what, at what resource server, and what the policies say of it.
	end, failure := g.Walks.begin(ctx, size(from, request))
	if failure != nil {
		return UMAAnswer{}, failure
	}
	defer end()
	asked, failure := g.decided(ctx, from, request, progress, party, ticket)
	if failure != nil {
		return UMAAnswer{}, failure
	}

	// 6. The ticket is used up, whatever the answer is. Of all who come with it, one gets past this.
	if failure := g.spend(ctx, progress, ticket); failure != nil {
		return UMAAnswer{}, failure
	}

	// 7. To store that takes a while. What was taken back in it must not be given.
	if now := g.Snapshots.Load(); ticket != nil && now != from {
		from = now
		if asked, failure = g.decided(ctx, from, request, progress, party, ticket); failure != nil {
			return UMAAnswer{}, failure
		}
	}

	// 8. Mint and audit, or say no.
	if asked.denied(request) {
		return UMAAnswer{}, g.deny(ctx, from, progress, ticket, asked.owners)
	}
	return g.answer(request, progress, party, asked)
}

// size is how many resources are asked about; a ticket has few.
func size(from *snapshot.Snapshot, request *UMARequest) int {
	query := request.Permissions
	switch {
	case request.Ticket != "":
		return permission.MaxInTicket
	case query == nil:
		query = &permission.Query{}
	}
	return query.Size(from.Resources, request.Audience)
}

// decided finds what is asked for, and asks the policies of a snapshot about it.
func (g *Granter) decided(
	ctx context.Context, from *snapshot.Snapshot, request *UMARequest, progress *issue.Request, p *party, ticket *token.Verified,
) (*asked, *Error) {
	if failure := g.resourceServer(from, request, progress, ticket); failure != nil {
		return nil, failure
	}
	if failure := g.mayReach(p, progress); failure != nil {
		return nil, failure
	}
	if failure := g.mayHaveRPT(request, progress); failure != nil {
		return nil, failure
	}
	a, failure := g.asked(ctx, from, request, progress, p, ticket)
	if failure != nil {
		return nil, failure
	}
	least := time.Duration(0)
	if request.Mode == ModeToken {
		least = issue.MinLifetime
	}
	g.Issuer.Decide(progress, &a.Permissions, least)
	a.owners, failure = g.owners(request, progress, a)
	return a, failure
}

// cameWith is the ticket that came; nil if none did.
func (g *Granter) cameWith(from *snapshot.Snapshot, request *UMARequest, progress *issue.Request) (*token.Verified, *Error) {
	// A server that is cut off knows neither what was spent and revoked, nor what is denied by now.
	if err := g.Issuer.Fence.Check(request.Time); err != nil {
		return nil, &Error{Kind: Unavailable, Message: "what is granted is not known at present", RetryAfter: retryAfter, Cause: err}
	}
	if request.Ticket == "" {
		return nil, nil
	}
	return g.ticket(from, request, progress)
}

// resourceServer finds the audience: that of the ticket, or the one that is named.
func (g *Granter) resourceServer(from *snapshot.Snapshot, request *UMARequest, progress *issue.Request, ticket *token.Verified) *Error {
	name := request.Audience
	if ticket != nil {
		name = ticket.ResourceServer
	}
	audience, known := from.Audiences[name]
	if !known {
		return &Error{Kind: UnknownAudience, Message: "the audience is not known here"}
	}
	progress.Audience, progress.Policies = audience, from.Policies
	return nil
}

// mayHaveRPT refuses what could not become a token, before a ticket is used up for it.
func (g *Granter) mayHaveRPT(request *UMARequest, progress *issue.Request) *Error {
	if request.Mode != ModeToken {
		return nil
	}
	if end := progress.NotAfter; !end.IsZero() && end.Sub(request.Time) < issue.MinLifetime {
		return &Error{Kind: BadCredentials, Message: "the token was not accepted", Cause: errEndsTooSoon}
	}
	if _, err := g.Issuer.Usable(progress); err != nil {
		return issueError(err)
	}
	return g.mayMint(progress)
}

// asked is what is asked for, and what comes of it.
type asked struct {
	issue.Permissions
	// whole says that nothing was left out that was named.
	whole bool
	// owners are the denied asks about which owners are to be asked.
	owners []permission.Ask
}

// asked finds the resources that are asked for, and those of an older token.
func (g *Granter) asked(
	ctx context.Context, from *snapshot.Snapshot, request *UMARequest, progress *issue.Request, p *party, ticket *token.Verified,
) (*asked, *Error) {
	a := &asked{whole: true}
	a.Claims, a.Most, a.Names = p.claims, request.Most, request.Names
	audience := progress.Audience.Name
	switch {
	case ticket != nil:
		permissions, err := ticket.Permissions()
		if err != nil {
			return nil, &Error{Kind: InvalidTicket, Message: "the permission ticket is not one of this server", Cause: err}
		}
		a.Asks, a.whole = permission.Of(from.Resources, audience, permissions, true)
	default:
		query := request.Permissions
		if query == nil {
			query = &permission.Query{}
		}
		var err error
		if a.Asks, err = query.Resolve(from.Resources, audience, p.caller.Username); err != nil {
			return nil, queryError(err)
		}
	}
	if request.RPT != "" {
		older, failure := g.former(ctx, from, request, p, audience)
		if failure != nil {
			return nil, failure
		}
		a.Asks = permission.Upgrade(older, a.Asks)
	}
	within, whole, failure := p.bound(from, a.Asks, audience)
	a.Asks, a.whole = within, a.whole && whole
	a.Describe(progress)
	return a, failure
}

// former are the asks of an older token, which must be the caller's, of the same resource server, and good.
func (g *Granter) former(ctx context.Context, from *snapshot.Snapshot, request *UMARequest, p *party, audience string) ([]permission.Ask, *Error) {
	held, err := g.Held(ctx, from, request.RPT, request.Time, token.TypeRPT)
	switch {
	case IsUnavailable(err):
		return nil, &Error{Kind: Unavailable, Message: "the rpt cannot be verified at present", RetryAfter: retryAfter, Cause: err}
	case err != nil || held.IsRefresh():
		return nil, &Error{Kind: InvalidRPT, Message: "the rpt is not one of this server, or is not good any more", Cause: err}
	case held.Subject != p.caller.Username || held.Audience != audience:
		return nil, &Error{Kind: InvalidRPT, Message: "the rpt is another user's, or of another resource server"}
	}
	permissions, err := held.Signed.Permissions()
	if err != nil {
		return nil, &Error{Kind: InvalidRPT, Message: "the rpt has no permissions", Cause: err}
	}
	asks, _ := permission.Of(from.Resources, audience, permissions, false)
	return permission.Until(asks, held.Expires), nil
}

func queryError(err error) *Error {
	kind := InvalidRequest
	switch {
	case errors.Is(err, permission.ErrUnknownResource):
		kind = InvalidResource
	case errors.Is(err, permission.ErrUnknownScope):
		kind = InvalidScope
	}
	return &Error{Kind: kind, Message: err.Error()}
}

// denied says whether the answer is no: nothing is granted, or not all that was named where a part is no answer. A yes must not
// stand for the half of a question, and a token that is upgraded has all that was wanted or stays as it is.
func (a *asked) denied(request *UMARequest) bool {
	if len(a.Granted) == 0 {
		return true
	}
	whole := a.whole && len(a.Denied) == 0
	return !whole && (request.RPT != "" || request.Mode == ModeDecision)
}

// answer gives what was asked for.
func (g *Granter) answer(request *UMARequest, progress *issue.Request, p *party, a *asked) (UMAAnswer, *Error) {
	answer := UMAAnswer{Upgraded: request.RPT != ""}
	if request.Mode != ModeToken {
		if err := g.Issuer.Decided(progress, &a.Permissions); err != nil {
			return UMAAnswer{}, issueError(err)
		}
		answer.Permissions = a.Answer.Permissions(request.Names)
		return answer, nil
	}
	form := issue.Form{UMA1: request.UMA1, Keycloak: request.Keycloak}
	if request.AccessToken && p.held != nil && p.held.Record == nil && p.held.Audience == progress.Audience.Name {
		// Ours, and nobody else's; for this resource server, which it would else let go to another in the caller's name; and not one
		// that lasts.
		form.AccessToken = request.Bearer
	}
	var err error
	answer.Token, err = g.Issuer.RPT(progress, &a.Permissions, form)
	switch {
	case errors.Is(err, issue.ErrTooLarge):
		return UMAAnswer{}, &Error{
			Kind: InvalidRequest, Cause: err,
			Message: "the token would be longer than 7 KiB: use response_permissions_limit, or response_mode=permissions",
		}
	case err != nil:
		return UMAAnswer{}, issueError(err)
	}
	return answer, nil
}
