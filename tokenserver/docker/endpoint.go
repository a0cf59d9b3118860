package docker

import (
	"context"
	"net/http"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// Name labels the endpoint in metrics and logs.
const Name = "token"

// Methods are what the endpoint answers.
func Methods() []string { return []string{http.MethodGet, http.MethodPost} }

// Granter answers requests; grant.Granter is the one.
type Granter interface {
	Grant(ctx context.Context, by grant.Grant, request *grant.Request) (issue.Token, error)
}

// Endpoint answers GET and POST.
type Endpoint struct {
	Granter Granter
}

// Handle has the form of httpx.Endpoint's. Nothing that it sends may be cached, on no path.
func (e *Endpoint) Handle(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	request, by, err := parse(w, r)
	if err != nil {
		return err
	}
	request.ID, request.Source, request.Time = x.ID, x.Source, x.Start
	x.Grant = by.Name(request)
	issued, err := e.Granter.Grant(r.Context(), by, request)
	if err != nil {
		return translate(err)
	}
	noStore(w.Header())
	httpx.WriteJSON(w, http.StatusOK, answerTo(r.Method, issued))
	return nil
}

// answer is the union of what token.md and oauth.md ask for. There is never a refresh_token: a client that sees one may
// drop the password, or turn to POST for good.
type answer struct {
	Token       string `json:"token"`
	AccessToken string `json:"access_token"`
	// TokenType and Scope are RFC 6749's, section 5.1; only a POST has them.
	TokenType string  `json:"token_type,omitempty"`
	Scope     *string `json:"scope,omitempty"`
	// ExpiresIn is an integer, in seconds, at least 60.
	ExpiresIn int64 `json:"expires_in"`
	// IssuedAt is RFC 3339, and true: unlike the token's iat it is not set back.
	IssuedAt string `json:"issued_at"`
}

func answerTo(method string, issued issue.Token) answer {
	a := answer{
		Token: issued.Text, AccessToken: issued.Text, ExpiresIn: int64(issued.ExpiresIn / time.Second),
		IssuedAt: issued.IssuedAt.UTC().Format(time.RFC3339),
	}
	if method == http.MethodPost {
		granted := scope.Join(issued.Granted)
		a.TokenType, a.Scope = "Bearer", &granted
	}
	return a
}

func noStore(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
}
