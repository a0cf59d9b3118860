package controllers

import (
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
	const nothing = "Nothing is granted: "
	switch {
	case !request.DeletionTimestamp.IsZero():
		return nil, nothing + "the request is being deleted"
	case about == nil:
		return nil, nothing + "the resource is gone"
	}
	compiled, problems := resource.Compile(about)
	if len(problems) == 0 {
		if why := compiled.Changed(request); why != "" {
			return nil, nothing + why
		}
	}
	if compiled == nil || !isServed(about) {
		return nil, nothing + "the resource is not served, and its status says why"
	}
	return compiled, ""
}
