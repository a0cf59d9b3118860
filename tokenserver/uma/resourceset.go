package uma

import (
	"net/http"
	"strings"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
)

// Paths and names of the registration endpoint (UMA 2.0, Federated Authorization, section 3).
const (
	PathResources = "/authz/protection/resource_set"
	// pathResource takes ids that have a slash, escaped or not.
	pathResource  = PathResources + "/{id...}"
	nameResources = "uma_resource_set"
	nameResource  = "uma_resource"
)

// resources has the form of httpx.Endpoint's Handle: list and create.
func (s *Server) resources(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	p, err := s.pat(r, x, nameResources)
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		err := s.register(w, r, x, p)
		return s.refused(p.request, p.refusal(nameResources), err)
	}
	return s.listResources(w, r, p)
}

// resource has the form of httpx.Endpoint's Handle: read, update and delete.
func (s *Server) resource(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	p, err := s.pat(r, x, nameResource)
	if err != nil {
		return err
	}
	id := idOf(r)
	p.named = id
	switch r.Method {
	case http.MethodPut:
		return s.refused(p.request, p.refusal(nameResource), s.update(w, r, x, p, id))
	case http.MethodDelete:
		return s.refused(p.request, p.refusal(nameResource), s.delete(w, r, x, p, id))
	}
	found := p.from.Resources.ByID(p.audience(), id)
	if found == nil {
		return httpx.NotFound()
	}
	noStore(w.Header())
	httpx.WriteJSON(w, http.StatusOK, s.described(found))
	return nil
}

// idOf is the id in the path. Paths may have a slash more at the end, and no id has.
func idOf(r *http.Request) string { return strings.TrimSuffix(r.PathValue("id"), "/") }

func (s *Server) resourceRoutes() []Route {
	return []Route{
		{Path: PathResources, Name: nameResources, Methods: []string{http.MethodGet, http.MethodPost}, Handle: s.resources},
		{Path: pathResource, Name: nameResource, Methods: []string{http.MethodGet, http.MethodPut, http.MethodDelete}, Handle: s.resource},
	}
}
