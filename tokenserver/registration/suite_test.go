package registration_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/registration"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const (
	namespace = "shop"
	audience  = "https://orders.example.com"
)

// plane is the control plane of all tests of the package.
var plane *controlplane.Plane

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrllog.SetLogger(logr.Discard())
	var err error
	if plane, err = controlplane.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = plane.Stop() }()
	if err := plane.CreateNamespace(context.Background(), namespace, nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// calls are the calls of a store, which a test can break. What has success is observed at once.
type calls struct {
	registration.Client
	index  *registration.Index
	holder *snapshot.Holder
	mu     sync.Mutex
	n      int
	// fault, if given, is asked before each write, by its number, and says whether it is made and what comes of it.
	fault func(n int) (sent bool, err error)
}

func (c *calls) do(call func() error) error {
	c.mu.Lock()
	n := c.n
	c.n++
	c.mu.Unlock()
	if c.fault == nil {
		return call()
	}
	sent, fault := c.fault(n)
	if !sent {
		return fault
	}
	if err := call(); err != nil {
		return err
	}
	return fault
}

// observe shows the store what it has written.
func (c *calls) observe(o client.Object, gone bool, err error) error {
	if err != nil {
		return err
	}
	switch o := o.DeepCopyObject().(type) {
	case *v1alpha1.PermissionRequest:
		name := client.ObjectKeyFromObject(o)
		if gone {
			o = nil
		}
		c.index.PutRequest(name, o)
	case *v1alpha1.ProtectedResource:
		var served []*resource.Resource
		if r, _ := resource.Compile(o); r != nil && !gone {
			served = append(served, r)
		}
		c.holder.Store(snapshot.Build(snapshot.Input{Resources: (*resource.Catalog)(nil).With(audience, served)}))
	}
	return nil
}

func (c *calls) Create(ctx context.Context, o client.Object, options ...client.CreateOption) error {
	return c.observe(o, false, c.do(func() error { return c.Client.Create(ctx, o, options...) }))
}

func (c *calls) Update(ctx context.Context, o client.Object, options ...client.UpdateOption) error {
	return c.observe(o, false, c.do(func() error { return c.Client.Update(ctx, o, options...) }))
}

func (c *calls) Delete(ctx context.Context, o client.Object, options ...client.DeleteOption) error {
	return c.observe(o, true, c.do(func() error { return c.Client.Delete(ctx, o, options...) }))
}

func (c *calls) Status() client.SubResourceWriter { return statusCalls{c.Client.Status(), c} }

type statusCalls struct {
	client.SubResourceWriter
	calls *calls
}

func (s statusCalls) Patch(ctx context.Context, o client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	return s.calls.observe(o, false, s.calls.do(func() error { return s.SubResourceWriter.Patch(ctx, o, patch, options...) }))
}

// lost is a write whose first answer did not arrive, and away an API server that takes none.
func lost(n int) (bool, error) {
	if n == 0 {
		return true, apierrors.NewTimeoutError("slow", 0)
	}
	return true, nil
}

func away(int) (bool, error) { return false, apierrors.NewServiceUnavailable("away") }

// store is a server's that has observed nothing but what it writes itself; fault may be nil.
func store(t *testing.T, fault func(int) (bool, error)) (*registration.Store, *registration.Index) {
	t.Helper()
	c, err := registration.NewClient(plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	index, holder := &registration.Index{}, &snapshot.Holder{}
	return registration.New(registration.Options{
		Client: &calls{Client: c, index: index, holder: holder, fault: fault}, Index: index, Snapshots: holder, Now: time.Now, Log: logr.Discard(),
	}), index
}

// object is a ProtectedResource of alice's that is not stored yet.
func object(name string) *v1alpha1.ProtectedResource {
	o := &v1alpha1.ProtectedResource{}
	o.Namespace, o.Name = namespace, name
	o.Spec = v1alpha1.ProtectedResourceSpec{
		Type: "album", Scopes: []v1alpha1.ResourceScope{"edit", "view"}, Owner: "alice", OwnerManagedAccess: v1alpha1.Allowed, Audience: audience,
	}
	return o
}

// created is a resource that the API server has.
func created(t *testing.T, name string) *resource.Resource {
	t.Helper()
	s, _ := store(t, nil)
	o := object(name)
	if _, err := s.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	r, problems := resource.Compile(o)
	if r == nil {
		t.Fatal(problems)
	}
	return r
}

func target(r *resource.Resource) registration.Target {
	return registration.Target{Namespace: r.Namespace, Name: r.Object, UID: r.UID, Audience: r.Audience}
}

// stored is what the API server has of the name; nil if nothing.
func stored[T client.Object](t *testing.T, name string, into T) (T, bool) {
	t.Helper()
	err := plane.Client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, into)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return into, err == nil
}

// brief bounds a call that would be tried for seconds.
func brief(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}
