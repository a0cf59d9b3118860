package uma

import (
	"cmp"
	"net/http"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
)

// entitlement has the form of httpx.Endpoint's Handle: all that the caller may do at a resource server, whose audience is in the
// path, or what of it is asked for.
func (s *Server) entitlement(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	request, err := s.older(r, x)
	if err != nil {
		return err
	}
	request.Audience = r.PathValue("client_id")
	var asked struct {
		RPT         string   `json:"rpt"`
		Metadata    metadata `json:"metadata"`
		Permissions []struct {
			ID     string   `json:"resource_set_id"`
			Name   string   `json:"resource_set_name"`
			Scopes []string `json:"scopes"`
		} `json:"permissions"`
	}
	if r.Method == http.MethodGet {
		return s.answerOlder(w, r, request, asked.Metadata)
	}
	if err := readJSON(w, r, &asked); err != nil {
		return err
	}
	request.RPT = asked.RPT
	var parameters []permission.Parameter
	for _, p := range asked.Permissions {
		parameters = append(parameters, permission.Parameter{Resource: cmp.Or(p.ID, p.Name), Scopes: p.Scopes})
	}
	if len(parameters) > 0 {
		if request.Permissions, err = permission.Named(parameters); err != nil {
			return httpx.BadRequest(err.Error())
		}
	}
	return s.answerOlder(w, r, request, asked.Metadata)
}
