package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Whoever restores a backup with its statuses owns what they say, beside the manager. The keys go from the status all the
// same when they are dead.
func TestStatusThatABackupOwnsFollowsTheKeys(t *testing.T) {
	b := newKeyBench(t, "co-owned")
	key := b.signingKey("registry")
	b.reconcile(key)
	backup := key.Status.DeepCopy()
	empty := client.RawPatch(types.MergePatchType, []byte(`{"status":{"keys":null}}`))
	if err := plane.Client.Status().Patch(t.Context(), key, empty); err != nil {
		t.Fatal(err)
	}
	key.Status.Keys = backup.Keys
	if err := plane.Client.Status().Update(t.Context(), key, client.FieldOwner("backup")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.after(interval, key) // a rotation, and the removal of what was retired by the one before
		b.reconcile(key)
		b.reconcile(key)
	}
	want := map[string]v1alpha1.KeyState{}
	for _, k := range b.ring(key).Keys {
		want[k.Thumbprint] = k.State
	}
	got := map[string]v1alpha1.KeyState{}
	for _, k := range key.Status.Keys {
		got[k.Thumbprint] = k.State
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys of the Secret and of the status (-want +got):\n%s", diff)
	}
	b.current(key)
}
