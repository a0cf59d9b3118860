package ident

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Names label the endpoints in metrics and logs.
const (
	NameAuthenticate = "ident_authenticate"
	NameTokens       = "ident_tokens"
	NameToken        = "ident_token"
	NameKeys         = "ident_keys"
)

// Paths of the endpoints, below the root and the prefix.
const (
	PathAuthenticate = "/api/v1/authenticate"
	PathTokens       = "/api/v1/tokens"
	PathToken        = "/api/v1/tokens/{id}"
	PathKeys         = "/.well-known/keys"
)

// Methods of the endpoints.
func (*Server) Methods(name string) []string {
	switch name {
	case NameTokens:
		return []string{http.MethodGet, http.MethodPost}
	case NameToken:
		return []string{http.MethodDelete}
	case NameKeys:
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{http.MethodPost}
}

// Server answers all endpoints. All fields are required.
type Server struct {
	Granter *grant.Granter
	// Audience is what the API's own tokens are for: those that it issues unless asked otherwise, and the only ones that it
	// takes as bearers.
	Audience string
	// KeysMaxAge is how long a verifier may keep the keys.
	KeysMaxAge time.Duration
	// Wait says how long a caller must wait before another record or revocation is stored for it.
	Wait func(username string, now time.Time) time.Duration
}

// Tokens has the form of httpx.Endpoint's Handle: /api/v1/tokens.
func (s *Server) Tokens(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	if r.Method == http.MethodPost {
		return s.Authorize(w, r, x)
	}
	return s.List(w, r, x)
}

// request is what all requests for tokens have in common.
func (s *Server) request(x *httpx.Exchange) *grant.Request {
	return &grant.Request{ID: x.ID, Time: x.Start, Source: x.Source, Audience: s.Audience, Access: true, Ident: true}
}

// bearer reads the bearer token of a request.
func bearer(r *http.Request) (string, error) {
	given, err := httpx.ReadAuthorization(r.Header)
	switch {
	case errors.Is(err, httpx.ErrMalformed):
		return "", unauthorized("the Authorization header is malformed", nil)
	case err != nil:
		return "", err
	case given.Scheme != httpx.Bearer || given.Token == "":
		return "", unauthorized("a bearer token is missing", nil)
	}
	return given.Token, nil
}

// session says who came with a bearer token, and from which snapshot that is known.
func (s *Server) session(ctx context.Context, r *http.Request, x *httpx.Exchange) (grant.Session, *snapshot.Snapshot, error) {
	text, err := bearer(r)
	if err != nil {
		return grant.Session{}, nil, err
	}
	from := s.Granter.Snapshots.Load()
	who, failure := s.Granter.Session(ctx, from, text, s.Audience, x.Start)
	if failure != nil {
		return grant.Session{}, nil, translate(failure)
	}
	return who, from, nil
}
