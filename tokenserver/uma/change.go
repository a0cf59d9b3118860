package uma

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// target is the object of an id, if the resource server may change it: one of its audience, and of the namespace of its
// ServiceAccount. One that this server has not seen yet, because another has just stored it, is found by an id that names it.
func (s *Server) target(p *session, id string) (registration.Target, error) {
	if err := s.stores(); err != nil {
		return registration.Target{}, err
	}
	namespace, err := s.namespace(p)
	if err != nil {
		return registration.Target{}, err
	}
	found := p.from.Resources.ByID(p.audience(), id)
	switch in, name, ok := strings.Cut(id, "/"); {
	case found != nil && found.Namespace != namespace:
		return registration.Target{}, forbidden("the resource is of another namespace than the caller")
	case found != nil:
		return targetOf(found), nil
	case ok && in == namespace && name != "" && !strings.Contains(name, "/"):
		return registration.Target{Namespace: in, Name: name, Audience: p.audience()}, nil
	}
	return registration.Target{}, httpx.NotFound()
}

// update answers PUT. The description takes the place of the one before, but for the owner and who manages it where it does not
// say: the specification does not know of those.
func (s *Server) update(w http.ResponseWriter, r *http.Request, x *httpx.Exchange, p *session, id string) error {
	target, err := s.target(p, id)
	if err != nil {
		return err
	}
	var d description
	if err := readJSON(w, r, &d); err != nil {
		return err
	}
	if d.ID != "" && d.ID != id {
		return httpx.BadRequest("_id is another than that of the path")
	}
	if err := d.check(); err != nil {
		return err
	}
	if err := s.slow(p.Caller.Username, x); err != nil {
		return err
	}
	stored, err := s.Registrations.Update(r.Context(), target, func(object *v1alpha1.ProtectedResource) error { return s.describe(p, object, d, id) })
	if err != nil {
		return notStored(err)
	}
	if compiled, _ := resource.Compile(stored); compiled != nil {
		id = compiled.ID
		s.changed(p, nameResource, audit.Stored, compiled)
	}
	noStore(w.Header())
	if s.Keycloak {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	httpx.WriteJSON(w, http.StatusOK, map[string]string{"_id": id})
	return nil
}

// describe puts the description into an object as it is now.
func (s *Server) describe(p *session, object *v1alpha1.ProtectedResource, d description, id string) error {
	if now, _ := resource.Compile(object); now != nil && now.ID != id {
		return httpx.NotFound() // the object has an id of its own
	}
	if d.Name != cmp.Or(object.Spec.DisplayName, object.Name) {
		return taken("name never changes, as clients ask by it: register another resource")
	}
	if d.Owner == "" {
		d.Owner = named(object.Spec.Owner)
	}
	// Who may not register for others takes nothing from them either.
	for _, owner := range []string{object.Spec.Owner, string(d.Owner)} {
		if err := s.mayOwn(p, owner); err != nil {
			return err
		}
	}
	if d.OwnerManaged == nil {
		managed := object.Spec.OwnerManagedAccess == v1alpha1.Allowed
		d.OwnerManaged = &managed
	}
	object.Spec = d.spec(p.audience(), object.Spec.ID)
	return s.free(p, object)
}

// delete answers DELETE. Whatever was asked of the resource goes with it.
func (s *Server) delete(w http.ResponseWriter, r *http.Request, x *httpx.Exchange, p *session, id string) error {
	target, err := s.target(p, id)
	if err != nil {
		return err
	}
	if err := s.slow(p.Caller.Username, x); err != nil {
		return err
	}
	gone, err := s.Registrations.Delete(r.Context(), target, func(object *v1alpha1.ProtectedResource) error { return s.mayOwn(p, object.Spec.Owner) })
	if err != nil {
		return notStored(err)
	}
	if compiled, _ := resource.Compile(gone); compiled != nil {
		s.changed(p, nameResource, audit.Deleted, compiled)
	}
	noStore(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}
