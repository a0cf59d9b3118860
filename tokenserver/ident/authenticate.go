package ident

import (
	"net/http"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
)

// login is the body of POST /api/v1/authenticate.
type login struct {
	Email    string `json:"email"`
	Username string `json:"username"`
	Password string `json:"password"`
	Scope    string `json:"scope"`
	// ApplicationID must be what policies say of the user.
	ApplicationID string `json:"application_id"`
}

// loggedIn is the answer.
type loggedIn struct {
	User  user   `json:"user"`
	Token issued `json:"token"`
}

// Authenticate has the form of httpx.Endpoint's Handle. A bearer beside the password means nothing: nobody is somebody else by
// it.
func (s *Server) Authenticate(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	var body login
	if err := read(w, r, &body); err != nil {
		return err
	}
	name := body.Username
	switch {
	case body.Email != "" && body.Username != "" && body.Email != body.Username:
		return invalid("email and username must not name two users")
	case name == "":
		name = body.Email
	}
	if name == "" || body.Password == "" {
		return invalid("email or username, and password, must be given")
	}
	if identity.IsToken(body.Password) {
		return unauthorized("the credentials were not accepted", nil) // a token is no password here: it proves no presence
	}
	request := s.request(x)
	request.Credentials = identity.Credentials{Username: name, Password: body.Password, Present: true}
	asked, err := s.asked(body.Scope, request)
	if err != nil {
		return err
	}
	if request.Lasting {
		return invalid("a token without an expiry is asked for with the token that this gives")
	}
	request.Ids.Application = body.ApplicationID
	x.Grant = grant.Password{}.Name(request)
	answer, err := s.Granter.Grant(r.Context(), grant.Password{}, request)
	if err != nil {
		return translate(err)
	}
	says := claimed(answer.Application)
	write(w, http.StatusCreated, loggedIn{User: newUser(name, body.Email, says), Token: s.issued(&answer, asked, says)})
	return nil
}
