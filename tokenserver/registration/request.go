package registration

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/attempt"
	"github.com/tokenwright/tokenwright/tokenserver/permission"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// How many requests wait for a decision at most: of one requester, of one about one resource, and of all about one resource. Servers
// count what they have seen: a few more can be stored at one moment.
const (
	MostOfRequester = 50
	MostOfPair      = 3
	MostOfResource  = 200
)

// How many requests there are at most, whatever was decided of them: what was approved stays.
const (
	MostAboutResource = 1_000
	MostOfNamespace   = 10_000
)

var errDenied = fmt.Errorf("%w: it was denied", permission.ErrNotTaken)

// Submit implements permission.Requests.
func (s *Store) Submit(ctx context.Context, requester string, r *resource.Resource, scopes []string) error {
	request, err := s.Ask(ctx, requester, r, scopes)
	switch {
	case errors.Is(err, attempt.ErrRefused):
		return fmt.Errorf("%w: %w", permission.ErrNotTaken, err)
	case err != nil:
		return err
	case request.Status.State == v1alpha1.RequestDenied:
		return errDenied // or a client would ask again each minute, and the owner had said nothing
	}
	return nil
}

// Ask stores that somebody asks for scopes of a resource, and returns the request as it is: it may be decided already.
func (s *Store) Ask(ctx context.Context, requester string, r *resource.Resource, scopes []string) (*v1alpha1.PermissionRequest, error) {
	return s.ask(ctx, requester, r, scopes, s.crowded)
}

// Offer is Ask for a request that is decided at once, and so does not count among those that wait for a decision.
func (s *Store) Offer(ctx context.Context, requester string, r *resource.Resource, scopes []string) (*v1alpha1.PermissionRequest, error) {
	return s.ask(ctx, requester, r, scopes, func(string, *resource.Resource) error { return nil })
}

// crowded is an error if too many requests of the requester, or about the resource, wait for a decision.
func (s *Store) crowded(requester string, r *resource.Resource) error {
	ofUser, ofPair, ofResource := s.options.Index.undecided(requester, r.UID)
	switch {
	case ofPair >= MostOfPair:
		return fmt.Errorf("%w: %d requests of the requester about the resource are undecided", permission.ErrNotTaken, ofPair)
	case ofUser >= MostOfRequester:
		return fmt.Errorf("%w: %d requests of the requester are undecided", permission.ErrNotTaken, ofUser)
	case ofResource >= MostOfResource:
		return fmt.Errorf("%w: %d requests about the resource are undecided", permission.ErrNotTaken, ofResource)
	}
	return nil
}

// full is an error if there are too many requests about the resource, or in its namespace.
func (s *Store) full(r *resource.Resource) error {
	about, in := s.options.Index.stored(r.UID, r.Namespace)
	switch {
	case about >= MostAboutResource:
		return fmt.Errorf("%w: there are %d requests about the resource", permission.ErrNotTaken, about)
	case in >= MostOfNamespace:
		return fmt.Errorf("%w: there are %d requests in the namespace", permission.ErrNotTaken, in)
	}
	return nil
}

func (s *Store) ask(
	ctx context.Context, requester string, r *resource.Resource, scopes []string, crowded func(string, *resource.Resource) error,
) (*v1alpha1.PermissionRequest, error) {
	asked, err := newRequest(requester, r, scopes)
	if err != nil {
		return nil, err
	}
	if seen := s.options.Index.Get(asked.Namespace, asked.Name); seen != nil && equality.Semantic.DeepEqual(seen.Spec, asked.Spec) {
		return seen, nil
	}
	if err := errors.Join(s.full(r), crowded(requester, r)); err != nil {
		return nil, err
	}
	what := fmt.Sprintf("create PermissionRequest %s/%s", asked.Namespace, asked.Name)
	stored := &v1alpha1.PermissionRequest{}
	if err := s.do(ctx, what, func(ctx context.Context) error { return s.createOrFind(ctx, asked, stored) }); err != nil {
		return nil, err
	}
	s.await(ctx, what, func() bool {
		seen := s.options.Index.Get(stored.Namespace, stored.Name)
		return seen != nil && seen.UID == stored.UID
	})
	return stored, nil
}

// newRequest is collected with its resource.
func newRequest(requester string, r *resource.Resource, scopes []string) (*v1alpha1.PermissionRequest, error) {
	if !r.OwnerManaged || r.UID == "" || len(scopes) == 0 {
		return nil, fmt.Errorf("%w: nobody may be asked for the resource", permission.ErrNotTaken)
	}
	sorted := make([]v1alpha1.ResourceScope, 0, len(scopes))
	for _, scope := range scopes {
		sorted = append(sorted, v1alpha1.ResourceScope(scope))
	}
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	return &v1alpha1.PermissionRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.Namespace, Name: RequestName(r.UID, requester, sorted),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: kindResource, Name: r.Object, UID: types.UID(r.UID),
			}},
		},
		Spec: v1alpha1.PermissionRequestSpec{
			Resource: v1alpha1.RequestedResource{Name: r.Object, UID: r.UID}, Audience: v1alpha1.Audience(r.Audience),
			Owner: r.Owner, Requester: requester, Scopes: sorted,
		},
	}, nil
}

// createOrFind creates the request, or finds that it is there. One that a former owner was asked is nothing to the owner of now,
// and makes room.
func (s *Store) createOrFind(ctx context.Context, asked, stored *v1alpha1.PermissionRequest) error {
	asked.DeepCopyInto(stored)
	err := s.options.Client.Create(ctx, stored, client.FieldOwner(fieldOwner))
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	*stored = v1alpha1.PermissionRequest{}
	switch err := s.options.Client.Get(ctx, client.ObjectKeyFromObject(asked), stored); {
	case apierrors.IsNotFound(err):
		return conflict(asked.Name)
	case err != nil:
		return err
	case equality.Semantic.DeepEqual(asked.Spec, stored.Spec):
		return nil
	}
	preconditions := client.Preconditions{UID: &stored.UID, ResourceVersion: &stored.ResourceVersion}
	if err := client.IgnoreNotFound(s.options.Client.Delete(ctx, stored, preconditions)); err != nil {
		return err
	}
	return conflict(asked.Name)
}
