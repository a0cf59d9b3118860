package grant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/revocation"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// RefreshToken is grant_type=refresh_token (RFC 6749, section 6). The token does not change: clients of registries store
// none other.
type RefreshToken struct{}

// Name implements Grant.
func (RefreshToken) Name(*Request) string { return nameRefresh }

// Check implements Grant.
func (RefreshToken) Check(request *Request) *Error {
	if request.Refresh == "" {
		return &Error{Kind: InvalidRequest, Message: "refresh_token is missing"}
	}
	return needsAudience(request)
}

// What is wrong with a refresh token, for the log. A client is told no more than that it was not accepted.
var (
	errNoRecords   = errors.New("this server has no records")
	errRevoked     = errors.New("the refresh token was revoked")
	errWrongRecord = errors.New("the refresh token is not that of its record")
	errForAnother  = errors.New("the refresh token is for another audience")
	errNotCurrent  = fmt.Errorf("%w: the API server is away, and with it what was revoked since", record.ErrUnavailable)
	errNotAllowed  = errors.New("no policy lets the caller have refresh tokens any more")
)

// resume proves the caller by a refresh token. Nobody looks for a record before the seal has shown that it is ours.
func (g *Granter) resume(ctx context.Context, from *snapshot.Snapshot, request *Request) (caller.Caller, *v1alpha1.IssuedToken, *Error) {
	who, found, err := g.open(ctx, from, request)
	switch {
	case err == nil:
		g.Metrics.Authentication(nameRefresh, metrics.AuthenticationOK)
		return who, found, nil
	case errors.Is(err, record.ErrUnavailable):
		g.Metrics.Authentication(nameRefresh, metrics.AuthenticationUnavailable)
		return caller.Caller{}, nil, recordError(err)
	case errors.Is(err, identity.ErrUnavailable):
		g.Metrics.Authentication(nameRefresh, metrics.AuthenticationUnavailable)
		return caller.Caller{}, nil, authenticationError(err)
	}
	g.Metrics.Authentication(nameRefresh, metrics.AuthenticationRefused)
	return caller.Caller{}, nil, &Error{Kind: BadCredentials, Message: "the refresh token was not accepted", Cause: err}
}

func (g *Granter) open(ctx context.Context, from *snapshot.Snapshot, request *Request) (caller.Caller, *v1alpha1.IssuedToken, error) {
	found, err := g.recordOf(ctx, from, request.Refresh, request.Time)
	switch {
	case err != nil:
		return caller.Caller{}, nil, err
	case string(found.Spec.Audience) != request.Audience:
		return caller.Caller{}, nil, errForAnother
	}
	who, err := proveAgain(from, found)
	return who, found, err
}

// recordOf returns the record of a refresh token that is neither expired nor revoked.
func (g *Granter) recordOf(ctx context.Context, from *snapshot.Snapshot, text string, now time.Time) (*v1alpha1.IssuedToken, error) {
	if g.Records == nil {
		return nil, errNoRecords
	}
	opened, err := from.Seals.Open(text, now)
	if err != nil {
		return nil, err
	}
	if g.Current != nil && !g.Current() {
		return nil, errNotCurrent
	}
	revocations := g.Records.Index().Revocations()
	if revocations.Token(opened.ID) {
		return nil, errRevoked
	}
	found, err := g.Records.Get(ctx, opened.ID)
	if err != nil {
		return nil, err
	}
	spec := &found.Spec
	switch {
	case spec.Type != v1alpha1.RefreshToken || spec.ID != opened.ID || !opened.Matches(spec.SecretHash):
		return nil, errWrongRecord
	case !now.Before(revocation.Time(spec.Expires)):
		return nil, opaque.ErrNotOurs
	case revocations.Record(spec.Subject.Username, string(spec.Audience), found.CreationTimestamp.Time):
		return nil, errRevoked
	}
	return found, nil
}

// proveAgain asks the identity provider anew about the user of a refresh token.
func proveAgain(from *snapshot.Snapshot, found *v1alpha1.IssuedToken) (caller.Caller, error) {
	spec := &found.Spec
	proof := identity.Proof{Provider: spec.Provider.Name, ProviderUID: spec.Provider.UID, Credential: spec.Credential}
	return identity.Resume(from, spec.Subject.Username, proof, identity.InRecord, revocation.Time(spec.AuthTime))
}

// refresh returns the refresh token that goes with the answer, if any, and its record if it is a new one.
func (g *Granter) refresh(ctx context.Context, from *snapshot.Snapshot, request *Request, progress *issue.Request, resumed *v1alpha1.IssuedToken) (string, *v1alpha1.IssuedToken, *Error) {
	switch {
	case resumed != nil:
		progress.RefreshID = resumed.Spec.ID
		text, failure := g.again(request, progress, resumed)
		return text, nil, failure
	case request.AsClient || request.Subject != "":
		// What a client could have again at any time, or what came from another token, is not made to last.
		return "", nil, nil
	case request.Offline && g.Records != nil && justProved(progress.Caller, request.Time):
		return g.anew(ctx, from, request, progress)
	}
	return "", nil, nil
}

// again asks the policies anew about a refresh token that came.
func (g *Granter) again(request *Request, progress *issue.Request, resumed *v1alpha1.IssuedToken) (string, *Error) {
	if !stillAllowed(progress, resumed) {
		return "", &Error{Kind: BadCredentials, Message: "the refresh token was not accepted", Cause: errNotAllowed}
	}
	g.Records.Used(resumed.Spec.ID, request.Time)
	return request.Refresh, nil
}

// stillAllowed says whether the policies as they are let the caller have a refresh token of that age.
func stillAllowed(progress *issue.Request, resumed *v1alpha1.IssuedToken) bool {
	longest := progress.Policies.OfflineLongest(offlineRequest(progress))
	return longest > 0 && progress.Time.Before(resumed.CreationTimestamp.Add(longest))
}

// anew makes and stores a refresh token if policy allows one. If it cannot be stored there is no answer: a client that asked
// for one would keep the password instead.
func (g *Granter) anew(ctx context.Context, from *snapshot.Snapshot, request *Request, progress *issue.Request) (string, *v1alpha1.IssuedToken, *Error) {
	lifetime := min(offlineLifetime(progress), opaque.MaxLifetime).Truncate(time.Second)
	if lifetime <= 0 {
		return "", nil, nil
	}
	if _, err := g.Issuer.Usable(progress); err != nil {
		return "", nil, issueError(err)
	}
	if failure := g.mayLogIn(progress); failure != nil {
		return "", nil, failure
	}
	secret, err := opaque.NewSecret(g.Issuer.Random)
	if err != nil {
		return "", nil, recordError(err)
	}
	proof, err := identity.ProofOf(from, progress.Caller, identity.InRecord)
	if err != nil {
		return "", nil, recordError(err)
	}
	expires := request.Time.Truncate(time.Second).Add(lifetime)
	token := newRecord(request, progress, proof, expires)
	token.Spec.Type, token.Spec.SecretHash = v1alpha1.RefreshToken, secret.Hash()
	draw := slot.Draw
	if request.Ident {
		draw = slot.DrawUUID
	}
	if err := g.Records.Create(ctx, token, draw); err != nil {
		return "", nil, recordError(err)
	}
	text, err := from.Seals.Seal(token.Spec.ID, secret, expires)
	if err != nil {
		return "", nil, recordError(err)
	}
	progress.RefreshID = token.Spec.ID
	return text, token, nil
}

// mayLogIn bounds how many refresh tokens a user has made: each is an object, and past the twentieth a second one.
func (g *Granter) mayLogIn(progress *issue.Request) *Error {
	if g.Logins == nil {
		return nil
	}
	wait := g.Logins.Wait(progress.Caller.Username, progress.Time)
	if wait <= 0 {
		return nil
	}
	return &Error{Kind: TooManyRequests, Message: "too many refresh tokens were made for this user: try again later", RetryAfter: max(wait, time.Second)}
}

// newRecord is the record of a token, whose kind is not known yet.
func newRecord(request *Request, progress *issue.Request, proof identity.Proof, expires time.Time) *v1alpha1.IssuedToken {
	who := progress.Caller
	t := &v1alpha1.IssuedToken{Spec: v1alpha1.IssuedTokenSpec{
		Subject:    v1alpha1.RecordedSubject{Username: who.Username, UID: who.UID, Groups: who.Groups},
		Provider:   v1alpha1.RecordedProvider{Name: proof.Provider, UID: proof.ProviderUID},
		Credential: proof.Credential,
		AuthTime:   v1alpha1.NewDateTime(who.AuthTime),
		Audience:   v1alpha1.Audience(progress.Audience.Name),
		ClientID:   clientID(request.ClientID),
		Expires:    v1alpha1.NewDateTime(expires),
	}}
	return t
}

// offlineLifetime is how long a refresh token of the caller may live by the policies as they are.
func offlineLifetime(progress *issue.Request) time.Duration {
	return progress.Policies.OfflineLifetime(offlineRequest(progress))
}

func offlineRequest(progress *issue.Request) policy.Request {
	return policy.Request{
		Caller: progress.Caller, Audience: progress.Audience.Name, SourceIP: progress.SourceIP, Time: progress.Time,
		Admits: progress.Audience.Namespaces.Admits,
	}
}

// longestClientID is what a record has room for, in bytes.
const longestClientID = 253

// clientID is what a client calls itself, as far as a record can hold it.
func clientID(claimed string) string {
	if !printable(claimed) {
		return ""
	}
	return claimed[:min(len(claimed), longestClientID)]
}

func recordError(err error) *Error {
	if errors.Is(err, identity.ErrBadCredentials) {
		return authenticationError(err)
	}
	return &Error{
		Kind: Unavailable, Message: "refresh tokens can be neither stored nor read at present",
		RetryAfter: max(retryAfter, record.RetryAfter(err)), Cause: err,
	}
}
