package tokenserver

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// registry is an API server as far as registrations go: what is written is observed at once. Its uids count, so that the names
// that come of them are the same each time.
type registry struct {
	client.Client
	mu       sync.Mutex
	created  int
	index    *registration.Index
	parts    *Parts
	input    snapshot.Input
	policies *policy.Index
	there    []*resource.Resource
	known    map[types.NamespacedName]struct{}
	// stored is called when an object has been created; nil for nothing.
	stored func(ctx context.Context)
}

// startRegistry has the server of parts store what is registered; policies are without owners.
func startRegistry(t *testing.T, parts *Parts, input *snapshot.Input, policies *policy.Index) *registry {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	o := &registry{
		Client: fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.PermissionRequest{}).Build(),
		index:  &registration.Index{}, parts: parts, input: *input, policies: policies, there: protected(t), known: map[types.NamespacedName]struct{}{},
	}
	parts.Registrations = registration.New(registration.Options{Client: o, Index: o.index, Snapshots: parts.Snapshots, Now: time.Now, Log: logr.Discard()})
	parts.Requests = parts.Registrations
	return o
}

// Create implements registration.Client.
func (o *registry) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	o.mu.Lock()
	o.created++
	object.SetUID(types.UID("uid-" + strconv.Itoa(o.created)))
	object.SetCreationTimestamp(metav1.NewTime(time.Now().Truncate(time.Second)))
	o.mu.Unlock()
	err := o.observed(ctx, o.Client.Create(ctx, object, options...))
	if o.stored != nil {
		o.stored(ctx)
	}
	return err
}

// Update implements registration.Client.
func (o *registry) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	return o.observed(ctx, o.Client.Update(ctx, object, options...))
}

// Delete implements registration.Client.
func (o *registry) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	return o.observed(ctx, o.Client.Delete(ctx, object, options...))
}

// Status implements registration.Client.
func (o *registry) Status() client.SubResourceWriter { return decisions{o.Client.Status(), o} }

// decisions are observed, too.
type decisions struct {
	client.SubResourceWriter
	registry *registry
}

func (d decisions) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	if ctx.Err() != nil { // the fake one does not heed it
		return ctx.Err()
	}
	return d.registry.observed(ctx, d.SubResourceWriter.Patch(ctx, object, patch, options...))
}

// observed has the server know what is stored by now.
func (o *registry) observed(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var resources v1alpha1.ProtectedResourceList
	var requests v1alpha1.PermissionRequestList
	if err := o.List(ctx, &resources); err != nil {
		return err
	}
	if err := o.List(ctx, &requests); err != nil {
		return err
	}
	all := slices.Clone(o.there)
	for n := range resources.Items {
		object := &resources.Items[n]
		object.Status.URIs = resource.Claimed(object, object.CreationTimestamp.Time) // as the manager would
		if compiled, _ := resource.Compile(object); compiled != nil {
			all = append(all, compiled)
		}
	}
	input := o.input
	input.Policies, input.Resources = fixture.Owners(o.policies, all...), input.Resources.With(api, all)
	o.parts.Snapshots.Store(snapshot.Build(input))
	there := map[types.NamespacedName]struct{}{}
	for n := range requests.Items {
		name := client.ObjectKeyFromObject(&requests.Items[n])
		there[name] = struct{}{}
		o.index.PutRequest(name, &requests.Items[n])
	}
	for name := range o.known {
		if _, is := there[name]; !is {
			o.index.PutRequest(name, nil)
		}
	}
	o.known = there
	return nil
}
