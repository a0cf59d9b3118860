package oauth

import (
	"net/http"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// Names label the endpoints in metrics and logs.
const (
	NameIntrospect = "introspect"
	NameRevoke     = "revoke"
)

// Paths of the endpoints, below the root and the prefix.
const (
	PathIntrospect = "/introspect"
	PathRevoke     = "/revoke"
)

// Methods are what both endpoints answer.
func Methods() []string { return []string{http.MethodPost} }

// retryAfter is what a client is told when something is missing that the API server or a person brings.
const retryAfter = record.RetryLater

// Server answers both. Both fields are required.
type Server struct {
	Granter *grant.Granter
	// Limits bounds what callers have stored.
	Limits *record.Limits
}

// question is one request to either endpoint by a caller who has been proved.
type question struct {
	*grant.Request
	from  *snapshot.Snapshot
	who   caller.Caller
	token string
	hint  string
}

// types are the signed tokens that can be asked about.
func types() []string { return []string{token.TypeRegistry, token.TypeAccess, token.TypeRPT} }

// ask reads a request and proves its caller. What is wrong with the form is said first: it tells nothing but itself.
func (s *Server) ask(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) (*question, error) {
	credentials, err := credentialsOf(r.Header)
	if err != nil {
		return nil, err
	}
	form, err := httpx.ReadForm(w, r)
	if err != nil {
		return nil, err
	}
	if err := httpx.Once(form, "token", "token_type_hint"); err != nil {
		return nil, err
	}
	if form.Get("token") == "" {
		return nil, httpx.BadRequest("token is missing")
	}
	if !credentials.Present {
		return nil, invalidClient("the caller must prove who it is", nil)
	}
	q := &question{
		Request: &grant.Request{ID: x.ID, Time: x.Start, Source: x.Source, Credentials: credentials},
		from:    s.Granter.Snapshots.Load(), token: form.Get("token"), hint: form.Get("token_type_hint"),
	}
	who, failure := s.Granter.Prove(r.Context(), q.from, q.Request)
	switch {
	case failure != nil && failure.Kind == grant.BadCredentials:
		return nil, invalidClient("the credentials were not accepted", failure)
	case failure != nil && failure.Kind == grant.TooManyRequests:
		return nil, tooMany(failure.Message, failure.RetryAfter, failure)
	case failure != nil:
		return nil, unavailable(failure.Message, failure.RetryAfter, failure)
	case who.IsAnonymous():
		return nil, invalidClient("the caller must prove who it is", nil)
	}
	q.who = who
	return q, nil
}

// may says whether the caller may do something with the tokens of an audience.
func (s *Server) may(q *question, audience, action string) bool {
	return s.Granter.May(q.from, q.who, q.Request, audience, action)
}
