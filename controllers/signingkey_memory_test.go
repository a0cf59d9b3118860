package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
)

// memory is the part of an API server that the controller of SigningKeys builds on: names, uids, versions, preconditions,
// the generation of a spec, the status beside it, finalizers, immutable objects, and server-side apply where each field
// has one owner. TestMemoryIsLikeAnAPIServer holds it to a real one. controller-runtime's fake client does the same and
// takes ten times as long, which is too long for thousands of runs.
type memory struct {
	client.WithWatch // nil: a verb that is missing below is one that nobody uses
	now              func() time.Time

	mu      sync.Mutex
	version int
	objects map[memoryRef]client.Object
	// applied is what each field owner applied last.
	applied map[memoryRef]map[string]map[string]any
}

type memoryRef struct{ kind, namespace, name string }

var (
	memoryScheme = sync.OnceValue(controlplane.Scheme)
	memoryUIDs   atomic.Int64
)

// newMemory holds copies of the objects; those without a version are given one.
func newMemory(now func() time.Time, objects ...client.Object) *memory {
	m := &memory{now: now, objects: map[memoryRef]client.Object{}, applied: map[memoryRef]map[string]map[string]any{}}
	for _, o := range objects {
		o = copied(o)
		if o.GetResourceVersion() == "" {
			m.bump(o)
		}
		m.objects[refOf(o)] = o
	}
	return m
}

// clone is another API server that holds the same.
func (m *memory) clone(now func() time.Time) *memory {
	out := newMemory(now)
	out.version = m.version
	for ref, o := range m.objects {
		out.objects[ref] = copied(o)
	}
	for ref, applied := range m.applied {
		out.applied[ref] = maps.Clone(applied)
	}
	return out
}

func copied[T client.Object](o T) T {
	out, ok := o.DeepCopyObject().(T)
	if !ok {
		panic("the copy has another type")
	}
	return out
}

func kindOf(o any) string {
	kind := reflect.TypeOf(o).String()
	return kind[strings.LastIndex(kind, ".")+1:]
}

func refOf(o client.Object) memoryRef { return memoryRef{kindOf(o), o.GetNamespace(), o.GetName()} }

func (r memoryRef) resource() schema.GroupResource { return schema.GroupResource{Resource: r.kind} }

func conflict(name string) error {
	return apierrors.NewConflict(schema.GroupResource{Resource: "objects"}, name, errors.New("it is another one, or was changed"))
}

func (m *memory) bump(o client.Object) {
	m.version++
	o.SetResourceVersion(strconv.Itoa(m.version))
}

// Scheme is needed by clients that wrap this one.
func (m *memory) Scheme() *runtime.Scheme { return memoryScheme() }

func (m *memory) find(ref memoryRef) (client.Object, error) {
	if o, ok := m.objects[ref]; ok {
		return o, nil
	}
	return nil, apierrors.NewNotFound(ref.resource(), ref.name)
}

func assign(into, from client.Object) {
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(copied(from)).Elem())
}

func (m *memory) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.find(memoryRef{kindOf(into), key.Namespace, key.Name})
	if err != nil {
		return err
	}
	assign(into, o)
	return nil
}

func (m *memory) List(_ context.Context, into client.ObjectList, opts ...client.ListOption) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var asked client.ListOptions
	asked.ApplyOptions(opts)
	var found []runtime.Object
	for ref, o := range m.objects {
		if ref.kind+"List" != kindOf(into) || asked.Namespace != "" && asked.Namespace != ref.namespace {
			continue
		}
		if asked.LabelSelector == nil || asked.LabelSelector.Matches(labelsOf(o)) {
			found = append(found, copied(o))
		}
	}
	return meta.SetList(into, found)
}

type labelsMap map[string]string

func (l labelsMap) Has(name string) bool                          { _, ok := l[name]; return ok }
func (l labelsMap) Get(name string) string                        { return l[name] }
func (l labelsMap) Lookup(name string) (string, bool)             { value, ok := l[name]; return value, ok }
func labelsOf(o client.Object) labelsMap                          { return o.GetLabels() }
func (m *memory) Status() client.SubResourceWriter                { return m.SubResource("status") }
func (m *memory) RESTMapper() meta.RESTMapper                     { return nil }
func (m *memory) IsObjectNamespaced(runtime.Object) (bool, error) { return true, nil }

func (m *memory) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.create(o)
}

func (m *memory) create(o client.Object) error {
	ref := refOf(o)
	if _, there := m.objects[ref]; there {
		return apierrors.NewAlreadyExists(ref.resource(), ref.name)
	}
	o.SetUID(types.UID(fmt.Sprintf("00000000-0000-0000-0000-%012d", memoryUIDs.Add(1))))
	o.SetCreationTimestamp(metav1.NewTime(m.now().Truncate(time.Second)))
	o.SetGeneration(1)
	if key, ok := o.(*v1alpha1.SigningKey); ok {
		key.Status = v1alpha1.SigningKeyStatus{}
	}
	m.bump(o)
	m.objects[ref] = copied(o)
	delete(m.applied, ref)
	return nil
}

func (m *memory) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.replace(o, false)
}

// replace puts the object in the place of the one that is there.
func (m *memory) replace(o client.Object, status bool) error {
	ref := refOf(o)
	live, err := m.find(ref)
	switch {
	case err != nil:
		return err
	case o.GetUID() != "" && o.GetUID() != live.GetUID(), o.GetResourceVersion() != "" && o.GetResourceVersion() != live.GetResourceVersion():
		return conflict(ref.name)
	}
	o.SetUID(live.GetUID())
	o.SetCreationTimestamp(live.GetCreationTimestamp())
	o.SetGeneration(live.GetGeneration())
	o.SetDeletionTimestamp(live.GetDeletionTimestamp())
	o.SetResourceVersion(live.GetResourceVersion())
	if before, ok := live.(*v1alpha1.SigningKey); ok {
		keepHalf(before, o, status)
	}
	if frozen(live, o) {
		return apierrors.NewInvalid(schema.GroupKind{Kind: ref.kind}, ref.name, nil)
	}
	if equality.Semantic.DeepEqual(live, o) {
		return nil
	}
	m.bump(o)
	m.objects[ref] = copied(o)
	if o.GetDeletionTimestamp() != nil && len(o.GetFinalizers()) == 0 {
		m.remove(ref)
	}
	return nil
}

// keepHalf lets a write change the spec or the status, not both.
func keepHalf(before *v1alpha1.SigningKey, o client.Object, status bool) {
	after, ok := o.(*v1alpha1.SigningKey)
	if !ok {
		return
	}
	if status {
		kept := after.Status
		rv := after.ResourceVersion
		before.DeepCopyInto(after)
		after.Status, after.ResourceVersion = kept, rv
		return
	}
	before.Status.DeepCopyInto(&after.Status)
	if !equality.Semantic.DeepEqual(before.Spec, after.Spec) {
		after.Generation++
	}
}

// frozen says whether the write changes what must not change any more.
func frozen(before, after client.Object) bool {
	switch before := before.(type) {
	case *corev1.Secret:
		after, ok := after.(*corev1.Secret)
		return ok && (before.Type != after.Type || is(before.Immutable) && !equality.Semantic.DeepEqual(before.Data, after.Data))
	case *corev1.ConfigMap:
		after, ok := after.(*corev1.ConfigMap)
		return ok && is(before.Immutable) && !equality.Semantic.DeepEqual(before.Data, after.Data)
	}
	return false
}

func is(b *bool) bool { return b != nil && *b }

func (m *memory) remove(ref memoryRef) {
	delete(m.objects, ref)
	delete(m.applied, ref)
}

func (m *memory) Delete(_ context.Context, o client.Object, opts ...client.DeleteOption) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var asked client.DeleteOptions
	asked.ApplyOptions(opts)
	ref := refOf(o)
	live, err := m.find(ref)
	if err != nil {
		return err
	}
	if p := asked.Preconditions; p != nil &&
		(p.UID != nil && *p.UID != live.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != live.GetResourceVersion()) {
		return conflict(ref.name)
	}
	if len(live.GetFinalizers()) == 0 {
		m.remove(ref)
		return nil
	}
	if live.GetDeletionTimestamp() == nil {
		now := metav1.NewTime(m.now())
		live.SetDeletionTimestamp(&now)
		m.bump(live)
	}
	return nil
}

// Patch knows merge patches (RFC 7386).
func (m *memory) Patch(_ context.Context, o client.Object, patch client.Patch, _ ...client.PatchOption) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, err := patch.Data(o)
	if err != nil || patch.Type() != types.MergePatchType {
		return fmt.Errorf("patch %s: %w", patch.Type(), err)
	}
	var change map[string]any
	if err := json.Unmarshal(text, &change); err != nil {
		return err
	}
	live, err := m.find(refOf(o))
	if err != nil {
		return err
	}
	next, err := merged(live, nil, change)
	if err != nil {
		return err
	}
	if err := m.replace(next, false); err != nil {
		return err
	}
	assign(o, next)
	return nil
}

func (m *memory) Apply(_ context.Context, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	var asked client.ApplyOptions
	asked.ApplyOptions(opts)
	return m.apply(o, asked.FieldManager, false)
}

// apply is server-side apply (with force) where no two owners share a list: fields that the owner applied before and does
// not apply any more go, the others are set.
func (m *memory) apply(o runtime.ApplyConfiguration, owner string, status bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	var change map[string]any
	var meant metav1.PartialObjectMetadata
	if err := errors.Join(json.Unmarshal(text, &change), json.Unmarshal(text, &meant)); err != nil {
		return err
	}
	ref := memoryRef{meant.Kind, meant.Namespace, meant.Name}
	live, err := m.find(ref)
	switch {
	case gone(err) && status:
		return err
	case gone(err) && (meant.UID != "" || meant.ResourceVersion != ""):
		return conflict(ref.name)
	case err != nil:
		return m.applyNew(change, ref, owner, meant)
	}
	next, err := merged(live, m.applied[ref][owner], change)
	if err != nil {
		return err
	}
	if err := m.replace(next, status); err != nil {
		return err
	}
	m.note(ref, owner, change)
	return nil
}

func (m *memory) note(ref memoryRef, owner string, change map[string]any) {
	if m.applied[ref] == nil {
		m.applied[ref] = map[string]map[string]any{}
	}
	m.applied[ref][owner] = change
}

func (m *memory) applyNew(change map[string]any, ref memoryRef, owner string, meant metav1.PartialObjectMetadata) error {
	made, err := memoryScheme().New(meant.GroupVersionKind())
	if err != nil {
		return err
	}
	empty, ok := made.(client.Object)
	if !ok {
		return errors.New("not an object")
	}
	next, err := merged(empty, nil, change)
	if err != nil {
		return err
	}
	if err := m.create(next); err != nil {
		return err
	}
	m.note(ref, owner, change)
	return nil
}

// merged is the object without what was, and with what is applied.
func merged(live client.Object, was, change map[string]any) (client.Object, error) {
	text, err := json.Marshal(live)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	prune(fields, was, change)
	mergeInto(fields, change)
	if text, err = json.Marshal(fields); err != nil {
		return nil, err
	}
	next, ok := reflect.New(reflect.TypeOf(live).Elem()).Interface().(client.Object)
	if !ok {
		return nil, errors.New("not an object")
	}
	return next, json.Unmarshal(text, next)
}

func prune(fields, was, now map[string]any) {
	for name, old := range was {
		deeper, nested := old.(map[string]any)
		current, still := now[name]
		switch {
		case !still && !nested:
			delete(fields, name)
		case nested:
			inner, _ := fields[name].(map[string]any)
			wanted, _ := current.(map[string]any)
			prune(inner, deeper, wanted)
		}
	}
}

func mergeInto(fields, change map[string]any) {
	for name, value := range change {
		deeper, nested := value.(map[string]any)
		inner, there := fields[name].(map[string]any)
		switch {
		case value == nil:
			delete(fields, name)
		case nested && there:
			mergeInto(inner, deeper)
		default:
			fields[name] = value
		}
	}
}

// memoryStatus is the subresource.
type memoryStatus struct {
	client.SubResourceClient // nil, as above
	m                        *memory
}

func (m *memory) SubResource(string) client.SubResourceClient { return memoryStatus{m: m} }

func (s memoryStatus) Apply(_ context.Context, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
	var asked client.SubResourceApplyOptions
	asked.ApplyOpts(opts)
	return s.m.apply(o, asked.FieldManager, true)
}
