package uma

import (
	"cmp"
	"context"
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
	case requester == "" && q.Granted:
		return nil, "", nil, httpx.BadRequest("requester is missing")
	case requester == "":
		requester = v.Caller.Username
	}
	if problem := resource.OwnerProblem(requester); problem != "" {
		return nil, "", nil, httpx.BadRequest("requester: " + problem)
	}
	return r, requester, scopes, nil
}

// onlyOwner is why somebody does not decide.
const onlyOwner = "only the owner decides, by a login or a token with the scope uma_authorization; or who registered the resource and has the action " +
	actionForOthers + ", but not for itself"

// mayDecide is an error unless the visitor may answer the requester in the owner's name. To change a resource and to give it away
// are two things: of the resource servers only those decide that register for others, about what they registered themselves, as it
// is now, and never for themselves. It takes one from the visitor's pace.
func (s *Server) mayDecide(r *http.Request, x *httpx.Exchange, v *visit, about *resource.Resource, requester string) error {
	owner := v.owns(about)
	if !owner && (!v.serves(about) || requester == v.Caller.Username || !s.Granter.May(v.from, v.Caller, v.request, about.Audience, actionForOthers)) {
		return forbidden(onlyOwner)
	}
	if err := s.slow(v.Caller.Username, x); err != nil || owner {
		return err
	}
	_, account := v.Caller.ServiceAccount()
	registered, err := s.Registrations.Registered(r.Context(), targetOf(about), account)
	switch {
	case err != nil:
		return notStored(err)
	case !registered:
		return forbidden(onlyOwner)
	}
	return nil
}

// askOwner answers POST. Everybody asks in the own name. Who decides offers it to others, granted at once: in another's name nothing
// is left undecided, or what others may ask would be used up for them. What is asked twice is one request.
func (s *Server) askOwner(w http.ResponseWriter, r *http.Request, x *httpx.Exchange, v *visit) error {
	var q question
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	v.named = q.Resource
	about, requester, scopes, err := q.read(v)
	if err != nil {
		return err
	}
	switch {
	case !q.Granted && requester != v.Caller.Username:
		return forbidden("in another's name it is offered, with granted, and not asked")
	case requester == about.Owner:
		return httpx.BadRequest("the owner has every scope already")
	case !about.OwnerManaged:
		return httpx.BadRequest("the owner does not manage the resource: policies alone decide")
	}
	if err := s.slow(v.Caller.Username, x); err != nil {
		return err
	}
	store := s.asks
	if q.Granted {
		store = s.offers
	}
	shown, err := store(r, x, v, about, requester, scopes)
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if s.Keycloak {
		status = http.StatusOK
	}
	noStore(w.Header())
	w.Header().Set("Location", s.Base+PathRequests+"/"+url.PathEscape(shown.Namespace+"/"+shown.Name))
	httpx.WriteJSON(w, status, shown.shown(true))
	return nil
}

// asks stores what somebody asks for itself.
func (s *Server) asks(r *http.Request, _ *httpx.Exchange, v *visit, about *resource.Resource, requester string, scopes []string) (*asked, error) {
	request, err := s.Registrations.Ask(r.Context(), requester, about, scopes)
	if err != nil {
		return nil, notStored(err)
	}
	s.told(v, nameRequests, audit.Stored, &asked{request, about}, nil)
	return &asked{request, about}, nil
}

// offers stores what somebody is granted unasked.
func (s *Server) offers(r *http.Request, x *httpx.Exchange, v *visit, about *resource.Resource, requester string, scopes []string) (*asked, error) {
	if err := s.mayDecide(r, x, v, about, requester); err != nil {
		return nil, err
	}
	// Whoever hangs up between the two leaves nothing undecided in another's name.
	ctx := context.WithoutCancel(r.Context())
	request, err := s.Registrations.Offer(ctx, requester, about, scopes)
	if err != nil {
		return nil, notStored(err)
	}
	if err := s.settle(ctx, v, &asked{request, about}, true, nil); err != nil {
		return nil, err
	}
	request = request.DeepCopy()
	request.Status.State, request.Status.Scopes = v1alpha1.RequestApproved, nil
	return &asked{request, about}, nil
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
	v.named = cmp.Or(id, d.ID)
	found, err := s.find(v, v.named)
	if err != nil {
		return err
	}
	var scopes []v1alpha1.ResourceScope
	for _, scope := range d.Scopes {
		if !slices.Contains(found.Spec.Scopes, v1alpha1.ResourceScope(scope)) {
			return &httpx.Error{Status: http.StatusBadRequest, Code: "invalid_scope", Message: "the scope was not asked for"}
		}
		scopes = append(scopes, v1alpha1.ResourceScope(scope))
	}
	if err := s.mayDecide(r, x, v, found.resource, found.Spec.Requester); err != nil {
		return err
	}
	if err := s.settle(r.Context(), v, found, *d.Granted, scopes); err != nil {
		return err
	}
	noStore(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// settle stores what was decided, and then records who decided.
func (s *Server) settle(ctx context.Context, v *visit, about *asked, yes bool, scopes []v1alpha1.ResourceScope) error {
	d, outcome := registration.Decision{State: v1alpha1.RequestDenied, By: v.Caller.Username, At: v.request.Time}, audit.Denied
	if yes {
		slices.Sort(scopes)
		d.State, d.Scopes, outcome = v1alpha1.RequestApproved, slices.Compact(scopes), audit.Approved
	}
	if err := s.Registrations.Decide(ctx, about.PermissionRequest, d); err != nil {
		return notStored(err)
	}
	granted := d.Scopes
	if yes && len(granted) == 0 {
		granted = about.Spec.Scopes
	}
	s.told(v, nameRequest, outcome, about, granted)
	return nil
}

// told records what the visitor did to a request, and what that granted.
func (s *Server) told(v *visit, endpoint, outcome string, a *asked, granted []v1alpha1.ResourceScope) {
	about := scope.Scope{Type: a.resource.Type, Name: a.resource.ID, Actions: textsOf(a.Spec.Scopes)}
	s.Granter.Changed(v.request, &grant.Change{
		Endpoint: endpoint, Outcome: outcome, By: v.Caller, TokenID: v.TokenID, Audience: a.resource.Audience, About: about,
		Granted: textsOf(granted), For: a.Spec.Requester,
	})
}

func textsOf(scopes []v1alpha1.ResourceScope) []string {
	texts := make([]string, len(scopes))
	for n, one := range scopes {
		texts[n] = string(one)
	}
	return texts
}

// withdraw answers DELETE. What the request gave is taken back. One that was denied stays for all but the owner: it could be asked
// again at once.
func (s *Server) withdraw(w http.ResponseWriter, r *http.Request, x *httpx.Exchange, v *visit, id string) error {
	found, err := s.find(v, id)
	if err != nil {
		return err
	}
	other := (v.Caller.Username == found.Spec.Requester || v.serves(found.resource)) && found.Status.State != v1alpha1.RequestDenied
	if !other && !v.owns(found.resource) {
		return forbidden("only the owner deletes it, or, if it was not denied, the resource server in the resource's namespace or who asked")
	}
	if err := s.slow(v.Caller.Username, x); err != nil {
		return err
	}
	if err := s.Registrations.Withdraw(r.Context(), found.PermissionRequest); err != nil {
		return notStored(err)
	}
	s.told(v, nameRequest, audit.Deleted, found, nil)
	noStore(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}
