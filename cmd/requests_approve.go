package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	compiled "github.com/tokenwright/tokenwright/tokenserver/resource"
)

// approval is what approving these scopes means, none: all. An approval that would give nothing is refused.
func (s *session) approval(ctx context.Context, q *v1alpha1.PermissionRequest, only []string) (*verdict, error) {
	v := &verdict{state: v1alpha1.RequestApproved}
	for _, scope := range only {
		if !slices.Contains(texts(q.Spec.Scopes), scope) {
			return nil, fmt.Errorf("scope %q was not asked for by PermissionRequest %q, only %s", scope, q.Name, strings.Join(texts(q.Spec.Scopes), ", "))
		}
		if !slices.Contains(texts(v.scopes), scope) {
			v.scopes = append(v.scopes, v1alpha1.ResourceScope(scope))
		}
	}
	if len(v.scopes) == len(q.Spec.Scopes) {
		v.scopes = nil
	}
	if !q.DeletionTimestamp.IsZero() {
		return nil, fmt.Errorf("PermissionRequest %q cannot be approved: it is being deleted", q.Name)
	}
	r, err := s.resourceOf(ctx, q)
	if err != nil {
		return nil, err
	}
	approved := q.DeepCopy()
	approved.Status.State, approved.Status.Scopes = v.state, v.scopes
	given := r.Approved(approved)
	if len(given) == 0 {
		return nil, fmt.Errorf("PermissionRequest %q cannot be approved: ProtectedResource %q has only the scopes %s now", q.Name, r.Object, strings.Join(r.Scopes, ", "))
	}
	v.already = stateOf(q) == v1alpha1.RequestApproved && slices.Equal(approvedScopes(q), approvedScopes(approved))
	v.said = fmt.Sprintf("%q has %s of ProtectedResource %q", q.Spec.Requester, strings.Join(given, ", "), r.Object)
	return v, nil
}

// resourceOf returns the resource as it is, or why an approval would give nothing. That it is not served at present is only
// told: that may change without anybody having to approve anew.
func (s *session) resourceOf(ctx context.Context, q *v1alpha1.PermissionRequest) (*compiled.Resource, error) {
	object, name := &v1alpha1.ProtectedResource{}, q.Spec.Resource.Name
	err := s.client.Get(ctx, client.ObjectKey{Namespace: q.Namespace, Name: name}, object)
	switch {
	case apierrors.IsNotFound(err) && !isUnknownKind(err):
		return nil, fmt.Errorf("PermissionRequest %q cannot be approved: ProtectedResource %q is gone", q.Name, name)
	case err != nil:
		return nil, s.tenantCall("get", protectedResources, name).explain(err)
	}
	r, problems := compiled.Compile(object)
	if len(problems) > 0 {
		return nil, fmt.Errorf("PermissionRequest %q cannot be approved: ProtectedResource %q is not served: %s: %s", q.Name, name, problems[0].Path, problems[0].Message)
	}
	if why := r.Changed(q); why != "" {
		return nil, fmt.Errorf("PermissionRequest %q cannot be approved: %s (ProtectedResource %q)", q.Name, why, name)
	}
	if c := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionAccepted); c != nil && c.Status != metav1.ConditionTrue {
		printer{s.errOut}.line("warning: ProtectedResource %q is not served, and nothing of it is granted until it is: %s", name, told(*c))
	}
	return r, nil
}
