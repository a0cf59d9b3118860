package admission

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/chart"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
)

// tenant is a client of a user who has these roles in team-a and no other right.
func tenant(ctx context.Context, t *testing.T, username string, roles ...string) client.Client {
	t.Helper()
	for _, role := range roles {
		create(ctx, t, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: username + "-" + role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: username}},
		})
	}
	config := rest.CopyConfig(plane.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: username}
	c, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	if err := stage.Eventually(ctx, limit, func() error {
		return c.List(ctx, &v1alpha1.PermissionRequestList{}, client.InNamespace("team-a"))
	}); err != nil {
		t.Fatalf("the rights of %s are not in force: %v", username, err)
	}
	return c
}

// installRoles applies the chart's roles for people, and one that gives more than any of them does: to write requests, and not
// their status.
func installRoles(ctx context.Context, t *testing.T) {
	t.Helper()
	objects, err := chart.Render("--set=server.issuer=https://tokens.example.com", "--show-only=templates/roles.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if err := plane.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("test"), client.ForceOwnership); err != nil {
			t.Fatal(err)
		}
	}
	create(ctx, t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "requests"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"permissionrequests"}, Verbs: []string{"*"},
	}}})
}

// forged is a request of mallory's that says of itself that alice approved it.
func forged(name string, about *v1alpha1.ProtectedResource) *v1alpha1.PermissionRequest {
	return &v1alpha1.PermissionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name},
		Spec: v1alpha1.PermissionRequestSpec{
			Resource: v1alpha1.RequestedResource{Name: about.Name, UID: string(about.UID)}, Audience: about.Spec.Audience, Owner: about.Spec.Owner,
			Requester: "mallory", Scopes: []v1alpha1.ResourceScope{"view", "delete"},
		},
		Status: v1alpha1.PermissionRequestStatus{State: v1alpha1.RequestApproved, DecidedBy: "alice", DecidedAt: "2026-01-01T00:00:00Z"},
	}
}

// storedAlbum returns an album of alice's, as the API server has it.
func storedAlbum(ctx context.Context, t *testing.T, name string) *v1alpha1.ProtectedResource {
	t.Helper()
	album := protected(name, "")
	if err := plane.Client.Create(ctx, album); err != nil {
		t.Fatal(err)
	}
	return album
}

// granted are the scopes that the stored request gives.
func granted(ctx context.Context, t *testing.T, album *v1alpha1.ProtectedResource, name string) []string {
	t.Helper()
	compiled, problems := resource.Compile(album)
	if len(problems) > 0 {
		t.Fatalf("the album is not served: %v", problems)
	}
	request := &v1alpha1.PermissionRequest{}
	if err := plane.Client.Get(ctx, client.ObjectKey{Namespace: "team-a", Name: name}, request); err != nil {
		t.Fatal(err)
	}
	return compiled.Approved(request)
}

// TestNobodyForgesAnApproval has mallory, an editor who may write requests, too, but not their status. What is refused and what
// the API server passes over is the same here: in the end nothing is granted.
func TestNobodyForgesAnApproval(t *testing.T) {
	ctx := t.Context()
	installRoles(ctx, t)
	mallory := tenant(ctx, t, "mallory", "tokenwright-viewer", "tokenwright-editor", "requests")
	album := storedAlbum(ctx, t, "album-forged")
	const name = "preq-forged"
	fetch := func() *v1alpha1.PermissionRequest {
		r := &v1alpha1.PermissionRequest{}
		if err := plane.Client.Get(ctx, client.ObjectKey{Namespace: "team-a", Name: name}, r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	approved := func() *v1alpha1.PermissionRequest {
		r := fetch()
		r.Status = forged(name, album).Status
		return r
	}
	const patch = `{"metadata":{"annotations":{"a":"b"}},"status":{"state":"Approved","decidedBy":"alice"}}`
	applied := v1alpha1ac.PermissionRequest(name, "team-a").WithStatus(v1alpha1ac.PermissionRequestStatus().WithState(v1alpha1.RequestApproved))
	owner := client.FieldOwner("mallory")
	tries := []struct {
		name      string
		forbidden bool
		do        func() error
	}{
		{name: "creates it approved", do: func() error { return mallory.Create(ctx, forged(name, album)) }},
		{name: "updates it", do: func() error { return mallory.Update(ctx, approved()) }},
		{name: "patches it", do: func() error { return mallory.Patch(ctx, fetch(), client.RawPatch(types.MergePatchType, []byte(patch))) }},
		{name: "patches it by JSON", do: func() error {
			return mallory.Patch(ctx, fetch(), client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"/status/state","value":"Approved"}]`)))
		}},
		{name: "applies it", do: func() error { return mallory.Apply(ctx, applied, owner, client.ForceOwnership) }},
		{name: "makes it anew", do: func() error {
			if err := mallory.Delete(ctx, fetch()); err != nil {
				return err
			}
			return mallory.Create(ctx, forged(name, album))
		}},
		{name: "updates the status", forbidden: true, do: func() error { return mallory.Status().Update(ctx, approved()) }},
		{name: "patches the status", forbidden: true, do: func() error {
			return mallory.Status().Patch(ctx, fetch(), client.RawPatch(types.MergePatchType, []byte(patch)))
		}},
		{name: "applies the status", forbidden: true, do: func() error {
			return mallory.SubResource("status").Apply(ctx, applied, owner, client.ForceOwnership)
		}},
	}
	for _, try := range tries {
		err := try.do()
		if try.forbidden != apierrors.IsForbidden(err) || !try.forbidden && err != nil {
			t.Errorf("mallory %s: forbidden must be %t: %v", try.name, try.forbidden, err)
		}
		if got := granted(ctx, t, album, name); len(got) > 0 {
			t.Fatalf("mallory %s and has %v", try.name, got)
		}
	}

	// With the right it is an approval: nothing else was in the way.
	admin := tenant(ctx, t, "admin", "tokenwright-approver")
	if err := admin.Status().Patch(ctx, fetch(), client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatalf("an admin of the namespace must be able to approve: %v", err)
	}
	if diff := cmp.Diff([]string{"view", "delete"}, granted(ctx, t, album, name)); diff != "" {
		t.Errorf("an approval grants what was asked for (-want +got):\n%s", diff)
	}
	if err := admin.Status().Patch(ctx, fetch(), client.RawPatch(types.MergePatchType, []byte(`{"status":{"state":"Denied"}}`))); err != nil {
		t.Fatalf("and take it back: %v", err)
	}
	if got := granted(ctx, t, album, name); len(got) > 0 {
		t.Errorf("a denial takes back, but mallory has %v", got)
	}
}

// TestAnEditorMakesUpNoRequest: undecided ones count against the bound of whom they name.
func TestAnEditorMakesUpNoRequest(t *testing.T) {
	ctx := t.Context()
	installRoles(ctx, t)
	editor := tenant(ctx, t, "editor", "tokenwright-viewer", "tokenwright-editor")
	if err := editor.Create(ctx, forged("preq-made-up", protected("album", ""))); !apierrors.IsForbidden(err) {
		t.Errorf("must be forbidden: %v", err)
	}
	if err := editor.Create(ctx, protected("album-of-the-editor", "")); err != nil {
		t.Errorf("an editor must be able to declare a resource: %v", err)
	}
}

// TestAgeAndUIDAreNobodysToChoose: the oldest claim of an id holds, and an approval is of one object, which is known by its uid.
func TestAgeAndUIDAreNobodysToChoose(t *testing.T) {
	ctx := t.Context()
	installRoles(ctx, t)
	editor := tenant(ctx, t, "editor", "tokenwright-viewer", "tokenwright-editor")
	first := protected("album-aged", "")
	first.CreationTimestamp, first.UID = metav1.Unix(0, 0), "chosen"
	if err := editor.Create(ctx, first); err != nil {
		t.Fatal(err)
	}
	if first.UID == "chosen" || first.CreationTimestamp.Year() == 1970 {
		t.Errorf("the resource chose its uid or its age: %s, %s", first.UID, first.CreationTimestamp)
	}
	update := first.DeepCopy()
	update.CreationTimestamp = metav1.Unix(0, 0)
	if err := editor.Update(ctx, update); err == nil && !update.CreationTimestamp.Equal(&first.CreationTimestamp) {
		t.Errorf("the resource became older: %s", update.CreationTimestamp)
	}

	// Whoever may not approve cannot take over what was approved: the approval was of the object that is gone.
	request := forged("preq-aged", first)
	create(ctx, t, request)
	request.Status = forged("", first).Status
	if err := plane.Client.Status().Update(ctx, request); err != nil {
		t.Fatal(err)
	}
	if got := granted(ctx, t, first, request.Name); !slices.Equal(got, []string{"view", "delete"}) {
		t.Fatalf("the approval must hold, or this shows nothing: %v", got)
	}
	if err := editor.Delete(ctx, first); err != nil {
		t.Fatal(err)
	}
	second := protected("album-aged", "")
	second.UID = first.UID
	if err := editor.Create(ctx, second); err != nil {
		t.Fatal(err)
	}
	if got := granted(ctx, t, second, request.Name); len(got) > 0 {
		t.Errorf("the approval is of another object: %v", got)
	}
}
