package registration

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// Create stores a resource. That it is there already with the same spec, as after an answer that was lost, is success; with
// another it is ErrTaken. On success the object is what is stored, and created says that this call is known to have created it.
func (s *Store) Create(ctx context.Context, object *v1alpha1.ProtectedResource) (created bool, err error) {
	what := fmt.Sprintf("create ProtectedResource %s/%s", object.Namespace, object.Name)
	stored := &v1alpha1.ProtectedResource{}
	err = s.do(ctx, what, func(ctx context.Context) error {
		object.DeepCopyInto(stored)
		err := s.options.Client.Create(ctx, stored, client.FieldOwner(fieldOwner))
		created = err == nil
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		*stored = v1alpha1.ProtectedResource{}
		switch err := s.options.Client.Get(ctx, client.ObjectKeyFromObject(object), stored); {
		case apierrors.IsNotFound(err): // it has just gone
			return conflict(object.Name)
		case err != nil:
			return err
		case !stored.DeletionTimestamp.IsZero() || !equality.Semantic.DeepEqual(object.Spec, stored.Spec):
			return ErrTaken
		}
		return ownedBy(stored)
	})
	if err != nil {
		return false, err
	}
	stored.DeepCopyInto(object)
	s.awaitServed(ctx, what, object)
	return created, nil
}

// conflict lets a call be tried again.
func conflict(name string) error {
	return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("protectedresources").GroupResource(), name, nil)
}

// awaitServed waits until this server serves the object as it is, or has taken it in and serves an older one of the id.
func (s *Store) awaitServed(ctx context.Context, what string, object *v1alpha1.ProtectedResource) {
	compiled, problems := resource.Compile(object)
	if len(problems) > 0 {
		return
	}
	s.await(ctx, what, func() bool {
		holder := s.options.Snapshots.Load().Resources.ByID(compiled.Audience, compiled.ID)
		return holder != nil && (holder.UID != compiled.UID || reflect.DeepEqual(holder, compiled))
	})
}

// Target is one object that a resource is, so that no other one of the name is taken for it.
type Target struct {
	Namespace, Name string
	// UID is empty for an object that this server has not seen.
	UID string
	// Audience is what the object must be of.
	Audience string
}

// find reads the object as it is now, and returns an error if it is another one, or somebody else's.
func (s *Store) find(ctx context.Context, t Target) (*v1alpha1.ProtectedResource, error) {
	object := &v1alpha1.ProtectedResource{}
	switch err := s.options.Client.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.Name}, object); {
	case apierrors.IsNotFound(err):
		return nil, ErrNotFound
	case err != nil:
		return nil, err
	case t.UID != "" && string(object.UID) != t.UID, string(object.Spec.Audience) != t.Audience, !object.DeletionTimestamp.IsZero():
		return nil, ErrNotFound
	}
	return object, ownedBy(object)
}

// Registered says whether the object, as it is now, was registered by the ServiceAccount, and nobody else has written its spec.
func (s *Store) Registered(ctx context.Context, t Target, account string) (bool, error) {
	what := fmt.Sprintf("read ProtectedResource %s/%s", t.Namespace, t.Name)
	registered := false
	err := s.do(ctx, what, func(ctx context.Context) error {
		object, err := s.find(ctx, t)
		registered = err == nil && object.Labels[v1alpha1.LabelRegisteredBy] == Registrant(account)
		return err
	})
	if errors.Is(err, ErrOwned) || errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return registered, err
}

// Update changes the spec of a resource, as it is now, and returns the object as it is stored. An error of change ends it, and is
// returned as it is. Change may be called more than once.
func (s *Store) Update(ctx context.Context, t Target, change func(*v1alpha1.ProtectedResource) error) (*v1alpha1.ProtectedResource, error) {
	what := fmt.Sprintf("update ProtectedResource %s/%s", t.Namespace, t.Name)
	var stored *v1alpha1.ProtectedResource
	var refused error
	err := s.do(ctx, what, func(ctx context.Context) (err error) {
		if stored, err = s.find(ctx, t); err != nil {
			return err
		}
		before := stored.Spec.DeepCopy()
		if refused = change(stored); refused != nil || equality.Semantic.DeepEqual(*before, stored.Spec) {
			return nil
		}
		// The version keeps it from what anybody wrote since, and from another object of the name.
		err = s.options.Client.Update(ctx, stored, client.FieldOwner(fieldOwner))
		if apierrors.IsNotFound(err) {
			return ErrNotFound
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		return nil, refused
	}
	s.awaitServed(ctx, what, stored)
	return stored, nil
}

// Delete deletes a resource, and with it whatever was asked of it. It returns the object as it was. An error of allowed, which may be
// nil, about the object as it is now ends it, and is returned as it is.
func (s *Store) Delete(ctx context.Context, t Target, allowed func(*v1alpha1.ProtectedResource) error) (*v1alpha1.ProtectedResource, error) {
	what := fmt.Sprintf("delete ProtectedResource %s/%s", t.Namespace, t.Name)
	var gone *v1alpha1.ProtectedResource
	var refused error
	err := s.do(ctx, what, func(ctx context.Context) error {
		object, err := s.find(ctx, t)
		switch {
		case err == ErrNotFound && gone != nil: //nolint:errorlint // it comes as it is; the answer of the try before was lost
			return nil
		case err != nil:
			return err
		}
		if allowed != nil {
			if refused = allowed(object); refused != nil {
				return nil
			}
		}
		t.UID, gone = string(object.UID), object
		err = s.options.Client.Delete(ctx, object.DeepCopy(), client.Preconditions{UID: &object.UID, ResourceVersion: &object.ResourceVersion})
		return client.IgnoreNotFound(err)
	})
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		return nil, refused
	}
	if compiled, _ := resource.Compile(gone); compiled != nil {
		s.await(ctx, what, func() bool {
			holder := s.options.Snapshots.Load().Resources.ByID(compiled.Audience, compiled.ID)
			return holder == nil || holder.UID != compiled.UID
		})
	}
	return gone, nil
}
