package resource

import (
	"slices"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// OwnerPolicy is what the resource gives to its owner: every scope, where the owner manages it. It is nil if that is nothing.
func (r *Resource) OwnerPolicy() *policy.Policy {
	if !r.OwnerManaged {
		return nil
	}
	ref := policy.Ref{Kind: policy.KindProtectedResource, Namespace: r.Namespace, Name: r.Object}
	return policy.Approval(ref, r.Owner, r.Audience, r.Policy(), r.Scopes)
}

// Concerns says whether the request is about this resource as it is: this object and not another one of the name, at the
// audience and with the owner of whom it was asked, and managed by its owner. If not, nothing that was decided is in force.
func (r *Resource) Concerns(request *v1alpha1.PermissionRequest) bool {
	return r.Changed(request) == ""
}

// Changed says why the request is not about this resource as it is, for people; nothing if it is: see Concerns.
func (r *Resource) Changed(request *v1alpha1.PermissionRequest) string {
	spec := &request.Spec
	switch {
	case r.Namespace != request.Namespace || r.Object != spec.Resource.Name:
		return "it is about another resource"
	case r.UID == "" || r.UID != spec.Resource.UID:
		return "the resource is gone, and another one has its name"
	case r.Audience != string(spec.Audience):
		return "the resource is of another audience now"
	case r.Owner != spec.Owner:
		return "the resource has another owner now, who has to be asked anew"
	case !r.OwnerManaged:
		return "the resource is not managed by its owner any more: its ownerManagedAccess is not Allowed"
	}
	return ""
}

// Approved are the scopes that the request gives: those of what was asked for that are approved and that the resource has. They
// are none unless the request is approved and concerns the resource, which must be one that is served.
func (r *Resource) Approved(request *v1alpha1.PermissionRequest) []string {
	if request.Status.State != v1alpha1.RequestApproved || !request.DeletionTimestamp.IsZero() || !r.Concerns(request) {
		return nil
	}
	var scopes []string
	for _, scope := range request.Spec.Scopes {
		chosen := len(request.Status.Scopes) == 0 || slices.Contains(request.Status.Scopes, scope)
		if chosen && r.Has(string(scope)) {
			scopes = append(scopes, string(scope))
		}
	}
	return scopes
}

// RequestPolicy is what the request gives to whoever asked; nil if that is nothing: see Approved.
func (r *Resource) RequestPolicy(request *v1alpha1.PermissionRequest) *policy.Policy {
	scopes := r.Approved(request)
	if len(scopes) == 0 {
		return nil
	}
	ref := policy.Ref{Kind: policy.KindPermissionRequest, Namespace: request.Namespace, Name: request.Name}
	return policy.Approval(ref, request.Spec.Requester, r.Audience, r.Policy(), scopes)
}
