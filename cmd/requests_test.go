package cmd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
)

// testRequests decides with the rights of somebody who owns a namespace.
func (b *keysBench) testRequests(t *testing.T) {
	if err := b.plane.CreateNamespace(t.Context(), "photos", nil); err != nil {
		t.Fatal(err)
	}
	b.decider(t)
	b.ready(t, "albums", func(s *v1alpha1.SigningKeySpec) { s.Audiences = []v1alpha1.Audience{"albums.example.com"} })
	t.Run("docs", b.testRequestsDocs)
	t.Run("approve", b.testApprove)
	t.Run("what is gone", b.testApproveChanged)
	t.Run("meanwhile", b.testDecideMeanwhile)
	t.Run("errors", b.testRequestsErrors)
	t.Run("completion", b.testRequestsCompletion)
}

// decider gives the administrator the right to decide in one namespace, the viewer that to look, and a context its namespace.
func (b *keysBench) decider(t *testing.T) {
	t.Helper()
	look := rbacv1.PolicyRule{APIGroups: []string{"tokenwright.dev"}, Resources: []string{"permissionrequests", "protectedresources"}, Verbs: []string{"get", "list"}}
	write := rbacv1.PolicyRule{APIGroups: []string{"tokenwright.dev"}, Resources: []string{"permissionrequests/status"}, Verbs: []string{"patch"}}
	everywhere := rbacv1.PolicyRule{APIGroups: []string{"tokenwright.dev"}, Resources: []string{"permissionrequests"}, Verbs: []string{"list"}}
	for name, rules := range map[string][]rbacv1.PolicyRule{asAdmin: {look, write}, asViewer: {look}} {
		object := metav1.ObjectMeta{Namespace: "photos", Name: name}
		b.create(t, &rbacv1.Role{ObjectMeta: object, Rules: rules})
		b.create(t, &rbacv1.RoleBinding{
			ObjectMeta: object, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "empty", Name: name}},
		})
	}
	b.create(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "lists-requests"}, Rules: []rbacv1.PolicyRule{everywhere}})
	b.create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "lists-requests"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "lists-requests"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "empty", Name: asAdmin}},
	})
	file, err := clientcmd.LoadFromFile(b.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	file.Contexts["photos"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: asAdmin, Namespace: "photos"}
	if err := clientcmd.WriteToFile(*file, b.kubeconfig); err != nil {
		t.Fatal(err)
	}
}

// album creates a resource of alice's, and waits until it is served.
func (b *keysBench) album(t *testing.T, name string) *v1alpha1.ProtectedResource {
	t.Helper()
	r := &v1alpha1.ProtectedResource{
		ObjectMeta: metav1.ObjectMeta{Namespace: "photos", Name: name},
		Spec: v1alpha1.ProtectedResourceSpec{
			Type: "album", Audience: "albums.example.com", Owner: "alice", OwnerManagedAccess: v1alpha1.Allowed,
			Scopes: []v1alpha1.ResourceScope{"view", "delete"},
		},
	}
	b.create(t, r)
	poll(t, func() error {
		b.reload(t, r)
		if !meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionReady) {
			return fmt.Errorf("it is not served: %+v", r.Status)
		}
		return nil
	})
	return r
}

func (b *keysBench) reload(t *testing.T, o client.Object) {
	t.Helper()
	if err := b.plane.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatal(err)
	}
}

// asked creates a request and waits until the manager has looked at it.
func (b *keysBench) asked(t *testing.T, name, requester string, of *v1alpha1.ProtectedResource, scopes ...v1alpha1.ResourceScope) *v1alpha1.PermissionRequest {
	t.Helper()
	q := about(name, requester, of, scopes...)
	b.create(t, q)
	b.reason(t, q, v1alpha1.ReasonUndecided)
	return q
}

// about is a request for the resource as it is.
func about(name, requester string, of *v1alpha1.ProtectedResource, scopes ...v1alpha1.ResourceScope) *v1alpha1.PermissionRequest {
	return &v1alpha1.PermissionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: of.Namespace, Name: name}, Spec: v1alpha1.PermissionRequestSpec{
		Resource: v1alpha1.RequestedResource{Name: of.Name, UID: string(of.UID)}, Audience: of.Spec.Audience,
		Owner: of.Spec.Owner, Requester: requester, Scopes: scopes,
	}}
}

// reason waits until the manager says so of the request.
func (b *keysBench) reason(t *testing.T, q *v1alpha1.PermissionRequest, want string) {
	t.Helper()
	poll(t, func() error {
		b.reload(t, q)
		if c := meta.FindStatusCondition(q.Status.Conditions, v1alpha1.ConditionReady); c == nil || c.Reason != want {
			return fmt.Errorf("the manager says %+v of %s, want %s", c, q.Name, want)
		}
		return nil
	})
}

// times are those of a page and of a test.
var times = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\S+ ago`)

// testRequestsDocs does what docs/requests-command.md shows, from top to bottom, and compares what comes out.
func (b *keysBench) testRequestsDocs(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(controlplane.Root(), "docs", "requests-command.md"))
	if err != nil {
		t.Fatal(err)
	}
	r := b.album(t, "holiday")
	// The newest comes first, and of one second the first name: bob, whether a second ends between the two or not.
	b.asked(t, "preq-carol", "carol", r, "view")
	bob := b.asked(t, "preq-bob", "bob", r, "view", "delete")
	status, typed := 0, 0
	for _, block := range block.FindAllStringSubmatch(string(page), -1) {
		var got bytes.Buffer
		for line := range strings.Lines(block[2]) {
			if !strings.HasPrefix(line, "$ ") {
				continue
			}
			args := strings.Fields(line)
			typed++
			got.WriteString(line)
			switch {
			case line == "$ echo $?\n":
				got.WriteString(strconv.Itoa(status) + "\n")
			case args[1] == "tokenwright":
				if args[len(args)-1] == "yaml" {
					b.reason(t, bob, v1alpha1.ReasonApproved)
				}
				status = execute(t.Context(), args[2:], &got, &got)
			default:
				t.Fatalf("%q is no command of this program", line)
			}
		}
		plain := func(text string) string { return times.ReplaceAllString(text, "TIME") }
		if diff := cmp.Diff(plain(block[2]), plain(got.String())); diff != "" {
			t.Errorf("(-page +got):\n%s", diff)
		}
	}
	if typed < 10 {
		t.Errorf("only %d commands were found", typed)
	}
}

func (b *keysBench) testApprove(t *testing.T) {
	r := b.album(t, "approve")
	q := b.asked(t, "asked", "bob", r, "view", "delete")
	steps := []struct {
		reason string
		args   []string
		said   string
		want   v1alpha1.PermissionRequestStatus
	}{
		{"some of it, twice", []string{"approve", "asked", "--scopes=view,view"}, `PermissionRequest "asked" approved: "bob" has view of ProtectedResource "approve"`,
			v1alpha1.PermissionRequestStatus{State: "Approved", Scopes: []v1alpha1.ResourceScope{"view"}}},
		{"the same", []string{"approve", "asked", "--scopes=view"}, `PermissionRequest "asked" is approved already: "bob" has view of ProtectedResource "approve"`,
			v1alpha1.PermissionRequestStatus{State: "Approved", Scopes: []v1alpha1.ResourceScope{"view"}}},
		{"all of it, by name", []string{"approve", "asked", "--scopes=delete,view"}, `PermissionRequest "asked" approved: "bob" has view, delete of ProtectedResource "approve"`,
			v1alpha1.PermissionRequestStatus{State: "Approved"}},
		{"all of it", []string{"approve", "asked"}, `PermissionRequest "asked" is approved already: "bob" has view, delete of ProtectedResource "approve"`,
			v1alpha1.PermissionRequestStatus{State: "Approved"}},
		{"taken back", []string{"deny", "asked"}, `PermissionRequest "asked" denied: "bob" has nothing of ProtectedResource "approve" by it`,
			v1alpha1.PermissionRequestStatus{State: "Denied"}},
	}
	for _, step := range steps {
		got := b.run(t, append([]string{"requests", "--context=photos"}, step.args...)...)
		if diff := cmp.Diff(output{0, step.said + "\n", ""}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.reason, diff)
		}
		b.reload(t, q)
		if at, err := q.Status.DecidedAt.Parse(); err != nil || at.IsZero() || q.Status.DecidedBy != "system:serviceaccount:empty:admin" {
			t.Errorf("%s: decided by %q at %q", step.reason, q.Status.DecidedBy, q.Status.DecidedAt)
		}
		step.want.DecidedAt, step.want.DecidedBy = q.Status.DecidedAt, q.Status.DecidedBy
		step.want.Conditions, step.want.ObservedGeneration = q.Status.Conditions, q.Status.ObservedGeneration
		if diff := cmp.Diff(step.want, q.Status); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.reason, diff)
		}
		if step.args[0] == "deny" {
			b.reason(t, q, v1alpha1.ReasonDenied)
		} else {
			b.reason(t, q, v1alpha1.ReasonApproved)
		}
	}
	for _, f := range q.ManagedFields {
		if f.FieldsV1 != nil && strings.Contains(f.FieldsV1.GetRawString(), "f:state") && f.Manager != "tokenwright-cli" {
			t.Errorf("%s owns the decision", f.Manager)
		}
	}
}

// testApproveChanged approves what would give nothing.
func (b *keysBench) testApproveChanged(t *testing.T) {
	cases := map[string]struct {
		change func(r *v1alpha1.ProtectedResource)
		want   string
	}{
		"owner":   {func(r *v1alpha1.ProtectedResource) { r.Spec.Owner = "mallory" }, `the resource has another owner now, who has to be asked anew (ProtectedResource "owner")`},
		"managed": {func(r *v1alpha1.ProtectedResource) { r.Spec.OwnerManagedAccess = v1alpha1.Forbidden }, `the resource is not managed by its owner any more: its ownerManagedAccess is not Allowed (ProtectedResource "managed")`},
		"scopes":  {func(r *v1alpha1.ProtectedResource) { r.Spec.Scopes = []v1alpha1.ResourceScope{"delete"} }, `ProtectedResource "scopes" has only the scopes delete now`},
		"gone":    {nil, `ProtectedResource "gone" is gone`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := b.album(t, name)
			q := b.asked(t, "asked-"+name, "bob", r, "view")
			if tc.change != nil {
				tc.change(r)
				if err := b.plane.Client.Update(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			} else if err := b.plane.Client.Delete(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			got := b.run(t, "requests", "--context=photos", "approve", q.Name)
			want := output{1, "", fmt.Sprintf("error: PermissionRequest %q cannot be approved: %s\n", q.Name, tc.want)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := b.run(t, "requests", "--context=photos", "deny", q.Name); got.Status != 0 {
				t.Errorf("it cannot be denied either: %s", got.Stderr)
			}
		})
	}
	t.Run("audience", func(t *testing.T) {
		r := b.album(t, "audience")
		q := about("asked-audience", "bob", r, "view")
		q.Spec.Audience = "elsewhere.example.com"
		b.create(t, q)
		b.reason(t, q, v1alpha1.ReasonResourceChanged)
		got := b.run(t, "requests", "--context=photos", "approve", q.Name)
		if got.Status != 1 || !strings.Contains(got.Stderr, `the resource is of another audience now (ProtectedResource "audience")`) {
			t.Errorf("status %d, said %q", got.Status, got.Stderr)
		}
	})
	t.Run("another of the name", func(t *testing.T) {
		r := b.album(t, "again")
		q := b.asked(t, "asked-again", "bob", r, "view")
		if err := b.plane.Client.Delete(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		b.album(t, "again")
		got := b.run(t, "requests", "--context=photos", "approve", q.Name)
		if got.Status != 1 || !strings.Contains(got.Stderr, "the resource is gone, and another one has its name") {
			t.Errorf("status %d, said %q", got.Status, got.Stderr)
		}
	})
}

func (b *keysBench) testRequestsErrors(t *testing.T) {
	r := b.album(t, "errors")
	b.asked(t, "wanted", "bob\u202e", r, "view")
	cases := map[string]struct {
		args []string
		want string
	}{
		"a state that is none":       {[]string{"list", "--state=Open"}, `error: --state must be Pending, Approved or Denied, not "Open"`},
		"an output that is none":     {[]string{"list", "-o", "xml"}, `error: --output must be table, name, json or yaml, not "xml"`},
		"one namespace and all":      {[]string{"list", "-A", "-n", "photos"}, `error: --all-namespaces and --namespace must not both be given`},
		"a request that is none":     {[]string{"deny", "none", "-n", "photos"}, `error: there is no PermissionRequest "none" in namespace "photos"; to see those that there are: tokenwright requests list --all-namespaces`},
		"no scope":                   {[]string{"approve", "wanted", "-n", "photos", "--scopes="}, `error: --scopes must name a scope; to give none of them: deny the request`},
		"a scope too many":           {[]string{"approve", "wanted", "-n", "photos", "--scopes=view,delete"}, `error: scope "delete" was not asked for by PermissionRequest "wanted", only view`},
		"a viewer who would approve": {[]string{"approve", "wanted", "-n", "photos", "--context", asViewer}, `error: you need the right to patch permissionrequests/status of tokenwright.dev in namespace "photos": `},
		"nobody who would look":      {[]string{"approve", "wanted", "-n", "photos", "--context", asNobody}, `error: you need the right to get permissionrequests of tokenwright.dev in namespace "photos": `},
		"a viewer of one namespace":  {[]string{"list", "-A", "--context", asViewer}, `error: you need the right to list permissionrequests of tokenwright.dev in all namespaces: `},
		"no name":                    {[]string{"approve"}, "error: accepts 1 arg(s), received 0"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := b.run(t, append([]string{"requests"}, tc.args...)...)
			if got.Status != 1 || !strings.HasPrefix(got.Stderr, tc.want) {
				t.Errorf("status %d, said %q", got.Status, got.Stderr)
			}
		})
	}
	for _, args := range [][]string{{"list"}, {"list", "-o", "json"}, {"list", "-o", "yaml"}, {"deny", "wanted"}} {
		if got := b.run(t, append([]string{"requests", "--context=photos"}, args...)...); got.Status != 0 || strings.Contains(got.Stdout, "\u202e") {
			t.Errorf("%q: status %d, and a terminal obeys %q", args, got.Status, got.Stdout)
		}
	}
}

func (b *keysBench) testRequestsCompletion(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"approve", "preq-c"}, "preq-carol\tDenied, by carol for holiday\n"},
		{[]string{"deny", "preq-b"}, "preq-bob\tApproved, by bob for holiday\n"},
		{[]string{"deny", "preq-bob", ""}, ":4\n"},
		{[]string{"approve", "--context", asNobody, ""}, ":4\n"},
		{[]string{"list", "--state", "P"}, "Pending\n"},
	} {
		got := b.run(t, append([]string{"__complete", "requests", "-n", "photos"}, tc.args...)...)
		if !strings.Contains(got.Stdout, tc.want) || tc.want == ":4\n" && got.Stdout != tc.want {
			t.Errorf("%q: got %q, want %q", tc.args, got.Stdout, tc.want)
		}
	}
}
