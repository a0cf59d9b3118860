package registration

import (
	"cmp"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Index is what was observed of PermissionRequests: observe.Requests. Its zero value is empty and ready. What it hands out is
// shared: nobody may change it.
type Index struct {
	mu     sync.RWMutex
	byName map[types.NamespacedName]*v1alpha1.PermissionRequest
	// The same by who asks, who is asked, at what resource server, about which resource, and in which namespace.
	byRequester, byOwner, byAudience, byResource, byNamespace shelf
}

// shelf are requests by one of their properties.
type shelf map[string]map[*v1alpha1.PermissionRequest]struct{}

func (s *shelf) put(at string, r *v1alpha1.PermissionRequest) {
	if *s == nil {
		*s = shelf{}
	}
	if (*s)[at] == nil {
		(*s)[at] = map[*v1alpha1.PermissionRequest]struct{}{}
	}
	(*s)[at][r] = struct{}{}
}

func (s *shelf) drop(at string, r *v1alpha1.PermissionRequest) {
	delete((*s)[at], r)
	if len((*s)[at]) == 0 {
		delete(*s, at)
	}
}

// PutRequest takes in a request, in place of what its name stood for; nil: there is none any more.
func (x *Index) PutRequest(name types.NamespacedName, r *v1alpha1.PermissionRequest) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old := x.byName[name]; old != nil {
		delete(x.byName, name)
		x.each(old, (*shelf).drop)
	}
	if r == nil {
		return
	}
	if x.byName == nil {
		x.byName = map[types.NamespacedName]*v1alpha1.PermissionRequest{}
	}
	x.byName[name] = r
	x.each(r, (*shelf).put)
}

func (x *Index) each(r *v1alpha1.PermissionRequest, do func(*shelf, string, *v1alpha1.PermissionRequest)) {
	do(&x.byRequester, r.Spec.Requester, r)
	do(&x.byOwner, r.Spec.Owner, r)
	do(&x.byAudience, string(r.Spec.Audience), r)
	do(&x.byResource, r.Spec.Resource.UID, r)
	do(&x.byNamespace, r.Namespace, r)
}

// Get returns the request of the name; nil if none was observed.
func (x *Index) Get(namespace, name string) *v1alpha1.PermissionRequest {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byName[types.NamespacedName{Namespace: namespace, Name: name}]
}

// OfAudience returns the requests at a resource server, the oldest first; those of one second by name.
func (x *Index) OfAudience(audience string) []*v1alpha1.PermissionRequest {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return sorted(x.byAudience[audience])
}

// OfUser is OfAudience for the requests of one user, and those to one.
func (x *Index) OfUser(username string) []*v1alpha1.PermissionRequest {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return sorted(x.byRequester[username], x.byOwner[username])
}

func sorted(sets ...map[*v1alpha1.PermissionRequest]struct{}) []*v1alpha1.PermissionRequest {
	var all []*v1alpha1.PermissionRequest
	for _, set := range sets {
		for r := range set {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b *v1alpha1.PermissionRequest) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return slices.Compact(all) // who asks for the own is there twice
}

// undecided is how many requests of the user, how many of these about the resource, and how many about the resource nobody has
// decided.
func (x *Index) undecided(username, uid string) (ofUser, ofPair, ofResource int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for r := range x.byRequester[username] {
		if Undecided(r) {
			ofUser++
		}
	}
	for r := range x.byResource[uid] {
		if !Undecided(r) {
			continue
		}
		ofResource++
		if r.Spec.Requester == username {
			ofPair++
		}
	}
	return ofUser, ofPair, ofResource
}

// stored is how many requests there are about the resource, and in the namespace.
func (x *Index) stored(uid, namespace string) (about, in int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.byResource[uid]), len(x.byNamespace[namespace])
}

// Undecided says whether nobody has decided the request.
func Undecided(r *v1alpha1.PermissionRequest) bool {
	return r.Status.State != v1alpha1.RequestApproved && r.Status.State != v1alpha1.RequestDenied
}
