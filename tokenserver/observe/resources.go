package observe

import (
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// Their ProtectedResources and PermissionRequests, in all namespaces, a server reads only with --uma. The right to that is a
// role of its own, which the chart binds with uma.enabled, and no marker is here: the role of every server must not have it.

// resources are the ProtectedResources as they could be served, the PermissionRequests about them, and what of both is in
// force. Which audiences there are and whom they admit is known when all else of a snapshot is: see settle.
type resources struct {
	byName map[types.NamespacedName]*protected
	// audiences are those that a resource names.
	audiences map[string]*audienceResources
	// requests are all PermissionRequests, and waiting those of resources that are not there.
	requests map[types.NamespacedName]*request
	waiting  map[types.NamespacedName]map[*request]struct{}
	// heard are the requests that have come, changed or gone since the last snapshot; nil ones are gone.
	heard map[types.NamespacedName]*v1alpha1.PermissionRequest
	// stirred are the resources whose requests have to be looked at again.
	stirred map[*protected]struct{}

	catalog   *resource.Catalog
	approvals int
	// changes are for the index of policies.
	changes []policy.Change
}

// protected is one ProtectedResource.
type protected struct {
	compiled *resource.Resource
	served   bool
	// owner is what the index has of it.
	owner    *policy.Policy
	requests map[*request]struct{}
}

// request is one PermissionRequest.
type request struct {
	object *v1alpha1.PermissionRequest
	// approval is what the index has of it.
	approval *policy.Policy
}

// audienceResources are the resources that name one audience.
type audienceResources struct {
	all map[*protected]struct{}
	// changed says that one of them has come, gone or changed since the catalog was made.
	changed bool
	// known and admission are those that the catalog was made with.
	known     bool
	admission snapshot.Admission
}

func newResources() *resources {
	return &resources{
		byName: map[types.NamespacedName]*protected{}, audiences: map[string]*audienceResources{},
		requests: map[types.NamespacedName]*request{}, waiting: map[types.NamespacedName]map[*request]struct{}{},
		stirred: map[*protected]struct{}{}, heard: map[types.NamespacedName]*v1alpha1.PermissionRequest{},
	}
}

// put takes in a resource that has come or changed; of nil it is gone. What does not compile, and what is being deleted, is
// not served: telling people is the manager's business.
func (r *resources) put(name types.NamespacedName, object *v1alpha1.ProtectedResource) {
	var compiled *resource.Resource
	if object != nil && object.DeletionTimestamp.IsZero() {
		compiled, _ = resource.Compile(object)
	}
	old := r.byName[name]
	if old != nil {
		r.leave(old)
	}
	switch {
	case compiled == nil && old == nil:
	case compiled == nil:
		r.withdraw(old)
		delete(r.byName, name)
		for q := range old.requests {
			r.wait(name, q)
		}
	case old == nil:
		p := &protected{compiled: compiled, requests: r.waiting[name]}
		delete(r.waiting, name)
		r.byName[name] = p
		r.join(p)
	default:
		old.compiled = compiled
		r.join(old)
	}
}

// leave takes the resource out of its audience, and join puts it into one.
func (r *resources) leave(p *protected) {
	of := r.audiences[p.compiled.Audience]
	delete(of.all, p)
	of.changed = true
	delete(r.stirred, p)
}

func (r *resources) join(p *protected) {
	of := r.audiences[p.compiled.Audience]
	if of == nil {
		of = &audienceResources{all: map[*protected]struct{}{}}
		r.audiences[p.compiled.Audience] = of
	}
	of.all[p] = struct{}{}
	of.changed = true
	r.stirred[p] = struct{}{}
}

// ask takes in a request that has come or changed; of nil it is gone.
func (r *resources) ask(name types.NamespacedName, object *v1alpha1.PermissionRequest) {
	r.heard[name] = object
	if old := r.requests[name]; old != nil {
		r.replace(&old.approval, nil)
		about := requested(old.object)
		if p := r.byName[about]; p != nil {
			delete(p.requests, old)
		} else if delete(r.waiting[about], old); len(r.waiting[about]) == 0 {
			delete(r.waiting, about)
		}
		delete(r.requests, name)
	}
	if object == nil {
		return
	}
	q := &request{object: object}
	r.requests[name] = q
	p := r.byName[requested(object)]
	if p == nil {
		r.wait(requested(object), q)
		return
	}
	if p.requests == nil {
		p.requests = map[*request]struct{}{}
	}
	p.requests[q] = struct{}{}
	r.stirred[p] = struct{}{}
}

func (r *resources) wait(about types.NamespacedName, q *request) {
	if r.waiting[about] == nil {
		r.waiting[about] = map[*request]struct{}{}
	}
	r.waiting[about][q] = struct{}{}
}

// requested is the name of the resource that is asked for: one of the request's own namespace.
func requested(object *v1alpha1.PermissionRequest) types.NamespacedName {
	return types.NamespacedName{Namespace: object.Namespace, Name: object.Spec.Resource.Name}
}

// replace notes that the index shall have another policy in the place of one.
func (r *resources) replace(held **policy.Policy, by *policy.Policy) {
	if *held == nil && by == nil {
		return
	}
	r.changes = append(r.changes, policy.Change{Old: *held, New: by})
	if *held != nil {
		r.approvals--
	}
	if by != nil {
		r.approvals++
	}
	*held = by
}

// tell says what was heard to whoever wants to know, when it is in force.
func (r *resources) tell(requests Requests) {
	if requests != nil {
		for name, object := range r.heard {
			requests.PutRequest(name, object)
		}
	}
	clear(r.heard)
}

// applyResources takes in what was created, changed or deleted of both kinds.
func (b *builder) applyResources(objects map[types.NamespacedName]client.Object, requests map[types.NamespacedName]client.Object) {
	for name, object := range objects {
		compiled, _ := object.(*v1alpha1.ProtectedResource)
		b.resources.put(name, compiled)
	}
	for name, object := range requests {
		asked, _ := object.(*v1alpha1.PermissionRequest)
		b.resources.ask(name, asked)
	}
}
