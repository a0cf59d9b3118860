package chart

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// rights is what to ask the API server's authorizer.
type rights struct {
	reason    string
	namespace string
	group     string
	name      string
	resources []string
	verbs     []string
	allowed   bool
}

const ourGroup = "tokenwright.dev"

var (
	writes  = []string{"create", "update", "patch", "delete", "deletecollection"}
	reads   = []string{"get", "list", "watch"}
	watches = []string{"list", "watch"}
	all     = slices.Concat(reads, writes)
)

// check asks whether the user may, for every verb and resource.
func check(t *testing.T, user string, groups []string, cases map[string]rights) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, resource := range tc.resources {
				for _, verb := range tc.verbs {
					review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
						User: user, Groups: groups,
						ResourceAttributes: &authorizationv1.ResourceAttributes{
							Namespace: tc.namespace, Group: tc.group, Resource: resource, Name: tc.name, Verb: verb,
						},
					}}
					if err := plane.Client.Create(t.Context(), review); err != nil {
						t.Fatal(err)
					}
					if review.Status.Allowed != tc.allowed {
						t.Errorf("%s: %s %s in %q is allowed=%t, expected %t", tc.reason, verb, resource, tc.namespace, review.Status.Allowed, tc.allowed)
					}
				}
			}
		})
	}
}

func account(component string) (user string, groups []string) {
	return "system:serviceaccount:" + SystemNamespace + ":tokenwright-" + component,
		[]string{"system:serviceaccounts", "system:serviceaccounts:" + SystemNamespace, "system:authenticated"}
}

func TestRightsOfTheServer(t *testing.T) {
	apply(t.Context(), t, render(t, issuer))
	user, groups := account("server")
	check(t, user, groups, map[string]rights{
		"Reads what it decides by": {
			reason: "that is its work", group: ourGroup, resources: []string{"accesspolicies", "clusteraccesspolicies"}, verbs: watches, allowed: true,
		},
		"Reads keys and passwords": {
			reason: "it signs and compares", namespace: SystemNamespace, resources: []string{"secrets"}, verbs: watches, allowed: true,
		},
		"Has no right in the namespace of the authorities": {
			reason: "whoever breaks into a server must not be able to make certificates", namespace: caNamespace,
			resources: []string{"secrets", "configmaps"}, verbs: all,
		},
		"Writes no Secret": {
			reason: "the manager owns keys", namespace: SystemNamespace, resources: []string{"secrets"}, verbs: writes,
		},
		"Reads no tenant's Secret": {
			reason: "it has no business there", namespace: "team-a", resources: []string{"secrets"}, verbs: all,
		},
		"Writes no policy and no key": {
			reason: "a server that can grant itself is an authority of its own", namespace: SystemNamespace, group: ourGroup,
			resources: []string{"accesspolicies", "clusteraccesspolicies", "signingkeys", "identityproviders", "signingkeys/status"}, verbs: writes,
		},
		"Records tokens and revokes them": {
			reason: "what lives long is recorded, and can be taken back", namespace: SystemNamespace, group: ourGroup,
			resources: []string{"issuedtokens", "tokenrevocations"}, verbs: []string{"create", "get", "list", "watch"}, allowed: true,
		},
		"Says when a token was used": {
			reason: "users see which of their tokens are in use", namespace: SystemNamespace, group: ourGroup,
			resources: []string{"issuedtokens/status"}, verbs: []string{"patch"}, allowed: true,
		},
		"Lifts no revocation": {
			reason: "whoever breaks into a server must not bring back what was taken", namespace: SystemNamespace, group: ourGroup,
			resources: []string{"issuedtokens", "tokenrevocations"}, verbs: []string{"update", "patch", "delete", "deletecollection"},
		},
		"Records nothing elsewhere": {
			reason: "records are read in the system namespace only", namespace: "team-a", group: ourGroup,
			resources: []string{"issuedtokens", "tokenrevocations"}, verbs: all,
		},
		"Has nothing to do with protected resources": {
			reason: "they are of no use to a server without UMA, and whoever breaks into it would write them everywhere", namespace: "team-a",
			group: ourGroup, resources: []string{"protectedresources", "permissionrequests", "permissionrequests/status"}, verbs: all,
		},
		"Keeps a Lease": {
			reason: "by it the manager knows which keys it serves; whose it may be, the admission policy says", namespace: SystemNamespace,
			group: "coordination.k8s.io", resources: []string{"leases"}, verbs: []string{"create", "get", "update"}, allowed: true,
		},
		"Deletes no Lease and follows none": {
			reason: "the manager collects those that have ended", namespace: SystemNamespace, group: "coordination.k8s.io",
			resources: []string{"leases"}, verbs: []string{"list", "watch", "patch", "delete", "deletecollection"},
		},
		"Keeps no Lease elsewhere": {
			reason: "nodes and leaders live by them, and the admission policy is of the system namespace only", namespace: "kube-node-lease",
			group: "coordination.k8s.io", resources: []string{"leases"}, verbs: all,
		},
	})
}

func TestRightsOfTheManager(t *testing.T) {
	apply(t.Context(), t, render(t, "--set=publishNamespaces={registry-a}", issuer))
	user, groups := account("manager")
	check(t, user, groups, map[string]rights{
		"Makes keys": {
			reason: "that is its work", namespace: SystemNamespace, resources: []string{"secrets"}, verbs: []string{"get", "list", "watch", "create", "update"}, allowed: true,
		},
		"Makes, replaces and ends authorities": {
			reason: "that is its work", namespace: caNamespace, resources: []string{"secrets"}, verbs: []string{"get", "create", "update", "delete"}, allowed: true,
		},
		"Looks for no authority but its own": {
			reason: "it knows their names, and writes with a resourceVersion", namespace: caNamespace, resources: []string{"secrets"},
			verbs: []string{"list", "watch", "patch"},
		},
		"Holds and releases SigningKeys": {
			reason: "with a finalizer of its own, until their last token is dead", namespace: SystemNamespace, group: ourGroup,
			resources: []string{"signingkeys"}, verbs: []string{"list", "watch", "patch"}, allowed: true,
		},
		"Makes and ends no SigningKey": {
			reason: "they are the platform team's", namespace: SystemNamespace, group: ourGroup,
			resources: []string{"signingkeys"}, verbs: []string{"create", "update", "delete", "deletecollection"},
		},
		"Sees whether its namespace is going": {
			reason: "it lets the SigningKeys go then", namespace: SystemNamespace, name: SystemNamespace,
			resources: []string{"namespaces"}, verbs: []string{"get"}, allowed: true,
		},
		"Sees the labels of namespaces": {
			reason: "they say which audiences admit a ProtectedResource", resources: []string{"namespaces"}, verbs: watches, allowed: true,
		},
		"Changes no namespace": {
			reason: "labels are rights", namespace: "team-a", name: "team-a", resources: []string{"namespaces"}, verbs: writes,
		},
		"Says of resources and requests what is in force": {
			reason: "in all namespaces", namespace: "team-a", group: ourGroup,
			resources: []string{"protectedresources/status", "permissionrequests/status"}, verbs: []string{"patch"}, allowed: true,
		},
		"Collects requests that are over": {
			reason: "and reads both kinds", namespace: "team-a", group: ourGroup,
			resources: []string{"permissionrequests"}, verbs: []string{"list", "watch", "delete"}, allowed: true,
		},
		"Makes and changes no resource and no request": {
			reason: "they are tenants'", namespace: "team-a", group: ourGroup,
			resources: []string{"protectedresources", "permissionrequests"}, verbs: []string{"create", "update", "patch", "deletecollection"},
		},
		"Deletes no resource": {
			reason: "they are tenants'", namespace: "team-a", group: ourGroup, resources: []string{"protectedresources"}, verbs: []string{"delete"},
		},
		"Collects records": {
			reason: "they are deleted when they do not matter any more", namespace: SystemNamespace, group: ourGroup,
			resources: []string{"issuedtokens", "tokenrevocations"}, verbs: []string{"list", "watch", "delete"}, allowed: true,
		},
		"Makes no records": {
			reason: "whoever makes them can be anybody", namespace: SystemNamespace, group: ourGroup,
			resources: []string{"issuedtokens", "tokenrevocations", "issuedtokens/status"}, verbs: []string{"create", "update", "patch", "deletecollection"},
		},
		"Takes the lead": {
			reason: "one of two managers works", namespace: SystemNamespace, group: "coordination.k8s.io", resources: []string{"leases"},
			name: "tokenwright-manager", verbs: []string{"get", "update"}, allowed: true,
		},
		"Takes no other lead": {
			reason: "Leases of others keep them alive", namespace: SystemNamespace, group: "coordination.k8s.io", resources: []string{"leases"},
			name: "tokenwright-server-1", verbs: []string{"get", "update", "patch", "deletecollection"},
		},
		"Sees what servers say, and clears away what those left that are gone": {
			reason: "a key is published when all servers serve it", namespace: SystemNamespace, group: "coordination.k8s.io",
			resources: []string{"leases"}, verbs: []string{"list", "watch", "delete"}, allowed: true,
		},
		"Has nothing to do with the Leases of the cluster": {
			reason: "nodes and leaders live by them", namespace: "kube-system", group: "coordination.k8s.io", resources: []string{"leases"}, verbs: all,
		},
		"Publishes at home": {
			reason: "registries read the ConfigMap", namespace: SystemNamespace, resources: []string{"configmaps"},
			verbs: []string{"get", "list", "watch", "create", "patch"}, allowed: true,
		},
		"Publishes where it was told to": {
			reason: "publishNamespaces names it", namespace: "registry-a", resources: []string{"configmaps"},
			verbs: []string{"get", "create", "patch", "delete"}, allowed: true,
		},
		"Reads no other ConfigMap where it publishes": {
			reason: "it knows the name of its own", namespace: "registry-a", resources: []string{"configmaps"}, verbs: []string{"list", "watch"},
		},
		"Publishes nowhere else": {
			reason: "nobody named it", namespace: "team-a", resources: []string{"configmaps"}, verbs: all,
		},
		"Reads no tenant's Secret": {
			reason: "it has no business there", namespace: "team-a", resources: []string{"secrets"}, verbs: all,
		},
		"Reads no Secret where it publishes": {
			reason: "public keys are in ConfigMaps", namespace: "registry-a", resources: []string{"secrets"}, verbs: all,
		},
		"Writes no policy": {
			reason: "it says what it thinks of them, in the status", group: ourGroup,
			resources: []string{"accesspolicies", "clusteraccesspolicies"}, verbs: writes,
		},
		"Cannot give itself more": {
			reason: "a manager that writes roles has every right", group: "rbac.authorization.k8s.io",
			resources: []string{"clusterroles", "clusterrolebindings", "roles", "rolebindings"}, verbs: all,
		},
	})
}

func TestRightsOfPeople(t *testing.T) {
	apply(t.Context(), t, render(t, issuer))
	bindPeople(t)
	systemKinds := []string{"signingkeys", "identityproviders", "clusteraccesspolicies", "issuedtokens", "tokenrevocations"}
	t.Run("viewer", func(t *testing.T) {
		check(t, "viewer", nil, map[string]rights{
			"Reads policies":           {reason: "tenants see theirs", namespace: "team-a", group: ourGroup, resources: []string{"accesspolicies"}, verbs: reads, allowed: true},
			"Writes nothing":           {reason: "it views", namespace: "team-a", group: ourGroup, resources: []string{"accesspolicies"}, verbs: writes},
			"Sees no system kind":      {reason: "they are the platform team's", namespace: SystemNamespace, group: ourGroup, resources: systemKinds, verbs: all},
			"Sees nothing of others'":  {reason: "the binding is for one namespace", namespace: "team-b", group: ourGroup, resources: []string{"accesspolicies"}, verbs: all},
			"Does not write a status":  {reason: "only the manager does", namespace: "team-a", group: ourGroup, resources: []string{"accesspolicies/status"}, verbs: writes},
			"Has no right on a Secret": {reason: "nothing of the kind was given", namespace: SystemNamespace, resources: []string{"secrets"}, verbs: all},
		})
	})
	t.Run("editor", func(t *testing.T) {
		check(t, "editor", nil, map[string]rights{
			"Writes policies":         {reason: "tenants manage theirs", namespace: "team-a", group: ourGroup, resources: []string{"accesspolicies"}, verbs: all, allowed: true},
			"Touches no system kind":  {reason: "an editor of the system namespace must not become the authority", namespace: SystemNamespace, group: ourGroup, resources: systemKinds, verbs: all},
			"Does not write a status": {reason: "only the manager does", namespace: "team-a", group: ourGroup, resources: []string{"accesspolicies/status"}, verbs: writes},
		})
	})
	t.Run("platform admin", func(t *testing.T) {
		check(t, "platform", nil, map[string]rights{
			"Writes keys and providers": {reason: "they are the platform team's", namespace: SystemNamespace, group: ourGroup, resources: []string{"signingkeys", "identityproviders"}, verbs: all, allowed: true},
			"Revokes tokens":            {reason: "and lifts a revocation that was a mistake", namespace: SystemNamespace, group: ourGroup, resources: []string{"tokenrevocations"}, verbs: all, allowed: true},
			"Sees and ends records":     {reason: "they hold no token", namespace: SystemNamespace, group: ourGroup, resources: []string{"issuedtokens"}, verbs: slices.Concat(reads, []string{"delete", "deletecollection"}), allowed: true},
			"Makes no record":           {reason: "whoever makes them can be anybody", namespace: SystemNamespace, group: ourGroup, resources: []string{"issuedtokens"}, verbs: []string{"create", "update", "patch"}},
			"Does not write a status":   {reason: "only the manager does", namespace: SystemNamespace, group: ourGroup, resources: []string{"signingkeys/status", "issuedtokens/status"}, verbs: writes},
			"Reads no key":              {reason: "keys are in Secrets, which nothing of ours gives", namespace: SystemNamespace, resources: []string{"secrets"}, verbs: all},
		})
	})
}

// bindPeople gives each role to one user, in a tenant's namespace and in that of the system.
func bindPeople(t *testing.T) {
	t.Helper()
	for user, role := range map[string]string{
		"viewer": "tokenwright-viewer", "editor": "tokenwright-editor", "approver": "tokenwright-approver", "platform": "tokenwright-platform-admin",
	} {
		for _, namespace := range []string{"team-a", SystemNamespace} {
			binding := &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
			}
			if err := plane.Client.Create(t.Context(), binding); err != nil && !apierrors.IsAlreadyExists(err) {
				t.Fatal(err)
			}
		}
	}
}

func TestAggregatedRolesAreThoseOfTenantsOnly(t *testing.T) {
	aggregated := func(args ...string) []string {
		var names []string
		for _, o := range render(t, append(args, issuer)...) {
			for label := range o.GetLabels() {
				if o.GetKind() == "ClusterRole" && label == "rbac.authorization.k8s.io/aggregate-to-admin" {
					names = append(names, o.GetName())
				}
			}
		}
		return names
	}
	if diff := cmp.Diff([]string{"tokenwright-approver", "tokenwright-editor", "tokenwright-viewer"}, aggregated()); diff != "" {
		t.Errorf("by default (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string(nil), aggregated("--set=roles.aggregate=false")); diff != "" {
		t.Errorf("if told so (-want +got):\n%s", diff)
	}
}

// TestNobodyIsGivenTheRightToMakeRecords: whoever may create an IssuedToken can be anybody. Only the servers may, by the
// Role of their own ServiceAccount.
func TestNobodyIsGivenTheRightToMakeRecords(t *testing.T) {
	for _, o := range render(t, issuer) {
		if o.GetKind() != "Role" && o.GetKind() != "ClusterRole" {
			continue
		}
		var role rbacv1.ClusterRole
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role); err != nil {
			t.Fatal(err)
		}
		makes := slices.ContainsFunc(role.Rules, func(r rbacv1.PolicyRule) bool {
			any := func(list []string, of ...string) bool {
				return slices.ContainsFunc(list, func(s string) bool { return slices.Contains(of, s) })
			}
			return any(r.APIGroups, ourGroup, "*") && any(r.Resources, "issuedtokens", "*") && any(r.Verbs, "create", "*")
		})
		if server := o.GetKind() == "Role" && o.GetName() == "tokenwright-server" && o.GetNamespace() == SystemNamespace; makes != server {
			t.Errorf("%s %s/%s may make IssuedTokens: %t", o.GetKind(), o.GetNamespace(), o.GetName(), makes)
		}
	}
}

// The roles that the chart renders are those that the code beside the markers asks for.
func TestRolesAreWhatIsGenerated(t *testing.T) {
	generator := filepath.Join(controlplane.Root(), "bin", "tools", "controller-gen")
	rendered := render(t, issuer)
	for component, packages := range map[string]string{"manager": "./controllers/...", "server": "./tokenserver/..."} {
		t.Run(component, func(t *testing.T) {
			name := "tokenwright-" + component
			cmd := exec.Command(generator, "rbac:roleName="+name, "paths="+packages, "output:rbac:stdout")
			cmd.Dir = controlplane.Root()
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("controller-gen: %v", err)
			}
			generated, err := Objects(out)
			if err != nil {
				t.Fatal(err)
			}
			want, got := map[string]any{}, map[string]any{}
			for _, o := range generated {
				want[nameOf(o)] = o.Object["rules"]
			}
			for _, o := range rendered {
				if o.GetName() == name && (o.GetKind() == "Role" || o.GetKind() == "ClusterRole") {
					got[nameOf(o)] = o.Object["rules"]
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("run `make generate` (-generated +chart):\n%s", diff)
			}
			if missing := unbound(rendered, name, got); len(missing) > 0 {
				t.Errorf("no binding for %v", missing)
			}
		})
	}
}

// unbound are the roles that no binding gives to the ServiceAccount.
func unbound(objects []*unstructured.Unstructured, name string, roles map[string]any) []string {
	bound := map[string]bool{}
	for _, o := range objects {
		kind, _, _ := unstructured.NestedString(o.Object, "roleRef", "kind")
		if kind == "" || o.GetName() != name {
			continue
		}
		role := o.DeepCopy()
		role.SetKind(kind)
		bound[nameOf(role)] = true
	}
	var missing []string
	for role := range roles {
		if !bound[role] {
			missing = append(missing, role)
		}
	}
	return missing
}
