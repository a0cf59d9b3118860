package controllers

import (
	"fmt"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// requestCondition says whether what was decided is in force. The resource is the one of the name, nil if there is none. What
// was denied is in force whatever became of it.
func requestCondition(request *v1alpha1.PermissionRequest, about *v1alpha1.ProtectedResource) condition {
	if request.Status.State == v1alpha1.RequestDenied {
		return isTrue(v1alpha1.ConditionReady, v1alpha1.ReasonDenied, "The requester has nothing by this request")
	}
	compiled, why := resourceOf(request, about)
	switch {
	case why != "":
		return isFalse(v1alpha1.ConditionReady, v1alpha1.ReasonResourceChanged, why)
	case request.Status.State != v1alpha1.RequestApproved:
		return isFalse(v1alpha1.ConditionReady, v1alpha1.ReasonUndecided, "Nobody has approved or denied the request")
	}
	scopes := compiled.Approved(request)
	if len(scopes) == 0 {
		return isFalse(v1alpha1.ConditionReady, v1alpha1.ReasonResourceChanged, "The resource has none of the scopes that were asked for and approved")
	}
	return isTrue(v1alpha1.ConditionReady, v1alpha1.ReasonApproved, "The requester has the scopes "+strings.Join(scopes, ", "))
}

// resourceOf returns the resource that the request is about, or why nothing can be in force.
func resourceOf(request *v1alpha1.PermissionRequest, about *v1alpha1.ProtectedResource) (*resource.Resource, string) {
	switch {
	case !request.DeletionTimestamp.IsZero():
		return nil, "The request is being deleted"
	case about == nil:
		return nil, "The resource is gone"
	case string(about.UID) != request.Spec.Resource.UID:
		return nil, "The resource is gone, and another one has its name"
	}
	compiled, _ := resource.Compile(about)
	switch {
	case compiled == nil || !isServed(about):
		return nil, "The resource is not served: its status says why"
	case compiled.Audience != string(request.Spec.Audience):
		return nil, "The resource is of another audience now"
	case compiled.Owner != request.Spec.Owner:
		return nil, "The resource has another owner now, who has to be asked anew"
	case !compiled.OwnerManaged:
		return nil, fmt.Sprintf("The resource's ownerManagedAccess is not %s any more", v1alpha1.Allowed)
	case !compiled.Concerns(request):
		return nil, "The resource is not the one that was asked for"
	}
	return compiled, ""
}
