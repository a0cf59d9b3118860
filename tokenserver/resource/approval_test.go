package resource

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

func TestWhoMayOwn(t *testing.T) {
	for _, owner := range []string{"", "alice", "corp:alice@example.com", "system:serviceaccount:team-a:ci", "system:serviceaccount:team-a:ci.v2", "systemic"} {
		if problem := OwnerProblem(owner); problem != "" {
			t.Errorf("%q: %s", owner, problem)
		}
	}
	for _, owner := range []string{
		"system:anonymous", "system:unauthenticated", "system:", "system:node:x", "system:serviceaccount", "system:serviceaccount:", "system:serviceaccount:a:",
		"system:serviceaccount::b", "system:serviceaccount:a:b:c", "system:serviceaccount:A:b", "system:serviceaccount:a.b:c", "system:serviceaccount:a:b*",
	} {
		if OwnerProblem(owner) == "" {
			t.Errorf("%q may own", owner)
		}
	}
}

func TestApproved(t *testing.T) {
	type scopes = []v1alpha1.ResourceScope
	cases := map[string]struct {
		reason string
		edit   func(*Resource, *v1alpha1.PermissionRequest)
		want   []string
	}{
		"all that was asked for": {"that is what an approval without scopes says", nil, []string{"delete", "view"}},
		"a part":                 {"the owner may give less", func(_ *Resource, q *v1alpha1.PermissionRequest) { q.Status.Scopes = scopes{"view"} }, []string{"view"}},
		"more than was asked for": {"nobody asked for it, and whoever writes the status may not look", func(_ *Resource, q *v1alpha1.PermissionRequest) {
			q.Spec.Scopes, q.Status.Scopes = scopes{"view"}, scopes{"view", "delete"}
		}, []string{"view"}},
		"other than was asked for": {"as above", func(_ *Resource, q *v1alpha1.PermissionRequest) {
			q.Spec.Scopes, q.Status.Scopes = scopes{"view"}, scopes{"delete"}
		}, nil},
		"a scope that is gone": {"the resource does not have it any more", func(r *Resource, _ *v1alpha1.PermissionRequest) { r.Scopes = []string{"view"} }, []string{"view"}},
		"every scope":          {"a star is no scope", func(_ *Resource, q *v1alpha1.PermissionRequest) { q.Spec.Scopes = scopes{"*"} }, nil},
		"not decided":          {"it grants nothing", func(_ *Resource, q *v1alpha1.PermissionRequest) { q.Status.State = "" }, nil},
		"pending":              {"it grants nothing", func(_ *Resource, q *v1alpha1.PermissionRequest) { q.Status.State = v1alpha1.RequestPending }, nil},
		"denied":               {"it takes back", func(_ *Resource, q *v1alpha1.PermissionRequest) { q.Status.State = v1alpha1.RequestDenied }, nil},
		"an unknown state":     {"what is not understood grants nothing", func(_ *Resource, q *v1alpha1.PermissionRequest) { q.Status.State = "approved" }, nil},
		"another object":       {"its owner did not decide", func(r *Resource, _ *v1alpha1.PermissionRequest) { r.UID = "v" }, nil},
		"no uid on either side": {"two unknown ones are not the same", func(r *Resource, q *v1alpha1.PermissionRequest) {
			r.UID, q.Spec.Resource.UID = "", ""
		}, nil},
		"another name":      {"it is another resource", func(_ *Resource, q *v1alpha1.PermissionRequest) { q.Spec.Resource.Name = "x" }, nil},
		"another namespace": {"a tenant approves its own", func(_ *Resource, q *v1alpha1.PermissionRequest) { q.Namespace = "team-b" }, nil},
		"another owner":     {"a later owner decides anew", func(r *Resource, _ *v1alpha1.PermissionRequest) { r.Owner = "carol" }, nil},
		"another audience":  {"another resource server has its own scopes", func(r *Resource, _ *v1alpha1.PermissionRequest) { r.Audience = "wiki" }, nil},
		"not managed":       {"the owner decides nothing", func(r *Resource, _ *v1alpha1.PermissionRequest) { r.OwnerManaged = false }, nil},
		"being deleted":     {"it is on its way", func(_ *Resource, q *v1alpha1.PermissionRequest) { q.DeletionTimestamp = &metav1.Time{Time: noon} }, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := served("team-a", "album", 0, func(r *Resource) { r.Owner, r.OwnerManaged, r.Scopes = "alice", true, []string{"delete", "view"} })
			q := &v1alpha1.PermissionRequest{
				ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "preq-1"},
				Spec: v1alpha1.PermissionRequestSpec{
					Resource: v1alpha1.RequestedResource{Name: "album", UID: r.UID}, Audience: photos, Owner: "alice", Requester: "bob",
					Scopes: scopes{"delete", "view"},
				},
				Status: v1alpha1.PermissionRequestStatus{State: v1alpha1.RequestApproved},
			}
			if tc.edit != nil {
				tc.edit(r, q)
			}
			if diff := cmp.Diff(tc.want, r.Approved(q)); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			p := r.RequestPolicy(q)
			if (p == nil) != (len(tc.want) == 0) {
				t.Fatalf("%s: there is a policy: %t", tc.reason, p != nil)
			}
			if p == nil {
				return
			}
			got := policy.NewIndex([]*policy.Policy{p}).Decide(policy.Request{
				Caller: caller.Caller{Username: "bob", Method: caller.MethodPassword}, Audience: photos, Resource: r.Policy(),
				Actions: []string{"delete", "other", "view"}, Admits: func(string) bool { return true },
			}).Granted
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("decided -want +got:\n%s", diff)
			}
		})
	}
}
