package observe

import (
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// settle decides what is served and approved at these audiences. A resource is served if its audience is there and admits its
// namespace, and if no older one has its id: who may not speak of the audience holds no claim. Only audiences of which
// something has changed are looked at.
func (r *resources) settle(audiences map[string]*snapshot.Audience) {
	for name, of := range r.audiences {
		audience := audiences[name]
		var admission snapshot.Admission
		if audience != nil {
			admission = audience.Namespaces
		}
		if of.changed || of.known != (audience != nil) || !of.admission.Equal(admission) {
			of.changed, of.known, of.admission = false, audience != nil, admission
			r.serve(name, of)
		}
		if len(of.all) == 0 {
			delete(r.audiences, name)
		}
	}
	for p := range r.stirred {
		r.approve(p)
	}
	clear(r.stirred)
}

// serve makes the part of the catalog that is of one audience.
func (r *resources) serve(audience string, of *audienceResources) {
	var admitted []*resource.Resource
	for p := range of.all {
		if of.admission.Admits(p.compiled.Namespace) {
			admitted = append(admitted, p.compiled)
		}
	}
	if len(admitted)+len(r.catalog.All(audience)) > 0 {
		r.catalog = r.catalog.With(audience, admitted)
	}
	for p := range of.all {
		if served := r.catalog.ByID(audience, p.compiled.ID) == p.compiled; served != p.served {
			p.served = served
			r.stirred[p] = struct{}{}
		}
	}
}

// approve has the index hold what the resource gives to its owner and to those whose requests were approved.
func (r *resources) approve(p *protected) {
	if !p.served {
		r.withdraw(p)
		return
	}
	r.replace(&p.owner, p.compiled.OwnerPolicy())
	for q := range p.requests {
		r.replace(&q.approval, p.compiled.RequestPolicy(q.object))
	}
}

// withdraw takes back all that the resource gives.
func (r *resources) withdraw(p *protected) {
	r.replace(&p.owner, nil)
	for q := range p.requests {
		r.replace(&q.approval, nil)
	}
}

// protect puts into the snapshot, which nobody has seen, what is served and approved at its audiences.
func (b *builder) protect(s *snapshot.Snapshot) {
	r := b.resources
	r.settle(s.Audiences)
	if len(r.changes) > 0 {
		b.index = b.index.Apply(r.changes)
		r.changes = nil
	}
	s.Protect(b.index, r.approvals, r.catalog)
}
