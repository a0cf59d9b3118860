package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// say writes the status of the work. The keys of a status may belong to somebody else as well, who restored a backup: an
// apply that leaves one of them out would then leave it there, or be refused for good for what is missing of it. So they
// are cleared first; the next reconcile, which is soon, says them again.
func (w *keyWork) say(ctx context.Context, next v1alpha1.SigningKeyStatus) (ctrl.Result, error) {
	if w.readable && keysHaveOthers(w.key.ManagedFields, string(w.status.owner)) {
		return ctrl.Result{RequeueAfter: firstRetry}, w.clearKeys(ctx)
	}
	return w.status.apply(ctx, w.key.Status, next, signingKeyConfiguration(w.key, next))
}

// keysHaveOthers says whether somebody but the owner owns keys of the status.
func keysHaveOthers(fields []metav1.ManagedFieldsEntry, owner string) bool {
	return slices.ContainsFunc(fields, func(e metav1.ManagedFieldsEntry) bool {
		return e.Subresource == "status" && e.Manager != owner && e.FieldsV1 != nil && strings.Contains(e.FieldsV1.GetRawString(), `"f:keys"`)
	})
}

// clearKeys takes the keys out of the status as it was read: what a merge patch removes belongs to nobody.
func (w *keyWork) clearKeys(ctx context.Context) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": w.key.UID, "resourceVersion": w.key.ResourceVersion},
		"status":   map[string]any{"keys": nil},
	})
	if err != nil {
		return fmt.Errorf("encode a patch: %w", err)
	}
	err = w.client.Status().Patch(ctx, w.key.DeepCopy(), client.RawPatch(types.MergePatchType, patch), w.status.owner)
	if client.IgnoreNotFound(err) != nil && !outpaced(err) {
		return fmt.Errorf("clear the keys in the status of SigningKey %s, which somebody else owns as well: %w", w.key.Name, err)
	}
	return nil
}
