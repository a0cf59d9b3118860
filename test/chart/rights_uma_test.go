package chart

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

var umaKinds = []string{"protectedresources", "permissionrequests"}

// TestRightsOfAServerWithUMA has a release of its own, so that the server of the others does not get its rights.
func TestRightsOfAServerWithUMA(t *testing.T) {
	roles := slices.DeleteFunc(render(t, issuer, "--set=uma.enabled=true,fullnameOverride=photos"), func(o *unstructured.Unstructured) bool {
		return o.GroupVersionKind().Group != rbacv1.GroupName && o.GetKind() != "ServiceAccount"
	})
	apply(t.Context(), t, roles)
	_, groups := account("server")
	check(t, "system:serviceaccount:"+SystemNamespace+":photos-server", groups, map[string]rights{
		"Registers resources": {
			reason: "in the namespace of whoever registers them", namespace: "team-a", group: ourGroup, resources: []string{"protectedresources"},
			verbs: []string{"get", "list", "watch", "create", "update", "delete"}, allowed: true,
		},
		"Patches no resource": {
			reason: "it replaces what it has read, or nothing", namespace: "team-a", group: ourGroup, resources: []string{"protectedresources"}, verbs: []string{"patch"},
		},
		"Takes requests, and clears them away": {
			reason: "of whoever was refused", namespace: "team-a", group: ourGroup, resources: []string{"permissionrequests"},
			verbs: []string{"get", "list", "watch", "create", "delete"}, allowed: true,
		},
		"Writes down what an owner decides": {
			reason: "owners come to the server", namespace: "team-a", group: ourGroup, resources: []string{"permissionrequests/status"},
			verbs: []string{"patch"}, allowed: true,
		},
		"Changes no request": {
			reason: "what is asked for is another request", namespace: "team-a", group: ourGroup, resources: []string{"permissionrequests"},
			verbs: []string{"update", "patch"},
		},
		"Says of no resource whether it is served": {
			reason: "the manager does", namespace: "team-a", group: ourGroup, resources: []string{"protectedresources/status"}, verbs: all,
		},
		"Deletes nothing in bulk": {
			reason: "it deletes what it is told to, one by one", namespace: "team-a", group: ourGroup, resources: umaKinds, verbs: []string{"deletecollection"},
		},
		"Writes no policy all the same": {
			reason: "a server that can grant itself is an authority of its own", namespace: "team-a", group: ourGroup,
			resources: []string{"accesspolicies", "clusteraccesspolicies"}, verbs: writes,
		},
		"Reads what every server reads": {
			reason: "the rights are added to the others", group: ourGroup, resources: []string{"accesspolicies", "clusteraccesspolicies"}, verbs: watches, allowed: true,
		},
		"Reads no tenant's Secret": {
			reason: "it has no business there", namespace: "team-a", resources: []string{"secrets"}, verbs: all,
		},
	})
}

// TestWhoDecidesAboutRequests: the status of a PermissionRequest grants.
func TestWhoDecidesAboutRequests(t *testing.T) {
	apply(t.Context(), t, render(t, issuer))
	bindPeople(t)
	const status = "permissionrequests/status"
	decide := []string{"patch", "update"}
	check(t, "viewer", nil, map[string]rights{
		"A viewer sees resources and requests": {reason: "tenants see theirs", namespace: "team-a", group: ourGroup, resources: umaKinds, verbs: reads, allowed: true},
		"A viewer writes nothing":              {reason: "it views", namespace: "team-a", group: ourGroup, resources: append(umaKinds, status), verbs: writes},
		"A viewer sees nothing of others'":     {reason: "the binding is for one namespace", namespace: "team-b", group: ourGroup, resources: umaKinds, verbs: all},
	})
	check(t, "editor", nil, map[string]rights{
		"An editor declares resources":          {reason: "tenants manage theirs", namespace: "team-a", group: ourGroup, resources: []string{"protectedresources"}, verbs: all, allowed: true},
		"An editor withdraws requests":          {reason: "what is in the namespace can be cleared away", namespace: "team-a", group: ourGroup, resources: []string{"permissionrequests"}, verbs: slices.Concat(reads, []string{"delete", "deletecollection"}), allowed: true},
		"An editor makes up no request":         {reason: "it would count against the bounds of whom it names", namespace: "team-a", group: ourGroup, resources: []string{"permissionrequests"}, verbs: []string{"create", "update", "patch"}},
		"An editor decides nothing":             {reason: "the owner or an admin consents", namespace: "team-a", group: ourGroup, resources: []string{status}, verbs: writes},
		"An editor serves no resource":          {reason: "the manager says which is", namespace: "team-a", group: ourGroup, resources: []string{"protectedresources/status"}, verbs: writes},
		"An editor declares nothing of others'": {reason: "the binding is for one namespace", namespace: "team-b", group: ourGroup, resources: append(umaKinds, status), verbs: all},
	})
	check(t, "approver", nil, map[string]rights{
		"An approver decides":               {reason: "it is part of a namespace's admin", namespace: "team-a", group: ourGroup, resources: []string{status}, verbs: decide, allowed: true},
		"An approver sees what to decide":   {reason: "it has to know", namespace: "team-a", group: ourGroup, resources: umaKinds, verbs: reads, allowed: true},
		"An approver makes up nothing":      {reason: "somebody else asks, and declares", namespace: "team-a", group: ourGroup, resources: umaKinds, verbs: writes},
		"An approver decides for no others": {reason: "the binding is for one namespace", namespace: "team-b", group: ourGroup, resources: append(umaKinds, status), verbs: all},
	})
	check(t, "platform", nil, map[string]rights{
		"The platform team writes both":        {reason: "they are kinds of ours", namespace: "team-a", group: ourGroup, resources: umaKinds, verbs: all, allowed: true},
		"The platform team decides":            {reason: "where no owner can", namespace: "team-a", group: ourGroup, resources: []string{status}, verbs: decide, allowed: true},
		"The platform team serves no resource": {reason: "the manager says which is", namespace: "team-a", group: ourGroup, resources: []string{"protectedresources/status"}, verbs: writes},
	})
}

// TestNobodyElseIsGivenTheRightToDecide reads every role that is rendered. The manager writes conditions there.
func TestNobodyElseIsGivenTheRightToDecide(t *testing.T) {
	deciders := func(args ...string) []string {
		var names []string
		for _, o := range render(t, append(args, issuer)...) {
			if o.GetKind() != "Role" && o.GetKind() != "ClusterRole" {
				continue
			}
			var role rbacv1.ClusterRole
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role); err != nil {
				t.Fatal(err)
			}
			decides := slices.ContainsFunc(role.Rules, func(r rbacv1.PolicyRule) bool {
				any := func(list []string, of ...string) bool {
					return slices.ContainsFunc(list, func(s string) bool { return slices.Contains(of, s) })
				}
				return any(r.APIGroups, ourGroup, "*") && any(r.Resources, "permissionrequests/status", "*/status", "*") && any(r.Verbs, "patch", "update", "*")
			})
			if decides && o.GetName() != manager {
				names = append(names, o.GetName())
			}
		}
		return names
	}
	people := []string{"tokenwright-approver", "tokenwright-platform-admin"}
	if diff := cmp.Diff(people, deciders()); diff != "" {
		t.Errorf("by default (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(append(people, "tokenwright-server-uma"), deciders("--set=uma.enabled=true")); diff != "" {
		t.Errorf("with UMA (-want +got):\n%s", diff)
	}
}

// TestUMAIsOffUnlessToldSo: neither a right nor a flag of it is there, and a role that nobody needs would be bound by somebody.
func TestUMAIsOffUnlessToldSo(t *testing.T) {
	for name, objects := range map[string][]*unstructured.Unstructured{"the chart": render(t, issuer), "config/default": kustomize(t, "default")} {
		for _, o := range objects {
			if strings.Contains(o.GetName(), "uma") {
				t.Errorf("%s: %s", name, nameOf(o))
			}
		}
	}
}
