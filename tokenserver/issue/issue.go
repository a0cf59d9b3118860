package issue

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/go-logr/logr"

	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

const (
	// MinLifetime is the shortest token.
	MinLifetime = token.MinLifetime
	// MaxToken is the longest token in bytes: proxies in front of registries commonly refuse headers past 8 KiB.
	MaxToken = 7 << 10
	// Backdate is how far iat and nbf lie in the past, for verifiers whose clock is behind; zot allows no leeway.
	Backdate = time.Minute
)

// The errors of Registry and Access.
var (
	// ErrNoKey says that nothing can be signed for the audience at present. If the server is cut off from the cluster the
	// error wraps snapshot.ErrStale, too.
	ErrNoKey = errors.New("no usable signing key")
	// ErrTooLarge says that the token would be longer than MaxToken.
	ErrTooLarge = errors.New("the token would be too long")
	// ErrAudit says that the record could not be written, so that the token was thrown away.
	ErrAudit = errors.New("the token could not be recorded")
	// ErrConflict says that policies give the caller different values for one claim.
	ErrConflict = errors.New("policies contradict each other about a claim")
	// ErrEnds says that what the token would come from ends too soon for a token.
	ErrEnds = errors.New("a token could not live for a minute")
)

// Issuer makes tokens. All fields but Explain, Lists, Fence and Log are required.
type Issuer struct {
	// Name is the iss of every token.
	Name    string
	Audit   *audit.Log
	Metrics *metrics.Metrics
	// Random is where token ids come from.
	Random io.Reader
	// Explain puts the policies behind each grant into the audit record.
	Explain bool
	// Lists is the URL below which verifiers find status lists; empty: there are none, and no tokens without an expiry.
	Lists string
	// Fence says whether the view of the cluster is young enough to sign by; nil: always.
	Fence *snapshot.Fence
	// Log is told of policies whose expression gives no answer, each once in a while.
	Log logr.Logger

	told told
}

// Request is one ask for a token, by a caller who has been proved.
type Request struct {
	// ID and Grant name the request and its grant in the audit record.
	ID, Grant string
	Caller    caller.Caller
	// Audience and Policies come from one snapshot.
	Audience *snapshot.Audience
	Policies *policy.Index
	Scopes   []scope.Scope
	// SourceIP is the zero Addr if it is not known.
	SourceIP netip.Addr
	// ClientID and Account are claims that nobody proved. They go into the audit record and nowhere else.
	ClientID, Account string
	// Client is the client as proved; empty: the caller is its own client. An access token says so.
	Client string
	// NotAfter is what the token must not outlive; zero: nothing but its own lifetime.
	NotAfter time.Time
	// SubjectTokenID is the jti of the token that came, if one did and it was good: its issuer may be anybody whom a provider trusts.
	SubjectTokenID string
	// Through are the audiences that the token came through by exchanges. An access token says so.
	Through []string
	// NATS asks for what the caller may do to NATS subjects. Only a token of the Provide Ident API says so.
	NATS bool
	// UMA asks for the word with which the caller's access token stands for the caller at protected resources.
	UMA bool
	// Ids are what policies must say of the caller for there to be a token of the Provide Ident API.
	Ids Ids
	// Credential and the caller's AuthTime go into a token of the Provide Ident API that is made by a password.
	Credential string
	// RefreshID is the id of the refresh token that came, or that goes with the answer.
	RefreshID string
	// TicketID is the id of the permission ticket that came.
	TicketID string
	Time     time.Time
}

// Token is what was issued.
type Token struct {
	// Text is the compact JWS, ID its jti.
	Text, ID string
	// Granted is what the token is good for; never more than was asked.
	Granted []scope.Scope
	// Application are the claims that policies add.
	Application map[string]json.RawMessage
	// NATS says whether the token says what its bearer may do at NATS servers, and UMA whether it stands for the caller at
	// protected resources.
	NATS, UMA bool
	IssuedAt  time.Time
	// ExpiresIn counts from IssuedAt, in whole seconds; zero for a token without an expiry.
	ExpiresIn time.Duration
}

// Registry issues a token of the Docker token protocol. Its claims are the part of what was asked that the policies
// grant, which may be nothing: that is a token too, and how a client learns that a login is right.
func (i *Issuer) Registry(request *Request) (Token, error) { return i.issue(request, registryToken{}) }

// Access issues a token of RFC 9068 for a service: what the policies grant of the scopes, of every type but those that have a
// place of their own, and the application's claims. The error is ErrConflict if policies contradict each other about those.
func (i *Issuer) Access(request *Request) (Token, error) { return i.issue(request, accessToken{}) }

// issue goes through the same steps for both.
func (i *Issuer) issue(request *Request, as kind) (Token, error) {
	lifetime, err := i.usable(request.Audience, request.Time)
	if err != nil {
		return Token{}, err
	}
	verdict, err := i.decide(request, as)
	if err != nil {
		return Token{}, err
	}
	minted, record, err := i.mint(request, as, verdict, lifetime)
	if err != nil {
		return Token{}, err
	}
	if err := i.Audit.Write(&record); err != nil {
		i.Metrics.AuditFailure()
		return Token{}, fmt.Errorf("%w: %w", ErrAudit, err)
	}
	i.Metrics.Token(request.Grant, request.Audience.Name)
	return minted, nil
}

// Usable returns how long a token could live, or ErrNoKey if none can be signed for the request's audience at present.
func (i *Issuer) Usable(request *Request) (time.Duration, error) {
	return i.usable(request.Audience, request.Time)
}

// usable returns how long a token may live if the audience's key may sign now. A replica that nobody tells about a
// rotation stops by itself, and one that is cut off before that.
//
// The time is that of the request, from which the token's life counts as well: one that was slow to be signed is not good
// for longer.
func (i *Issuer) usable(audience *snapshot.Audience, now time.Time) (time.Duration, error) {
	if err := i.Fence.Check(now); err != nil {
		return 0, fmt.Errorf("%w for audience %q: %w", ErrNoKey, audience.Name, err)
	}
	signer := audience.Signer
	if signer == nil {
		return 0, fmt.Errorf("%w for audience %q: %s", ErrNoKey, audience.Name, audience.Unusable)
	}
	if until := signer.SignUntil(); !until.IsZero() && !now.Before(until) {
		return 0, fmt.Errorf("%w for audience %q: the key was to sign until %s", ErrNoKey, audience.Name, until.Format(time.RFC3339))
	}
	lifetime := min(audience.TokenLifetime, signer.LongestLifetime()).Truncate(time.Second)
	if lifetime < MinLifetime {
		return 0, fmt.Errorf("%w for audience %q: a token could live %s only", ErrNoKey, audience.Name, lifetime)
	}
	return lifetime, nil
}

// mint signs what was decided and says so in a record.
func (i *Issuer) mint(request *Request, as kind, verdict verdict, lifetime time.Duration) (Token, audit.Record, error) {
	id, err := as.newID(i.Random)
	if err != nil {
		return Token{}, audit.Record{}, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	issued := request.Time.Truncate(time.Second)
	expires := verdict.expiry(issued.Add(lifetime))
	if expires.Sub(issued) < MinLifetime {
		return Token{}, audit.Record{}, fmt.Errorf("%w: it would end at %s", ErrEnds, expires.UTC().Format(time.RFC3339))
	}
	minted, record, err := i.sign(request, as, &verdict, times{issued.Add(-Backdate).Unix(), expires.Unix()}, id)
	minted.ExpiresIn, record.Expires = expires.Sub(issued), expires.UTC()
	return minted, record, err
}

// sign makes the token and the record of it, but for when it ends.
func (i *Issuer) sign(request *Request, as kind, verdict *verdict, at times, id string) (Token, audit.Record, error) {
	typ, claims := as.claims(request, verdict, at, i.Name, id)
	text, err := request.Audience.Signer.Sign(typ, claims)
	switch {
	case err != nil:
		return Token{}, audit.Record{}, fmt.Errorf("%w for audience %q: %w", ErrNoKey, request.Audience.Name, err)
	case len(text) > MaxToken:
		return Token{}, audit.Record{}, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(text))
	}
	minted := Token{
		Text: text, ID: id, Granted: verdict.granted, Application: verdict.application, IssuedAt: request.Time.Truncate(time.Second),
		NATS: verdict.nats != nil, UMA: as.standsFor(request),
	}
	record := request.Record(audit.Issued)
	record.TokenID, record.KeyID = id, request.Audience.Signer.KeyID()
	as.describe(&record, verdict)
	return minted, record, nil
}
