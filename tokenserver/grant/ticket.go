package grant

import (
	"context"
	"errors"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const (
	// maxSubmitted is of how many resources the owners are asked at once.
	maxSubmitted = 16
	// askAgain is when a client may look whether an owner has decided.
	askAgain = time.Minute
)

// errNoTickets is the answer of a server that could not say of a ticket whether it was used.
var errNoTickets = Error{
	Kind: InvalidRequest, Message: "this server runs without a cluster, and has no permission tickets: ask with audience and permission",
}

// NewTicket returns a permission ticket that the resource server of a session asks for: see PAT. Nothing is stored.
func (g *Granter) NewTicket(ctx context.Context, from *snapshot.Snapshot, pat *Session, request *Request, asked []token.Permission) (string, *Error) {
	progress := &issue.Request{
		ID: request.ID, Grant: nameTicket, SourceIP: request.Source, Time: request.Time, Caller: pat.Caller,
		SubjectTokenID: pat.Held.ID, Audience: from.Audiences[pat.Held.Audience], Policies: from.Policies,
	}
	text, failure := g.newTicket(from, progress, issue.By(pat.Caller), asked)
	if failure != nil {
		g.refused(progress, failure)
	}
	return text, failure
}

func (g *Granter) newTicket(
	from *snapshot.Snapshot, progress *issue.Request, by issue.ResourceServer, asked []token.Permission,
) (string, *Error) {
	switch {
	case g.Records == nil:
		failure := errNoTickets
		return "", &failure
	case progress.Audience == nil:
		return "", &Error{Kind: UnknownAudience, Message: "the audience is not known here"}
	}
	permissions, failure := ticketed(from, progress.Audience.Name, asked)
	if failure != nil {
		return "", failure
	}
	for _, p := range permissions {
		r := from.Resources.ByID(progress.Audience.Name, p.ID)
		progress.Scopes = append(progress.Scopes, scope.Scope{Type: r.Type, Name: r.ID, Actions: p.Scopes})
	}
	text, err := g.Issuer.Ticket(progress, by, permissions)
	switch {
	case errors.Is(err, issue.ErrTicketTooLarge):
		return "", &Error{Kind: InvalidRequest, Message: "the ticket would be longer than 7 KiB: ask for fewer permissions", Cause: err}
	case err != nil:
		return "", issueError(err)
	}
	return text, nil
}

// ticket verifies a permission ticket, and looks whether it was used.
func (g *Granter) ticket(from *snapshot.Snapshot, request *UMARequest, progress *issue.Request) (*token.Verified, *Error) {
	if g.Records == nil {
		failure := errNoTickets
		return nil, &failure
	}
	signed, err := from.Verify(request.Ticket, g.Issuer.Name, request.Time, token.TypeTicket)
	progress.TicketID = signed.ID // empty unless we signed it and it is good now
	revocations := g.Records.Index().Revocations()
	message := ""
	switch {
	case errors.Is(err, token.ErrExpired):
		message = "the permission ticket has expired"
	case err != nil || signed.Expiry == 0:
		message = "the permission ticket is not one of this server"
	case request.Audience != "" && request.Audience != signed.ResourceServer:
		message = "the permission ticket is of another resource server"
	case revocations.Token(signed.ID):
		message = messageSpent
	case revocations.Subject(signed.RequestedBy, signed.ResourceServer, time.Unix(signed.IssuedAt, 0)):
		message = "the permission ticket was revoked"
	default:
		return &signed, nil
	}
	return nil, &Error{Kind: InvalidTicket, Message: message, Cause: err}
}

const messageSpent = "the permission ticket was used before"

// spend uses up a ticket. Without a stored word of it there is no answer.
func (g *Granter) spend(ctx context.Context, progress *issue.Request, ticket *token.Verified) *Error {
	if ticket == nil {
		return nil
	}
	if failure := g.mayStore(progress); failure != nil {
		return failure
	}
	switch err := g.Records.Spend(ctx, ticket.ID, time.Unix(ticket.Expiry, 0)); {
	case err == nil:
		return nil
	case errors.Is(err, record.ErrSpent):
		return &Error{Kind: InvalidTicket, Message: messageSpent, Cause: err}
	default:
		return &Error{
			Kind: Unavailable, Message: "that the ticket is used cannot be stored at present",
			RetryAfter: max(retryAfter, record.RetryAfter(err)), Cause: err,
		}
	}
}

// mayStore bounds how many objects a caller has stored.
func (g *Granter) mayStore(progress *issue.Request) *Error {
	if g.Stores == nil {
		return nil
	}
	wait := g.Stores.Wait(progress.Caller.Username, progress.Time)
	if wait <= 0 {
		return nil
	}
	return &Error{Kind: TooManyRequests, Message: "too much is stored for the caller: try again later", RetryAfter: max(wait, time.Second)}
}

// owners are the denied asks whose resources have somebody who may be asked.
func (g *Granter) owners(request *UMARequest, progress *issue.Request, a *asked) ([]permission.Ask, *Error) {
	wanted := request.Submit || request.SubmitOne && len(a.Denied) == 1
	if !wanted || g.Requests == nil || !a.denied(request) {
		return nil, nil
	}
	var owned []permission.Ask
	for _, ask := range a.Denied {
		if ask.Resource.OwnerManaged && ask.Resource.Owner != progress.Caller.Username {
			owned = append(owned, ask)
		}
	}
	if len(owned) > maxSubmitted {
		return nil, &Error{Kind: InvalidRequest, Message: "the owners of at most 16 resources can be asked at once"}
	}
	return owned, nil
}

// deny says no. Where owners may be asked, that is stored first.
func (g *Granter) deny(
	ctx context.Context, from *snapshot.Snapshot, progress *issue.Request, ticket *token.Verified, owners []permission.Ask,
) *Error {
	denied := &Error{Kind: RequestDenied, Message: "no policy grants what was asked for"}
	if len(owners) > 0 && ticket != nil && !g.stillProtects(from, progress, ticket) {
		return denied
	}
	var taken []permission.Ask
	for _, ask := range owners {
		if failure := g.mayStore(progress); failure != nil {
			return failure
		}
		switch err := g.Requests.Submit(ctx, progress.Caller.Username, ask.Resource, ask.Scopes); {
		case err == nil:
			taken = append(taken, ask)
		case errors.Is(err, permission.ErrNotTaken):
		default:
			return &Error{Kind: Unavailable, Message: "the owners cannot be asked at present", RetryAfter: retryAfter, Cause: err}
		}
	}
	if len(taken) == 0 {
		return denied
	}
	failure := &Error{Kind: RequestSubmitted, Message: "the owners were asked", Interval: askAgain}
	if ticket == nil {
		return failure
	}
	again, err := g.another(progress, ticket, taken)
	if err != nil {
		return issueError(err)
	}
	failure.Ticket = again
	return failure
}

// stillProtects asks policy whether who asked for a ticket may still do so: its next one would else be for as long as somebody
// asks. From where it would ask is not known.
func (g *Granter) stillProtects(from *snapshot.Snapshot, progress *issue.Request, ticket *token.Verified) bool {
	who, err := identity.Recall(from, ticket.RequestedBy, ticket.Provider, time.Unix(ticket.IssuedAt, 0))
	return err == nil && g.May(from, who, &Request{ID: progress.ID, Time: progress.Time}, ticket.ResourceServer, issue.ActionUMA)
}

// another is a ticket of the same resource server as one that was used, for what its owner was asked. What the resource server said
// of the request before is not said of the next one: that may come much later, and so on without end.
func (g *Granter) another(progress *issue.Request, ticket *token.Verified, asks []permission.Ask) (string, error) {
	next := *progress
	next.Grant, next.Client, next.Scopes = nameTicket, ticket.RequestedBy, nil
	permissions := make([]token.Permission, len(asks))
	for n, ask := range asks {
		permissions[n] = token.Permission{ID: ask.Resource.ID, Scopes: ask.Scopes}
		next.Scopes = append(next.Scopes, scope.Scope{Type: ask.Resource.Type, Name: ask.Resource.ID, Actions: ask.Scopes})
	}
	by := issue.ResourceServer{Username: ticket.RequestedBy, Provider: ticket.Provider}
	return g.Issuer.Ticket(&next, by, permissions)
}
