package uma

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// PathRequests is where owners see and decide what they are asked. Keycloak calls a request a permission ticket; it is not what a
// resource server hands out.
const (
	PathRequests = PathPermission + "/ticket"
	pathRequest  = PathRequests + "/{id...}"
	nameRequests = "uma_requests"
	nameRequest  = "uma_request"
)

// visit is somebody who came about requests.
type visit struct {
	grant.Approver
	from    *snapshot.Snapshot
	request *grant.Request
	// named is what the request names, for the audit log.
	named string
}

// asked is a request about a resource as it is served now.
type asked struct {
	*v1alpha1.PermissionRequest
	resource *resource.Resource
}

func (s *Server) visit(r *http.Request, x *httpx.Exchange, endpoint string) (*visit, error) {
	bearer, credentials, err := credentialsOf(r.Header)
	v := &visit{
		from:    s.Granter.Snapshots.Load(),
		request: &grant.Request{ID: x.ID, Time: x.Start, Source: x.Source, Bearer: bearer, Credentials: credentials},
	}
	if err != nil {
		s.Granter.Refused(v.request, &grant.Refusal{Endpoint: endpoint, Kind: grant.BadClient})
		return nil, err
	}
	var failure *grant.Error
	if v.Approver, failure = s.Granter.Approver(r.Context(), v.from, v.request); failure != nil {
		refusal := v.refusal(endpoint)
		refusal.Kind = failure.Kind
		s.Granter.Refused(v.request, refusal)
		return nil, s.translate(failure)
	}
	return v, s.stores()
}

func (v *visit) refusal(endpoint string) *grant.Refusal {
	return &grant.Refusal{Endpoint: endpoint, By: v.Caller, TokenID: v.TokenID, Audience: v.Audience, About: v.named}
}

// reaches says whether the visitor's token is for the audience.
func (v *visit) reaches(audience string) bool { return v.Audience == "" || v.Audience == audience }

// isUser says whether the visitor is the user, and came as that.
func (v *visit) isUser(name string) bool { return v.User && v.Caller.Username == name }

// owns says whether the visitor came as the owner of the resource.
func (v *visit) owns(r *resource.Resource) bool { return v.reaches(r.Audience) && v.isUser(r.Owner) }

// serves says whether the visitor is a resource server of the audience, in the namespace of the resource.
func (v *visit) serves(r *resource.Resource) bool {
	namespace, _ := v.Caller.ServiceAccount()
	return v.Server && v.Audience == r.Audience && namespace != "" && namespace == r.Namespace
}

// sees says whether the visitor may know of the request.
func (v *visit) sees(a *asked) bool {
	return v.reaches(a.resource.Audience) && (v.Caller.Username == a.Spec.Requester || v.isUser(a.Spec.Owner) || v.serves(a.resource))
}

// requests has the form of httpx.Endpoint's Handle. Keycloak's clients name the request in the body of a PUT.
func (s *Server) requests(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	v, err := s.visit(r, x, nameRequests)
	if err != nil {
		return err
	}
	switch r.Method {
	case http.MethodPost:
		err = s.askOwner(w, r, x, v)
	case http.MethodPut:
		err = s.decide(w, r, x, v, "")
	default:
		return s.listRequests(w, r, v)
	}
	return s.refused(v.request, v.refusal(nameRequests), err)
}

// oneRequest has the form of httpx.Endpoint's Handle.
func (s *Server) oneRequest(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	v, err := s.visit(r, x, nameRequest)
	if err != nil {
		return err
	}
	v.named = idOf(r)
	switch r.Method {
	case http.MethodPut:
		return s.refused(v.request, v.refusal(nameRequest), s.decide(w, r, x, v, v.named))
	case http.MethodDelete:
		return s.refused(v.request, v.refusal(nameRequest), s.withdraw(w, r, x, v, v.named))
	}
	found, err := s.find(v, idOf(r))
	if err != nil {
		return err
	}
	noStore(w.Header())
	httpx.WriteJSON(w, http.StatusOK, found.shown(true))
	return nil
}

// find returns the request of the id if the visitor may know of it.
func (s *Server) find(v *visit, id string) (*asked, error) {
	namespace, name, _ := strings.Cut(id, "/")
	request := s.Registrations.Index().Get(namespace, name)
	if request == nil {
		return nil, httpx.NotFound()
	}
	found := v.about([]*v1alpha1.PermissionRequest{request})
	if len(found) == 0 || !v.sees(&found[0]) {
		return nil, httpx.NotFound()
	}
	return &found[0], nil
}

// about finds the resources of requests. What is about a resource that is not there any more, or not as it was, is left out: it
// gives nothing, and there is nothing to be decided.
func (v *visit) about(requests []*v1alpha1.PermissionRequest) []asked {
	type object struct{ audience, namespace, name string }
	wanted := map[object]*resource.Resource{}
	audiences := map[string]struct{}{}
	for _, r := range requests {
		wanted[object{string(r.Spec.Audience), r.Namespace, r.Spec.Resource.Name}] = nil
		audiences[string(r.Spec.Audience)] = struct{}{}
	}
	for audience := range audiences {
		for _, r := range v.from.Resources.All(audience) {
			at := object{audience, r.Namespace, r.Object}
			if _, is := wanted[at]; is {
				wanted[at] = r
			}
		}
	}
	var found []asked
	for _, r := range requests {
		of := wanted[object{string(r.Spec.Audience), r.Namespace, r.Spec.Resource.Name}]
		if of != nil && of.Concerns(r) && r.DeletionTimestamp.IsZero() {
			found = append(found, asked{r, of})
		}
	}
	return found
}

// shown is a request in an answer, as Keycloak shows permission tickets but for the scopes: here a request can have several.
func (a *asked) shown(names bool) map[string]any {
	scopes := a.Spec.Scopes
	if a.Status.State == v1alpha1.RequestApproved && len(a.Status.Scopes) > 0 {
		scopes = slices.DeleteFunc(slices.Clone(scopes), func(s v1alpha1.ResourceScope) bool { return !slices.Contains(a.Status.Scopes, s) })
	}
	body := map[string]any{
		"id": a.Namespace + "/" + a.Name, "owner": a.Spec.Owner, "requester": a.Spec.Requester, "resource": a.resource.ID,
		"scopes": scopes, "granted": a.Status.State == v1alpha1.RequestApproved, "state": a.state(),
	}
	if len(scopes) == 1 {
		body["scope"] = scopes[0]
	}
	if !names {
		return body
	}
	body["ownerName"], body["requesterName"], body["resourceName"] = a.Spec.Owner, a.Spec.Requester, a.resource.Name
	if len(scopes) == 1 {
		body["scopeName"] = scopes[0]
	}
	return body
}

func (a *asked) state() v1alpha1.RequestState {
	if registration.Undecided(a.PermissionRequest) {
		return v1alpha1.RequestPending
	}
	return a.Status.State
}

// listRequests answers with what the visitor may know of, the oldest first.
func (s *Server) listRequests(w http.ResponseWriter, r *http.Request, v *visit) error {
	query, part, err := queryOf(r, "scopeId", "scopeName", "resourceId", "owner", "requester", "granted", "returnNames")
	if err != nil {
		return err
	}
	granted, err := boolOf(query, "granted", false)
	if err != nil {
		return err
	}
	names, err := boolOf(query, "returnNames", false)
	if err != nil {
		return err
	}
	var all []*v1alpha1.PermissionRequest
	if v.Server {
		all = s.Registrations.Index().OfAudience(v.Audience)
	} else {
		all = s.Registrations.Index().OfUser(v.Caller.Username)
	}
	found := slices.DeleteFunc(v.about(all), func(a asked) bool {
		scope := func(name string) bool {
			return !query.Has(name) || slices.Contains(a.Spec.Scopes, v1alpha1.ResourceScope(query.Get(name)))
		}
		return !v.sees(&a) || !scope("scopeId") || !scope("scopeName") || !is(query, "resourceId", a.resource.ID) || !is(query, "owner", a.Spec.Owner) ||
			!is(query, "requester", a.Spec.Requester) || query.Get("granted") != "" && granted != (a.Status.State == v1alpha1.RequestApproved)
	})
	found = cut(found, part)
	list := make([]map[string]any, len(found))
	for n := range found {
		list[n] = found[n].shown(names)
	}
	noStore(w.Header())
	httpx.WriteJSON(w, http.StatusOK, list)
	return nil
}

func (s *Server) requestRoutes() []Route {
	return []Route{
		{Path: PathRequests, Name: nameRequests, Methods: []string{http.MethodGet, http.MethodPost, http.MethodPut}, Handle: s.requests},
		{Path: pathRequest, Name: nameRequest, Methods: []string{http.MethodGet, http.MethodPut, http.MethodDelete}, Handle: s.oneRequest},
	}
}
