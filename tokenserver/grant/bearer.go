package grant

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/metrics"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// Bearer is the grant of the Provide Ident API: an access token of ours, for the API's own audience, for another token.
type Bearer struct{}

// Name implements Grant.
func (Bearer) Name(*Request) string { return nameBearer }

// Check implements Grant.
func (Bearer) Check(request *Request) *Error {
	if request.Bearer == "" {
		return &Error{Kind: BadCredentials, Message: "a bearer token is missing"}
	}
	return needsAudience(request)
}

// proofLasts is for how long a password that was proved is good for tokens that last.
const proofLasts = 5 * time.Minute

// What is wrong with a bearer token, for the log.
var (
	errRefreshAsBearer = errors.New("a refresh token is no bearer token")
	errStaleProof      = errors.New("the password was proved too long ago, or is another one now")
)

// Session is who came with a bearer token.
type Session struct {
	Caller caller.Caller
	Held   Held
	// Fresh says that the token was made by a password a short time ago, which is still the same. Then the caller has the
	// method and the time of that password; else its method is caller.MethodToken.
	Fresh bool
}

// Session says who came with a bearer token: an access token of ours, for the audience, neither expired nor revoked, of a user
// whom a provider still has.
func (g *Granter) Session(ctx context.Context, from *snapshot.Snapshot, text, audience string, now time.Time) (Session, *Error) {
	s, err := g.session(ctx, from, text, audience, now)
	switch {
	case err == nil:
		g.Metrics.Authentication(string(s.Caller.Method), metrics.AuthenticationOK)
		return s, nil
	case IsUnavailable(err) || errors.Is(err, snapshot.ErrStale):
		g.Metrics.Authentication("unknown", metrics.AuthenticationUnavailable)
		return Session{}, &Error{
			Kind: Unavailable, Message: "the token cannot be verified at present", RetryAfter: retryAfter, Cause: err,
		}
	}
	g.Metrics.Authentication("unknown", metrics.AuthenticationRefused)
	return Session{}, &Error{Kind: BadCredentials, Message: "the token was not accepted", Cause: err}
}

func (g *Granter) session(ctx context.Context, from *snapshot.Snapshot, text, audience string, now time.Time) (Session, error) {
	if opaque.IsRefresh(text) {
		return Session{}, errRefreshAsBearer
	}
	// A server that is cut off does not know what was revoked.
	if err := g.Issuer.Fence.Check(now); err != nil {
		return Session{}, err
	}
	held, err := g.Held(ctx, from, text, now, token.TypeAccess)
	switch {
	case err != nil:
		return Session{}, err
	case held.Audience != audience:
		return Session{}, errForAnother
	}
	s := Session{Held: held}
	if s.Caller, err = recalled(from, &s.Held); err != nil || held.Record != nil {
		return s, err
	}
	if fresh, ok := takenUp(from, &s, now); ok {
		s.Caller, s.Fresh = fresh, true
	}
	return s, nil
}

// takenUp is the caller as the password proved it, if that was a short time ago and the password is the same.
func takenUp(from *snapshot.Snapshot, s *Session, now time.Time) (caller.Caller, bool) {
	var says struct {
		AuthTime   int64  `json:"auth_time"`
		Credential string `json:"tokenwright.dev/credential"` // token.ClaimCredential
	}
	if json.Unmarshal(s.Held.Signed.Claims, &says) != nil || says.Credential == "" {
		return caller.Caller{}, false
	}
	proof := identity.Proof{Provider: s.Caller.Provider, Credential: says.Credential}
	for _, p := range from.Providers {
		if p.Name == proof.Provider {
			proof.ProviderUID = p.UID // the digest is of the provider's uid, too
		}
	}
	proved := time.Unix(says.AuthTime, 0)
	who, err := identity.Resume(from, s.Held.Subject, proof, identity.InClaim, proved)
	return who, err == nil && justProved(who, now)
}

// justProved says whether a password proved the caller a short time ago.
func justProved(who caller.Caller, now time.Time) bool {
	age := now.Sub(who.AuthTime)
	return who.Method == caller.MethodPassword && age >= 0 && age <= proofLasts
}

// bearer proves the caller by the bearer token. Unless its password was just proved, the new token gets no more than the one
// that came has, and does not outlive it.
func (g *Granter) bearer(ctx context.Context, from *snapshot.Snapshot, request *Request, progress *issue.Request) (caller.Caller, *Error) {
	s, failure := g.Session(ctx, from, request.Bearer, request.BearerAudience, request.Time)
	if failure != nil || s.Fresh {
		progress.SubjectTokenID = s.Held.ID
		return s.Caller, failure
	}
	if s.Held.Expires.Sub(request.Time) < issue.MinLifetime {
		return caller.Caller{}, &Error{Kind: BadCredentials, Message: "the token was not accepted", Cause: errEndsTooSoon}
	}
	if err := derive(progress, &s.Held, request.Audience); err != nil {
		return caller.Caller{}, &Error{Kind: BadCredentials, Message: "the token was not accepted", Cause: err}
	}
	return s.Caller, nil
}

// credential is what a token says of the password that just came with the request; nothing if there was none, or if it could
// not be taken up again.
func credential(from *snapshot.Snapshot, request *Request, who caller.Caller) string {
	if !request.Ident || !request.Credentials.Present || who.Method != caller.MethodPassword {
		return ""
	}
	proof, err := identity.ProofOf(from, who, identity.InClaim)
	if err != nil {
		return ""
	}
	return proof.Credential
}
