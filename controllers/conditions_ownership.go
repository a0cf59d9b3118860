package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// conditionsIn returns the conditions of a status, or of a part of one.
func conditionsIn(status any) []metav1.Condition {
	switch s := status.(type) {
	case []metav1.Condition:
		return s
	case v1alpha1.PolicyStatus:
		return s.Conditions
	case v1alpha1.IdentityProviderStatus:
		return s.Conditions
	case v1alpha1.SigningKeyStatus:
		return s.Conditions
	case v1alpha1.ProtectedResourceStatus:
		return s.Conditions
	case v1alpha1.PermissionRequestStatus:
		return s.Conditions
	}
	return nil
}

// ended are the types of conditions that no longer hold, and uris that are claimed no longer. None of the one is one of the other.
func ended(previous, next any) []string {
	var types []string
	for _, c := range urisIn(previous) {
		if !slices.ContainsFunc(urisIn(next), func(n v1alpha1.ClaimedURI) bool { return n.URI == c.URI }) {
			types = append(types, c.URI)
		}
	}
	for _, c := range conditionsIn(previous) {
		if !slices.ContainsFunc(conditionsIn(next), func(n metav1.Condition) bool { return n.Type == c.Type }) {
			types = append(types, c.Type)
		}
	}
	return types
}

// urisIn returns the claims of a status.
func urisIn(status any) []v1alpha1.ClaimedURI {
	s, _ := status.(v1alpha1.ProtectedResourceStatus)
	return s.URIs
}

// takeAway removes conditions, and claims of uris, that the apply has left. Somebody else owns them as well, such as who restored a backup with
// its statuses, and an object that is in force would be Stalled for good, and a uri that is dropped would keep its age. What a merge patch removes belongs to nobody.
func (w statusWriter) takeAway(ctx context.Context, applied runtime.ApplyConfiguration, gone []string) (ctrl.Result, error) {
	if len(gone) == 0 {
		return ctrl.Result{}, nil
	}
	patch, object, err := removal(applied, gone)
	if err != nil || patch == nil {
		return ctrl.Result{}, err
	}
	if err := w.limit.Wait(ctx); err != nil {
		return ctrl.Result{}, fmt.Errorf("wait for a turn to write status: %w", err)
	}
	err = w.client.Status().Patch(ctx, object, patch, w.owner)
	switch {
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: firstRetry}, nil
	case client.IgnoreNotFound(err) != nil:
		return ctrl.Result{}, fmt.Errorf("take away of a status what somebody else owns as well: %w", err)
	}
	return ctrl.Result{}, nil
}

// removal returns the patch that takes the conditions out of what the API server answered; nil if there are none.
func removal(applied runtime.ApplyConfiguration, ended []string) (client.Patch, client.Object, error) {
	text, err := json.Marshal(applied)
	if err != nil {
		return nil, nil, fmt.Errorf("encode what was applied: %w", err)
	}
	var answer struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ObjectMeta `json:"metadata"`
		Status          struct {
			Conditions []metav1.Condition    `json:"conditions"`
			URIs       []v1alpha1.ClaimedURI `json:"uris"`
		} `json:"status"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, nil, fmt.Errorf("decode what was applied: %w", err)
	}
	kept := slices.DeleteFunc(slices.Clone(answer.Status.Conditions), func(c metav1.Condition) bool { return slices.Contains(ended, c.Type) })
	uris := slices.DeleteFunc(slices.Clone(answer.Status.URIs), func(c v1alpha1.ClaimedURI) bool { return slices.Contains(ended, c.URI) })
	if len(kept) == len(answer.Status.Conditions) && len(uris) == len(answer.Status.URIs) {
		return nil, nil, nil
	}
	status := map[string]any{"conditions": kept}
	if len(uris) < len(answer.Status.URIs) {
		status["uris"] = uris
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": answer.Metadata.UID, "resourceVersion": answer.Metadata.ResourceVersion},
		"status":   status,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("encode a patch: %w", err)
	}
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(answer.APIVersion)
	object.SetKind(answer.Kind)
	object.SetNamespace(answer.Metadata.Namespace)
	object.SetName(answer.Metadata.Name)
	return client.RawPatch(types.MergePatchType, patch), object, nil
}
