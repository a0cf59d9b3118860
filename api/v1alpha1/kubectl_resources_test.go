package v1alpha1_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// storeResources has an album that is served and one that is not, and what two users asked of the first.
func storeResources(t *testing.T, namespace string) {
	t.Helper()
	resource := func(name string, spec v1alpha1.ProtectedResourceSpec) *v1alpha1.ProtectedResource {
		return &v1alpha1.ProtectedResource{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: spec}
	}
	request := func(name, requester string, scopes ...v1alpha1.ResourceScope) *v1alpha1.PermissionRequest {
		return &v1alpha1.PermissionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.PermissionRequestSpec{
			Resource: v1alpha1.RequestedResource{Name: "album", UID: "1"}, Audience: "photos.example.com", Owner: "alice", Requester: requester, Scopes: scopes,
		}}
	}
	const refused = `{"status":{"id":"resources/diary","conditions":[{"type":"Ready","status":"False","reason":"AudienceUnknown",` +
		`"message":"no SigningKey","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`
	const served = `{"status":{"id":"album-7","conditions":[{"type":"Ready","status":"True","reason":"InForce","message":"Served",` +
		`"lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`
	for _, of := range []struct {
		object client.Object
		status string
	}{
		{resource("album", v1alpha1.ProtectedResourceSpec{
			ID: "album-7", Type: "album", Scopes: []v1alpha1.ResourceScope{"view"}, Owner: "alice", Audience: "photos.example.com",
		}), served},
		{resource("diary", v1alpha1.ProtectedResourceSpec{Scopes: []v1alpha1.ResourceScope{"view"}, Audience: "wiki.example.com"}), refused},
		{request("preq-1", "bob", "view", "delete"), `{"status":{"state":"Approved"}}`},
		{request("preq-2", "carol", "view"), `{"status":{}}`},
		{request("preq-3", "dave", "view"), `{"status":{}}`},
	} {
		if err := plane.Client.Create(t.Context(), of.object); err != nil {
			t.Fatal(err)
		}
		if err := plane.Client.Status().Patch(t.Context(), of.object, client.RawPatch(types.MergePatchType, []byte(of.status))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKubectlShowsResourcesAndRequests has the API server print them, as their owners see them: what is protected and whether
// it is served; who wants what, and whether somebody has decided.
func TestKubectlShowsResourcesAndRequests(t *testing.T) {
	k := newKubectl(t, "resources")
	storeResources(t, k.namespace)
	cases := map[string]struct {
		reason string
		args   []string
		want   [][]string
	}{
		"protectedresources": {
			"what it is, and whether it is served", []string{"get", "protectedresources"}, [][]string{
				{"NAME", "TYPE", "AUDIENCE", "READY", "AGE"},
				{"album", "album", "photos.example.com", "True", "seconds"},
				{"diary", "resource", "wiki.example.com", "False", "seconds"},
			},
		},
		"protectedresources, wide": {
			"whose it is, and why it is not served", []string{"get", "pres", "-o", "wide"}, [][]string{
				{"NAME", "TYPE", "AUDIENCE", "READY", "AGE", "OWNER", "ID", "REASON", "MESSAGE"},
				{"album", "album", "photos.example.com", "True", "seconds", "alice", "album-7", "InForce", "Served"},
				{"diary", "resource", "wiki.example.com", "False", "seconds", "resources/diary", "AudienceUnknown", "no SigningKey"},
			},
		},
		"permissionrequests": {
			"who wants what", []string{"get", "permissionrequests"}, [][]string{
				{"NAME", "REQUESTER", "RESOURCE", "STATE", "AGE"},
				{"preq-1", "bob", "album", "Approved", "seconds"},
				{"preq-2", "carol", "album", "Pending", "seconds"},
			},
		},
		"permissionrequests of one user, wide": {
			"what for, and of whom", []string{"get", "preq", "--field-selector=spec.requester=bob", "-o", "wide"}, [][]string{
				{"NAME", "REQUESTER", "RESOURCE", "STATE", "AGE", "SCOPES", "OWNER", "AUDIENCE", "READY"},
				{"preq-1", "bob", "album", "Approved", "seconds", `["view","delete"]`, "alice", "photos.example.com"},
			},
		},
		"permissionrequests to one owner": {
			"what waits for alice", []string{"get", "preq", "--field-selector=spec.owner=alice", "--no-headers"}, [][]string{
				{"preq-1", "bob", "album", "Approved", "seconds"},
				{"preq-2", "carol", "album", "Pending", "seconds"},
			},
		},
	}
	// What docs/permissionrequest.md says of deciding without a command of ours.
	for state, scopes := range map[string]string{"Approved": `["view"]`, "Denied": "null"} {
		patch := fmt.Sprintf(`--patch={"status":{"state":%q,"scopes":%s,"decidedBy":"alice"}}`, state, scopes)
		k.run(t, "patch", "permissionrequest", "preq-3", "--subresource=status", "--type=merge", patch)
		if got := k.run(t, "get", "preq", "preq-3", "-o", "jsonpath={.status.state}"); got != state {
			t.Errorf("the state is %q, expected %q", got, state)
		}
	}
	k.run(t, "delete", "preq", "preq-3")
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			printed := k.run(t, tc.args...)
			if diff := cmp.Diff(tc.want, table(printed)); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", tc.reason, diff, printed)
			}
		})
	}
}
