package grant

import (
	"context"
	"errors"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/revocation"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// Held is a token of ours that somebody holds, whatever its form.
type Held struct {
	// ID is its jti, or the id of its record.
	ID string
	// Subject is the user name; empty for a token of nobody in particular.
	Subject  string
	Audience string
	// Issued, NotBefore and Expires are in whole seconds; NotBefore of a refresh token is zero.
	Issued, NotBefore, Expires time.Time
	// Signed is what a signed token says; zero for a refresh token.
	Signed token.Verified
	// Record is that of a recorded token.
	Record *v1alpha1.IssuedToken
}

// IsRefresh says whether it is a refresh token.
func (h *Held) IsRefresh() bool {
	return h.Record != nil && h.Record.Spec.Type == v1alpha1.RefreshToken
}

// errNoEnd says that a signed token has neither an expiry nor a record.
var errNoEnd = errors.New("the token has neither an expiry nor a record")

// Held returns the token if it is ours, of one of the types or a refresh token, and neither expired nor revoked. An error
// that wraps record.ErrUnavailable says that this cannot be told at present; any other, that it is not.
func (g *Granter) Held(ctx context.Context, from *snapshot.Snapshot, text string, now time.Time, types ...string) (Held, error) {
	if opaque.IsRefresh(text) {
		found, err := g.recordOf(ctx, from, text, now)
		if err != nil {
			return Held{}, err
		}
		return Held{
			ID: found.Spec.ID, Subject: found.Spec.Subject.Username, Audience: string(found.Spec.Audience), Record: found,
			Issued: found.CreationTimestamp.Time, Expires: revocation.Time(found.Spec.Expires),
		}, nil
	}
	signed, err := from.Verify(text, g.Issuer.Name, now, types...)
	if err != nil {
		return Held{}, err
	}
	h := Held{
		ID: signed.ID, Subject: signed.Subject, Audience: signed.Audience, Signed: signed,
		Issued: time.Unix(signed.IssuedAt, 0), NotBefore: time.Unix(signed.NotBefore, 0), Expires: time.Unix(signed.Expiry, 0),
	}
	if err := g.notRevoked(ctx, &h, now); err != nil {
		return Held{}, err
	}
	return h, nil
}

// notRevoked asks the revocations about a signed token, and its record if it is a recorded one.
func (g *Granter) notRevoked(ctx context.Context, h *Held, now time.Time) error {
	_, recorded := slot.Parse(h.ID)
	switch {
	case g.Records == nil && (recorded || h.Signed.Expiry == 0):
		return errNoRecords
	case g.Records == nil:
		return nil
	case !recorded && h.Signed.Expiry == 0:
		return errNoEnd
	}
	index := g.Records.Index()
	if index.Revocations().Token(h.ID) || h.Subject != "" && index.Revocations().Subject(h.Subject, h.Audience, h.Issued) {
		return errRevoked
	}
	switch {
	case !recorded:
		return nil
	case g.Current != nil && !g.Current(): // it lives for long: what was revoked a moment ago matters
		return errNotCurrent
	}
	found, err := g.Records.Get(ctx, h.ID)
	switch {
	case err != nil:
		return err
	case found.Spec.Type != v1alpha1.AccessToken || string(found.Spec.Audience) != h.Audience:
		return errWrongRecord
	case !index.Live(found, now):
		return errRevoked
	}
	h.Record = found
	if h.Signed.Expiry == 0 {
		h.Expires = revocation.Time(found.Spec.Expires)
	}
	return nil
}

// Usable asks the provider about a recorded token, and of a refresh token the policies, as its next use will: nil if that would
// get a token from an address that is not known. For other tokens there is nothing to ask: they are good until they end.
func (g *Granter) Usable(from *snapshot.Snapshot, h *Held, now time.Time) error {
	if h.Record == nil {
		return nil
	}
	if !h.IsRefresh() {
		_, err := proveAgain(from, h.Record)
		return err
	}
	audience, known := from.Audiences[h.Audience]
	if !known {
		return errForAnother
	}
	who, err := proveAgain(from, h.Record)
	if err != nil {
		return err
	}
	if !stillAllowed(&issue.Request{Caller: who, Audience: audience, Policies: from.Policies, Time: now}, h.Record) {
		return errNotAllowed
	}
	return nil
}

// May says whether policies let the caller do something with the tokens of an audience, by a rule of type oauth.
func (g *Granter) May(from *snapshot.Snapshot, who caller.Caller, request *Request, audience, action string) bool {
	ask := about(from, who, request, audience)
	return ask != nil && g.Issuer.May(ask, policy.Resource{Type: v1alpha1.TypeOAuth, Name: audience}, action)
}

// Is says whether policies say of the caller, in the claim prvd, all that the ids do.
func (g *Granter) Is(from *snapshot.Snapshot, who caller.Caller, request *Request, audience string, ids issue.Ids) bool {
	ask := about(from, who, request, audience)
	if ask == nil {
		return false
	}
	ask.Ids = ids
	return g.Issuer.CheckIds(ask) == nil
}

// about asks about a caller at an audience; nil if there is none.
func about(from *snapshot.Snapshot, who caller.Caller, request *Request, audience string) *issue.Request {
	known, ok := from.Audiences[audience]
	if !ok {
		return nil
	}
	return &issue.Request{
		ID: request.ID, Caller: who, Audience: known, Policies: from.Policies, SourceIP: request.Source, Time: request.Time,
	}
}

// IsUnavailable says whether an error of Held or Usable means that nothing is known at present.
func IsUnavailable(err error) bool {
	return errors.Is(err, record.ErrUnavailable) || errors.Is(err, identity.ErrUnavailable)
}
