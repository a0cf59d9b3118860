package uma

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// question is what somebody asks of an owner, or an owner offers somebody.
type question struct {
	Resource      string   `json:"resource"`
	Requester     string   `json:"requester"`
	RequesterName string   `json:"requesterName"`
	Scope         string   `json:"scope"`
	ScopeName     string   `json:"scopeName"`
	Scopes        []string `json:"scopes"`
	Granted       bool     `json:"granted"`
}

// read is the question, if it is one. The requester is whoever asks unless somebody else is named.
func (q *question) read(v *visit) (r *resource.Resource, requester string, scopes []string, err error) {
	audiences := []string{v.Audience}
	if v.Audience == "" {
		audiences = audiences[:0]
		for name := range v.from.Audiences {
			audiences = append(audiences, name)
		}
		slices.Sort(audiences)
	}
	for _, audience := range audiences {
		one := v.from.Resources.ByID(audience, q.Resource)
		switch {
		case one != nil && r != nil:
			return nil, "", nil, httpx.BadRequest("two audiences have a resource of the id: come with a token of one of them")
		case one != nil:
			r = one
		}
	}
	if r == nil {
		return nil, "", nil, &httpx.Error{Status: http.StatusBadRequest, Code: "invalid_resource_id", Message: "the resource is not known"}
	}
	scopes = slices.Clone(q.Scopes)
	if one := cmp.Or(q.Scope, q.ScopeName); one != "" {
		scopes = append(scopes, one)
	}
	if len(scopes) == 0 {
		scopes = r.Scopes
	}
	for _, scope := range scopes {
		if !r.Has(scope) {
			return nil, "", nil, &httpx.Error{Status: http.StatusBadRequest, Code: "invalid_scope", Message: "the resource has no such scope"}
		}
	}
	requester = cmp.Or(q.Requester, q.RequesterName)
	switch {
	case q.Requester != "" && q.RequesterName != "" && q.Requester != q.RequesterName:
		return nil, "", nil, httpx.BadRequest("requester and requesterName must be the same")
	case requester == "" && v.manages(r):
		return nil, "", nil, httpx.BadRequest("requester is missing")
	case requester == "":
		requester = v.Caller.Username
	}
	if problem := resource.OwnerProblem(requester); problem != "" {
		return nil, "", nil, httpx.BadRequest("requester: " + problem)
	}
	return r, requester, scopes, nil
}

// askOwner answers POST: whoever manages the resource asks in the name of anybody, and may grant it at once; others ask for
// themselves. What is asked twice is one request.
func (s *Server) askOwner(w http.ResponseWriter, r *http.Request, x *httpx.Exchange, v *visit) error {
	var q question
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	about, requester, scopes, err := q.read(v)
	if err != nil {
		return err
	}
	manages := v.manages(about)
	switch {
	case q.Granted && !manages:
		return forbidden("only the owner grants, or the resource server in the resource's namespace")
	case !manages && !v.isUser(requester):
		return forbidden("who does not manage the resource asks in no other name than the own")
	case requester == about.Owner:
		return httpx.BadRequest("the owner has every scope already")
	case !about.OwnerManaged:
		return httpx.BadRequest("the owner does not manage the resource: policies alone decide")
	}
	if err := s.slow(v.Caller.Username, x); err != nil {
		return err
	}
	request, err := s.Registrations.Ask(r.Context(), requester, about, scopes)
	if err != nil {
		return notStored(err)
	}
	if q.Granted {
		if err := s.settle(r, v, &asked{request, about}, true, nil); err != nil {
			return err
		}
		request = request.DeepCopy()
		request.Status.State, request.Status.Scopes = v1alpha1.RequestApproved, nil
	}
	shown := asked{request, about}
	if !q.Granted {
		s.told(v, nameRequests, audit.Stored, &shown)
	}
	status := http.StatusCreated
	if s.Keycloak {
		status = http.StatusOK
	}
	noStore(w.Header())
	w.Header().Set("Location", s.Base+PathRequests+"/"+url.PathEscape(request.Namespace+"/"+request.Name))
	httpx.WriteJSON(w, status, shown.shown(true))
	return nil
}

// decide answers PUT: yes or no, from now on.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, x *httpx.Exchange, v *visit, id string) error {
	var d struct {
		ID      string   `json:"id"`
		Granted *bool    `json:"granted"`
		Scopes  []string `json:"scopes"`
	}
	if err := readJSON(w, r, &d); err != nil {
		return err
	}
	switch {
	case id != "" && d.ID != "" && d.ID != id:
		return httpx.BadRequest("id is another than that of the path")
	case id == "" && d.ID == "":
		return httpx.BadRequest("id is missing")
	case d.Granted == nil:
		return httpx.BadRequest("granted must be true or false")
	}
	found, err := s.find(v, cmp.Or(id, d.ID))
	switch {
	case err != nil:
		return err
	case !v.manages(found.resource):
		return forbidden("only the owner decides, or the resource server in the resource's namespace")
	}
	var scopes []v1alpha1.ResourceScope
	for _, scope := range d.Scopes {
		if !slices.Contains(found.Spec.Scopes, v1alpha1.ResourceScope(scope)) {
			return &httpx.Error{Status: http.StatusBadRequest, Code: "invalid_scope", Message: "the scope was not asked for"}
		}
		scopes = append(scopes, v1alpha1.ResourceScope(scope))
	}
	if err := s.slow(v.Caller.Username, x); err != nil {
		return err
	}
	if err := s.settle(r, v, found, *d.Granted, scopes); err != nil {
		return err
	}
	noStore(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// settle stores what was decided, and then records who decided.
func (s *Server) settle(r *http.Request, v *visit, about *asked, yes bool, scopes []v1alpha1.ResourceScope) error {
	d, outcome := registration.Decision{State: v1alpha1.RequestDenied, By: v.Caller.Username, At: v.request.Time}, audit.Denied
	if yes {
		slices.Sort(scopes)
		d.State, d.Scopes, outcome = v1alpha1.RequestApproved, slices.Compact(scopes), audit.Approved
	}
	if err := s.Registrations.Decide(r.Context(), about.PermissionRequest, d); err != nil {
		return notStored(err)
	}
	s.told(v, nameRequest, outcome, about)
	return nil
}

// told records what the visitor did to a request.
func (s *Server) told(v *visit, endpoint, outcome string, a *asked) {
	about := scope.Scope{Type: a.resource.Type, Name: a.resource.ID}
	for _, one := range a.Spec.Scopes {
		about.Actions = append(about.Actions, string(one))
	}
	s.Granter.Changed(v.request, &grant.Change{
		Endpoint: endpoint, Outcome: outcome, By: v.Caller, TokenID: v.TokenID, Audience: a.resource.Audience, About: about, For: a.Spec.Requester,
	})
}

// withdraw answers DELETE. What the request gave is taken back. One that was denied stays for whoever asked: it could be asked
// again at once.
func (s *Server) withdraw(w http.ResponseWriter, r *http.Request, x *httpx.Exchange, v *visit, id string) error {
	found, err := s.find(v, id)
	if err != nil {
		return err
	}
	own := v.isUser(found.Spec.Requester) && found.Status.State != v1alpha1.RequestDenied
	if !own && !v.manages(found.resource) {
		return forbidden("only the owner deletes it, or the resource server in the resource's namespace, or who asked and was not denied")
	}
	if err := s.slow(v.Caller.Username, x); err != nil {
		return err
	}
	if err := s.Registrations.Withdraw(r.Context(), found.PermissionRequest); err != nil {
		return notStored(err)
	}
	s.told(v, nameRequest, audit.Deleted, found)
	noStore(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}
