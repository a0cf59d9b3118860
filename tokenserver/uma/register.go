package uma

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// actionForOthers is the action of a rule of type oauth by which a resource server registers what belongs to others.
const actionForOthers = "register_for_others"

// namespace is where the resource server may write: that of its ServiceAccount, if the audience admits it.
func (s *Server) namespace(p *session) (string, error) {
	namespace, _ := p.Caller.ServiceAccount()
	audience, known := p.from.Audiences[p.audience()]
	switch {
	case namespace == "":
		return "", forbidden("only a ServiceAccount registers resources: they are objects in its namespace")
	case !known || !audience.Namespaces.Admits(namespace):
		return "", forbidden("the audience does not admit the namespace of the caller")
	}
	return namespace, nil
}

// mayOwn is an error if the owner is another than the caller, who may not register for others.
func (s *Server) mayOwn(p *session, owner string) error {
	if owner == p.Caller.Username || s.Granter.May(p.from, p.Caller, p.request, p.audience(), actionForOthers) {
		return nil
	}
	return forbidden("the owner is not the caller, who has not the action " + actionForOthers)
}

// register answers POST. The same registration once more, as after an answer that was lost, has the same answer.
func (s *Server) register(w http.ResponseWriter, r *http.Request, x *httpx.Exchange, p *session) error {
	if err := s.stores(); err != nil {
		return err
	}
	namespace, err := s.namespace(p)
	if err != nil {
		return err
	}
	var d description
	if err := readJSON(w, r, &d); err != nil {
		return err
	}
	p.named = cmp.Or(d.ID, d.Name)
	if d.Owner == "" {
		d.Owner = named(p.Caller.Username)
	}
	object, err := s.object(p, namespace, &d)
	if err != nil {
		return err
	}
	if err := s.slow(p.Caller.Username, x); err != nil {
		return err
	}
	created, err := s.Registrations.Create(r.Context(), object)
	if err != nil {
		return notStored(err)
	}
	stored, problems := resource.Compile(object)
	if stored == nil {
		return invalid(problems)
	}
	if err := s.keeps(r, stored, created); err != nil {
		return err
	}
	s.changed(p, nameResources, audit.Stored, stored)
	noStore(w.Header())
	w.Header().Set("Location", s.Base+PathResources+"/"+url.PathEscape(stored.ID))
	httpx.WriteJSON(w, http.StatusCreated, s.described(stored))
	return nil
}

// object is what a description is stored as, if it is one that would be served as it is.
func (s *Server) object(p *session, namespace string, d *description) (*v1alpha1.ProtectedResource, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	if err := s.mayOwn(p, string(d.Owner)); err != nil {
		return nil, err
	}
	_, account := p.Caller.ServiceAccount()
	object := &v1alpha1.ProtectedResource{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: registration.ResourceName(p.audience(), string(d.Owner), d.Name),
			Labels: map[string]string{v1alpha1.LabelRegisteredBy: registration.Registrant(account)},
		},
		Spec: d.spec(p.audience(), d.ID),
	}
	probe := object.DeepCopy()
	known, many := objectOf(p, namespace, object.Name)
	switch {
	case known != nil:
		probe.UID = types.UID(known.UID)
	case many >= mostResources:
		return nil, forbidden("the namespace has " + strconv.Itoa(many) + " resources of the audience, and takes no more")
	}
	return object, s.free(p, probe)
}

// mostResources is how many a namespace has of one audience before no more are registered; kubectl is bounded by quotas.
const mostResources = 10_000

// objectOf is the resource that an object is, if it is served, and how many the namespace has.
func objectOf(p *session, namespace, name string) (found *resource.Resource, many int) {
	for _, r := range p.from.Resources.All(p.audience()) {
		if r.Namespace != namespace {
			continue
		}
		many++
		if r.Object == name {
			found = r
		}
	}
	return found, many
}

// free is an error if the object is no resource, or claims what is another's: its name, its id, or a uri.
func (s *Server) free(p *session, object *v1alpha1.ProtectedResource) error {
	compiled, problems := resource.Compile(object)
	if len(problems) > 0 {
		return invalid(problems)
	}
	if problems := p.from.Resources.Taken(compiled); len(problems) > 0 {
		return taken(members.Replace(problems[0].Path) + " is another resource's")
	}
	for _, other := range p.from.Resources.All(p.audience()) {
		if other.Name == compiled.Name && other.Owner == compiled.Owner && (other.Namespace != compiled.Namespace || other.Object != compiled.Object) {
			return taken("the owner has another resource of the name")
		}
	}
	return nil
}

// keeps is an error if somebody else has claimed the same at the same time, and was first. Then a resource that this call has created
// goes again: it would not be what its resource server thinks. One that was there before stays, with all that was asked and
// approved of it.
func (s *Server) keeps(r *http.Request, stored *resource.Resource, created bool) error {
	problems := s.Granter.Snapshots.Load().Resources.Taken(stored)
	if len(problems) == 0 {
		return nil
	}
	if created {
		if _, err := s.Registrations.Delete(r.Context(), targetOf(stored), nil); err != nil {
			return notStored(err)
		}
	}
	return taken(members.Replace(problems[0].Path) + " is another resource's")
}

// changed records what the resource server did to a resource.
func (s *Server) changed(p *session, endpoint, outcome string, r *resource.Resource) {
	s.Granter.Changed(p.request, &grant.Change{
		Endpoint: endpoint, Outcome: outcome, By: p.Caller, TokenID: p.Held.ID, Audience: r.Audience,
		About: scope.Scope{Type: r.Type, Name: r.ID, Actions: r.Scopes}, For: r.Owner,
	})
}

func targetOf(r *resource.Resource) registration.Target {
	return registration.Target{Namespace: r.Namespace, Name: r.Object, UID: r.UID, Audience: r.Audience}
}
