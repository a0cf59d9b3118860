package observe

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// changes are what has happened since the builder last looked. Handlers write and return at once.
type changes struct {
	// wake has room for one: whoever finds it full knows that the builder will look.
	wake chan struct{}

	mu      sync.Mutex
	pending pending
}

// pending is a batch of changes. Policies and resources come by the hundred thousand, so each is noted; of the other kinds
// there are few, and all are read again.
type pending struct {
	// policies are the new objects; nil ones have been deleted. So it is with resources and requests.
	policies   map[policy.Ref]client.Object
	resources  map[types.NamespacedName]client.Object
	requests   map[types.NamespacedName]client.Object
	keys       bool
	providers  bool
	namespaces bool
}

func (p pending) empty() bool {
	return len(p.policies)+len(p.resources)+len(p.requests) == 0 && !p.keys && !p.providers && !p.namespaces
}

func newChanges() *changes { return &changes{wake: make(chan struct{}, 1)} }

func (c *changes) note(f func(*pending)) {
	c.mu.Lock()
	f(&c.pending)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take returns the batch and begins a new one.
func (c *changes) take() pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	batch := c.pending
	c.pending = pending{}
	return batch
}

func (c *changes) policy(ref policy.Ref, object client.Object) {
	c.note(func(p *pending) {
		if p.policies == nil {
			p.policies = map[policy.Ref]client.Object{}
		}
		p.policies[ref] = object
	})
}

// watchedKind is a kind that is watched, and what is done with its objects.
type watchedKind struct {
	name    string
	object  client.Object
	handler cache.ResourceEventHandler
}

// register adds the handlers of every kind. Nothing is sent before the cache starts.
func (o *Observer) register(ctx context.Context) ([]registration, error) {
	c := o.changes
	namespaced := func(namespace, name string) policy.Ref {
		return policy.Ref{Kind: policy.KindAccessPolicy, Namespace: namespace, Name: name}
	}
	cluster := func(_, name string) policy.Ref {
		return policy.Ref{Kind: policy.KindClusterAccessPolicy, Name: name}
	}
	kinds := []watchedKind{
		{"AccessPolicies", &v1alpha1.AccessPolicy{}, policyHandler(c, namespaced)},
		{"ClusterAccessPolicies", &v1alpha1.ClusterAccessPolicy{}, policyHandler(c, cluster)},
		{"namespaces", namespaceKind(), otherHandler(c, func(p *pending) { p.namespaces = true })},
		{"SigningKeys", &v1alpha1.SigningKey{}, otherHandler(c, func(p *pending) { p.keys = true })},
		{"IdentityProviders", &v1alpha1.IdentityProvider{}, otherHandler(c, func(p *pending) { p.providers = true })},
		{"Secrets", &corev1.Secret{}, otherHandler(c, func(p *pending) { p.keys, p.providers = true, true })},
	}
	if o.options.UMA {
		kinds = append(kinds,
			watchedKind{"ProtectedResources", &v1alpha1.ProtectedResource{}, eachHandler(c.resource)},
			watchedKind{"PermissionRequests", &v1alpha1.PermissionRequest{}, eachHandler(c.request)})
	}
	kinds = append(kinds, recordKinds(o.options.Records)...)
	registrations := make([]registration, 0, len(kinds))
	for _, kind := range kinds {
		informer, err := o.cache.GetInformer(ctx, kind.object, crcache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("make the informer of %s: %w", kind.name, err)
		}
		handle, err := informer.AddEventHandler(kind.handler)
		if err != nil {
			return nil, fmt.Errorf("add the handler of %s: %w", kind.name, err)
		}
		registrations = append(registrations, registration{kind: kind.name, synced: handle.HasSynced})
	}
	return registrations, nil
}

func (c *changes) resource(name types.NamespacedName, object client.Object) {
	c.note(func(p *pending) { p.resources = noted(p.resources, name, object) })
}

func (c *changes) request(name types.NamespacedName, object client.Object) {
	c.note(func(p *pending) { p.requests = noted(p.requests, name, object) })
}

func noted(objects map[types.NamespacedName]client.Object, name types.NamespacedName, object client.Object) map[types.NamespacedName]client.Object {
	if objects == nil {
		objects = map[types.NamespacedName]client.Object{}
	}
	objects[name] = object
	return objects
}

func policyHandler(c *changes, ref func(namespace, name string) policy.Ref) cache.ResourceEventHandler {
	return eachHandler(func(name types.NamespacedName, object client.Object) {
		c.policy(ref(name.Namespace, name.Name), object)
	})
}

// eachHandler notes each object that comes or changes, and nil for one that goes.
func eachHandler(note func(types.NamespacedName, client.Object)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(added any) {
			if object, ok := added.(client.Object); ok {
				note(client.ObjectKeyFromObject(object), object)
			}
		},
		UpdateFunc: func(before, after any) {
			if object, ok := after.(client.Object); ok && changed(before, after) {
				note(client.ObjectKeyFromObject(object), object)
			}
		},
		DeleteFunc: func(deleted any) {
			// What was missed while the watch was down comes as a key only.
			key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(deleted)
			if err != nil {
				return
			}
			namespace, name, err := cache.SplitMetaNamespaceKey(key)
			if err == nil {
				note(types.NamespacedName{Namespace: namespace, Name: name}, nil)
			}
		},
	}
}

func otherHandler(c *changes, mark func(*pending)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { c.note(mark) },
		UpdateFunc: func(before, after any) {
			if changed(before, after) {
				c.note(mark)
			}
		},
		DeleteFunc: func(any) { c.note(mark) },
	}
}

// changed says whether an update is about something that a snapshot is made of. Generations are not compared: after a
// restore of etcd the same number can stand for another spec.
func changed(before, after any) bool {
	switch after := after.(type) {
	case *v1alpha1.AccessPolicy:
		before, ok := before.(*v1alpha1.AccessPolicy)
		return !ok || before.UID != after.UID || !reflect.DeepEqual(before.Spec, after.Spec)
	case *v1alpha1.ClusterAccessPolicy:
		before, ok := before.(*v1alpha1.ClusterAccessPolicy)
		return !ok || before.UID != after.UID || !reflect.DeepEqual(before.Spec, after.Spec)
	case *v1alpha1.ProtectedResource:
		before, ok := before.(*v1alpha1.ProtectedResource)
		// Since when uris are claimed is in the status, which has no generation.
		return !ok || before.UID != after.UID || deleted(before) != deleted(after) || !reflect.DeepEqual(before.Spec, after.Spec) ||
			!slices.Equal(before.Status.URIs, after.Status.URIs)
	case *v1alpha1.PermissionRequest:
		// What was decided is in the status, which has no generation.
		before, ok := before.(*v1alpha1.PermissionRequest)
		return !ok || before.UID != after.UID || deleted(before) != deleted(after) || !reflect.DeepEqual(before.Spec, after.Spec) ||
			before.Status.State != after.Status.State || !slices.Equal(before.Status.Scopes, after.Status.Scopes)
	case *metav1.PartialObjectMetadata:
		before, ok := before.(*metav1.PartialObjectMetadata)
		return !ok || !maps.Equal(before.Labels, after.Labels)
	case client.Object:
		before, ok := before.(client.Object)
		return !ok || before.GetUID() != after.GetUID() || before.GetResourceVersion() != after.GetResourceVersion()
	}
	return true
}

// deleted says whether the object is going to go, and waits for a finalizer of somebody.
func deleted(object client.Object) bool { return object.GetDeletionTimestamp() != nil }
