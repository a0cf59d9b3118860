// Package store owns objects in memory, as an API server would have them: each has a UID, a generation and a resource
// version, and informers list and watch them. It does not own where objects come from, nor whether they make sense.
package store

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxGraves is how many deletions of a kind are remembered, for watches that begin at an older version.
const maxGraves = 1000

// Store holds objects. Its zero value is empty and ready. An object that was put must not be changed any more: whoever
// lists or watches gets that very object.
type Store struct {
	mu      sync.Mutex
	version int64
	kinds   map[schema.GroupVersionKind]*kind
}

// kind are the objects of one kind.
type kind struct {
	objects  map[types.NamespacedName]entry
	watchers map[*watcher]struct{}
	// graves are the last deletions, the oldest first; what was deleted up to floor is forgotten.
	graves []event
	floor  int64
}

// entry is an object and the versions at which it was made and changed last.
type entry struct {
	object        client.Object
	made, changed int64
}

// event is what happened to one object; before or after is nil if there was or is none.
type event struct {
	version       int64
	before, after client.Object
}

// Change deletes objects of the kind and puts others, as one step: no list shows a part of it. What is put keeps the UID
// of the object that it takes the place of, unless it has one of its own.
func (s *Store) Change(of schema.GroupVersionKind, put []client.Object, deleted []types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kind(of)
	for _, name := range deleted {
		s.bury(k, name)
	}
	for _, object := range put {
		s.put(k, object)
	}
}

// Names are those of all objects of the kind, in no order.
func (s *Store) Names(of schema.GroupVersionKind) []types.NamespacedName {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.kind(of).objects))
}

// Get returns the object of the name; false if there is none.
func (s *Store) Get(of schema.GroupVersionKind, name types.NamespacedName) (client.Object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.kind(of).objects[name]
	return found.object, ok
}

func (s *Store) kind(of schema.GroupVersionKind) *kind {
	if s.kinds == nil {
		s.kinds = map[schema.GroupVersionKind]*kind{}
	}
	if s.kinds[of] == nil {
		s.kinds[of] = &kind{objects: map[types.NamespacedName]entry{}, watchers: map[*watcher]struct{}{}}
	}
	return s.kinds[of]
}

func (s *Store) put(k *kind, object client.Object) {
	s.version++
	name := client.ObjectKeyFromObject(object)
	old, replaced := k.objects[name]
	next := entry{object: object, made: s.version, changed: s.version}
	version := strconv.FormatInt(s.version, 10)
	switch {
	case object.GetUID() != "":
	case replaced:
		object.SetUID(old.object.GetUID())
	default:
		object.SetUID(types.UID(version)) // which no other object has or will have
	}
	object.SetGeneration(1)
	if replaced && object.GetUID() == old.object.GetUID() {
		object.SetGeneration(old.object.GetGeneration() + 1)
		next.made = old.made
	}
	object.SetResourceVersion(version)
	k.objects[name] = next
	k.tell(event{version: s.version, before: old.object, after: object})
}

func (s *Store) bury(k *kind, name types.NamespacedName) {
	old, ok := k.objects[name]
	if !ok {
		return
	}
	s.version++
	delete(k.objects, name)
	// The last that is heard of an object has the version of its end: a watch goes on from there.
	last, ok := old.object.DeepCopyObject().(client.Object)
	if !ok {
		return // the copy of an object is one
	}
	last.SetResourceVersion(strconv.FormatInt(s.version, 10))
	e := event{version: s.version, before: last}
	k.graves = append(k.graves, e)
	if len(k.graves) > maxGraves {
		k.floor = k.graves[0].version
		k.graves = slices.Delete(k.graves, 0, 1)
	}
	k.tell(e)
}

func (k *kind) tell(e event) {
	for w := range k.watchers {
		w.add(e)
	}
}

// since returns what happened after the version, in order; false if that is not known any more. Of an object that was
// changed several times it is the last that counts.
func (k *kind) since(version int64) ([]event, bool) {
	if version < k.floor {
		return nil, false
	}
	var events []event
	for _, grave := range k.graves {
		if grave.version > version {
			events = append(events, grave)
		}
	}
	for _, e := range k.objects {
		switch {
		case e.changed <= version:
		case e.made > version:
			events = append(events, event{version: e.changed, after: e.object})
		default:
			events = append(events, event{version: e.changed, before: e.object, after: e.object})
		}
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.version, b.version) })
	return events, true
}
