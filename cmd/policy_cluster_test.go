package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
)

// right is what one sentence of docs/policy-command.md says.
type right struct{ namespace, group, resource string }

var (
	rightTeam       = right{"team-a", "tokenwright.dev", "accesspolicies"}
	rightEverywhere = right{"", "tokenwright.dev", "accesspolicies"}
	rightCluster    = right{"", "tokenwright.dev", "clusteraccesspolicies"}
	rightKeys       = right{systemNamespace, "tokenwright.dev", "signingkeys"}
	rightNamespaces = right{"", "", "namespaces"}
	rightResources  = right{"team-a", "tokenwright.dev", "protectedresources"}
	rightRequests   = right{"team-a", "tokenwright.dev", "permissionrequests"}
)

// people are contexts of the kubeconfig, each a ServiceAccount with these rights to list and no others.
var people = map[string][]right{
	"tenant":     {rightTeam, rightCluster, rightKeys, rightNamespaces},
	"platform":   {rightEverywhere, rightCluster, rightKeys, rightNamespaces},
	"owner":      {rightTeam, rightCluster, rightKeys, rightNamespaces, rightResources, rightRequests},
	"no-team":    {rightCluster, rightKeys, rightNamespaces},
	"no-cluster": {rightTeam, rightKeys, rightNamespaces},
	"no-keys":    {rightTeam, rightCluster, rightNamespaces},
	"no-names":   {rightTeam, rightCluster, rightKeys},
}

// policyBench is a cluster with policies, and people who ask about them.
type policyBench struct {
	plane *controlplane.Plane
}

func TestPolicyOfACluster(t *testing.T) {
	plane, err := controlplane.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	b := &policyBench{plane: plane}
	for name, labels := range map[string]map[string]string{systemNamespace: nil, "team-a": nil, "team-b": {"registry": "closed"}, "people": nil} {
		if err := plane.CreateNamespace(t.Context(), name, labels); err != nil {
			t.Fatal(err)
		}
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	b.people(t, kubeconfig)
	t.Setenv("KUBECONFIG", kubeconfig)
	b.apply(t, team)
	b.apply(t, keys)
	t.Run("can-i", b.testCanI)
	t.Run("can-i of resources", b.testCanIResources)
	t.Run("who-can", b.testWhoCan)
	t.Run("diff", b.testDiff)
	t.Run("rights", b.testRights)
	t.Run("plugin", b.testPlugin)
	t.Run("pages", b.testPages)
}

// apply creates the objects of a text of YAML.
func (b *policyBench) apply(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "objects.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Rel(controlplane.Root(), file)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.plane.Apply(t.Context(), path); err != nil {
		t.Fatal(err)
	}
}

func (b *policyBench) people(t *testing.T, kubeconfig string) {
	t.Helper()
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: b.plane.Config.Host, CertificateAuthorityData: b.plane.Config.CAData}
	file.CurrentContext = "tenant"
	for name, rights := range people {
		config, err := b.plane.ConfigOf(t.Context(), "people", name)
		if err != nil {
			t.Fatal(err)
		}
		file.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: config.BearerToken}
		file.Contexts[name] = &clientcmdapi.Context{Cluster: "c", AuthInfo: name}
		for _, r := range rights {
			b.grant(t, name, r)
		}
	}
	if err := clientcmd.WriteToFile(*file, kubeconfig); err != nil {
		t.Fatal(err)
	}
}

func (b *policyBench) grant(t *testing.T, name string, r right) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: name + "-" + r.resource, Namespace: r.namespace}
	rules := []rbacv1.PolicyRule{{APIGroups: []string{r.group}, Resources: []string{r.resource}, Verbs: []string{"list"}}}
	subjects := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "people", Name: name}}
	objects := []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules},
		&rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name}},
	}
	if r.namespace != "" {
		objects = []client.Object{
			&rbacv1.Role{ObjectMeta: meta, Rules: rules},
			&rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name}},
		}
	}
	for _, o := range objects {
		if err := b.plane.Client.Create(t.Context(), o); err != nil {
			t.Fatalf("create %T %s: %v", o, o.GetName(), err)
		}
	}
}

func (b *policyBench) testCanI(t *testing.T) {
	// The schema's patterns let this pass, and the compiler does not.
	b.apply(t, "apiVersion: tokenwright.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: broken, namespace: team-a}\nspec:\n  subjects: [{kind: User, name: carol}]\n"+
		"  rules: [{type: repository, names: [\"team-a/**\"], actions: [pull]}]\n  when: {expression: \"subject.nope == ''\"}\n")
	cases := map[string]policyCase{
		"yes": {
			"", nil, []string{"can-i", "pull,push", "repository", "team-a/app", "--as", "bob", "--as-group", "devs", "--audience", "registry.example.com"},
			output{0, "yes\npull: allowed by AccessPolicy team-a/devs rules[0]\npush: allowed by AccessPolicy team-a/devs rules[0]\n", ""},
		},
		"no, of a namespace that is not admitted": {
			"the labels of namespaces are read", nil, []string{"can-i", "pull", "repository", "team-a/app", "--as", "bob", "--as-group", "devs", "--audience", "closed.example.com"},
			output{1, "no\npull: allowed by nothing\nhint: AccessPolicy team-a/devs rules[0] would allow pull, but SigningKey \"closed\" does not admit AccessPolicies of namespace \"team-a\" (spec.namespaces)\n", ""},
		},
		"a policy that is not accepted": {
			"", nil, []string{"can-i", "pull", "repository", "team-a/app", "--as", "carol", "--audience", "registry.example.com"},
			output{1, "no\npull: allowed by nothing\nhint: AccessPolicy team-a/broken is not accepted, and grants nothing: spec.when.expression: must be CEL: ERROR: <input>:1:8: undefined field 'nope' | subject.nope == '' | .......^\n", ""},
		},
		"an audience that nobody holds": {
			"", nil, []string{"can-i", "pull", "repository", "team-a/app", "--as", "bob", "--audience", "other"},
			output{1, "no\npull: allowed by nothing\nhint: no SigningKey holds the audience \"other\"; there are: \"closed.example.com\", \"registry.example.com\"\n", ""},
		},
		"a catalog, which no namespace owns": {
			"no AccessPolicy is read for it", nil, []string{"can-i", "*", "registry", "catalog", "--as", "bob", "--audience", "registry.example.com", "--context", "no-team"},
			output{1, "no\n*: allowed by nothing\nhint: no policy gives *: a ClusterAccessPolicy whose subjects name the user \"bob\", or one of the groups \"system:authenticated\", would have to allow it\n", ""},
		},
		"a host as the first segment": {
			"no namespace has such a name", nil, []string{"can-i", "pull", "repository", "localhost:5000/app", "--as", "bob", "--audience", "registry.example.com", "--context", "no-team"},
			output{1, "no\npull: allowed by nothing\nhint: no policy gives pull: a ClusterAccessPolicy whose subjects name the user \"bob\", or one of the groups \"system:authenticated\", would have to allow it\n", ""},
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

// testCanIResources asks about a resource that bob asked for and alice approved.
func (b *policyBench) testCanIResources(t *testing.T) {
	r := &v1alpha1.ProtectedResource{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "holiday"},
		Spec: v1alpha1.ProtectedResourceSpec{
			Type: "album", Audience: "registry.example.com", Owner: "alice", OwnerManagedAccess: v1alpha1.Allowed, Scopes: []v1alpha1.ResourceScope{"view"},
		},
	}
	if err := b.plane.Client.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	q := &v1alpha1.PermissionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "asked"},
		Spec: v1alpha1.PermissionRequestSpec{
			Resource: v1alpha1.RequestedResource{Name: r.Name, UID: string(r.UID)}, Audience: r.Spec.Audience, Owner: "alice", Requester: "bob", Scopes: r.Spec.Scopes,
		},
	}
	if err := b.plane.Client.Create(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	q.Status.State = v1alpha1.RequestApproved
	if err := b.plane.Client.Status().Update(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	ask := func(who, context string) []string {
		return []string{"can-i", "view", "album", "holiday", "-n", "team-a", "--as", who, "--audience", "registry.example.com", "--context", context}
	}
	cases := map[string]policyCase{
		"the owner":           {"", nil, ask("alice", "owner"), output{0, "yes\nview: allowed by ProtectedResource team-a/holiday\n", ""}},
		"who asked the owner": {"", nil, ask("bob", "owner"), output{0, "yes\nview: allowed by PermissionRequest team-a/asked\n", ""}},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
	t.Run("without the right to list them", func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		status := execute(t.Context(), append([]string{"policy"}, ask("alice", "tenant")...), &stdout, &stderr)
		if want := "are not looked at: you need the right to list protectedresources of tokenwright.dev in namespace \"team-a\""; status != 1 || !strings.Contains(stderr.String(), want) {
			t.Errorf("status %d, %s%s", status, stdout.String(), stderr.String())
		}
	})
}

func (b *policyBench) testWhoCan(t *testing.T) {
	policyCase{
		"", nil, []string{"who-can", "push", "repository", "team-a/app"},
		output{0, `SUBJECT KIND     SUBJECT   NAMESPACE   POLICY                       RULE   IF                                            AUDIENCES
Group            devs      -           AccessPolicy team-a/devs     0      -                                             registry.example.com
ServiceAccount   ci        team-a      AccessPolicy team-a/devs     0      -                                             registry.example.com
User             alice     -           AccessPolicy team-a/office   0      from 10.0.0.0/8; until 2099-01-01T00:00:00Z   registry.example.com
`, ""},
	}.run(t)
}

func (b *policyBench) testDiff(t *testing.T) {
	cases := map[string]policyCase{
		"what is there already": {
			"defaults and status make no difference", map[string]string{"team.yaml": team, "keys.yaml": keys}, []string{"diff", "-f", "DIR", "--context", "platform"},
			output{0, "", "0 of 0 requests would be answered otherwise\n"},
		},
		"a right that is taken away": {
			"", map[string]string{"team.yaml": strings.Replace(team, "actions: [pull, push]", "actions: [pull]", 1)}, []string{"diff", "-f", "DIR", "--context", "platform"},
			output{1, `x (devs), repository:team-a/x, for registry.example.com
  - push, no longer by AccessPolicy team-a/devs rules[0]
system:serviceaccount:team-a:ci, repository:team-a/x, for registry.example.com
  - push, no longer by AccessPolicy team-a/devs rules[0]
`, "2 of 4 requests would be answered otherwise\n"},
		},
		"an audience that a new SigningKey claims": {
			"the older one keeps it", map[string]string{"key.yaml": "apiVersion: tokenwright.dev/v1alpha1\nkind: SigningKey\nmetadata: {name: a, namespace: tokenwright-system}\n" +
				"spec: {audiences: [registry.example.com], namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}\n"}, []string{"diff", "-f", "DIR", "--context", "platform"},
			output{0, "", "0 of 0 requests would be answered otherwise\n"},
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

// testRights shows that each of the documented rights is needed, and that the message says which is missing.
func (b *policyBench) testRights(t *testing.T) {
	for context, want := range map[string]string{
		"no-team":    `error: you need the right to list accesspolicies of tokenwright.dev in namespace "team-a"; or ask about files, with -f: `,
		"no-cluster": `error: you need the right to list clusteraccesspolicies of tokenwright.dev in the cluster; or ask about files, with -f: `,
		"no-keys":    `error: you need the right to list signingkeys of tokenwright.dev in namespace "tokenwright-system"; or ask about files, with -f: `,
		"no-names":   `error: you need the right to list namespaces in the cluster; or ask about files, with -f: `,
		"none":       "error: find the API server: context \"none\" does not exist\n",
	} {
		t.Run(context, func(t *testing.T) {
			got := askPolicy(t, "can-i", "pull", "repository", "team-a/app", "--as", "bob", "--audience", "registry.example.com", "--context", context)
			got.Stderr = beginning(got.Stderr, want)
			if diff := cmp.Diff(output{2, "", want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("diff reads every namespace", func(t *testing.T) {
		want := `error: you need the right to list accesspolicies of tokenwright.dev in all namespaces; or ask about files, with -f: `
		dir := folder(t, map[string]string{"team.yaml": team})
		if got := askPolicy(t, "diff", "-f", dir, "--context", "tenant"); got.Status != 2 || !strings.HasPrefix(got.Stderr, want) {
			t.Errorf("got %+v, want %s", got, want)
		}
	})
	t.Run("another system namespace", policyCase{
		"", nil, []string{"can-i", "pull", "repository", "public/app", "--as", "bob", "--audience", "registry.example.com", "--context", "platform", "--system-namespace", "team-b"},
		output{2, "", "error: you need the right to list signingkeys of tokenwright.dev in namespace \"team-b\"; or ask about files, with -f: signingkeys.tokenwright.dev is forbidden: " +
			"User \"system:serviceaccount:people:platform\" cannot list resource \"signingkeys\" in API group \"tokenwright.dev\" in the namespace \"team-b\"\n"},
	}.run)
}

func askPolicy(t *testing.T, args ...string) output {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := execute(t.Context(), append([]string{"policy"}, args...), &stdout, &stderr)
	return output{status, stdout.String(), stderr.String()}
}

// testPlugin runs the real kubectl with the real program in its path.
func (b *policyBench) testPlugin(t *testing.T) {
	folder := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(folder, pluginFile), ".")
	build.Dir = controlplane.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v: %s", err, out)
	}
	var stdout, stderr bytes.Buffer
	kubectl := exec.Command(filepath.Join(controlplane.Binaries(), "kubectl"), "tokenwright", "policy", "can-i", "push", "repository", "team-a/app",
		"--as", "bob", "--audience", "registry.example.com")
	kubectl.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"))
	kubectl.Stdout, kubectl.Stderr = &stdout, &stderr
	exit := &exec.ExitError{}
	if err := kubectl.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("got %v, want the status 1: %s", err, stderr.String())
	}
	if !strings.HasPrefix(stdout.String(), "no\npush: allowed by nothing\n") || stderr.String() != "" {
		t.Errorf("got %s%s", stdout.String(), stderr.String())
	}
	help, err := exec.Command(filepath.Join(folder, pluginFile), "policy", "lint", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	said(t, string(help), "kubectl tokenwright policy lint FILE|DIR...", "  kubectl tokenwright policy lint policies/")
}

// testPages shows that lists of more than one part are read whole, and that nothing of an object gets into another: every
// second policy has a condition that the next has not.
func (b *policyBench) testPages(t *testing.T) {
	const many = 2*pageSize + 1
	for i := range many {
		p := &v1alpha1.AccessPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: fmt.Sprintf("p%04d", i)}}
		p.Spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: fmt.Sprintf("user-%04d", i)}}
		p.Spec.Rules = []v1alpha1.Rule{{Type: "repository", Names: []v1alpha1.ResourceName{"team-a/pages"}, Actions: []v1alpha1.Action{"pull"}}}
		// In one part the even have a condition, in the next the odd.
		if i%2 == i/pageSize%2 {
			p.Spec.When = &v1alpha1.When{SourceRanges: []v1alpha1.CIDR{"192.0.2.0/24"}}
			p.Spec.Audiences = []v1alpha1.Audience{"registry.example.com", "x"}
		}
		if err := b.plane.Client.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	got := askPolicy(t, "who-can", "pull", "repository", "team-a/pages", "--audience", "registry.example.com", "-o", "json")
	var table whoCanEntry
	if err := json.Unmarshal([]byte(got.Stdout), &table); err != nil || got.Status != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	rows := map[string]bool{}
	for _, r := range table.Can {
		rows[r.Subject.Name] = r.Certain
	}
	for i := range many {
		certain, found := rows[fmt.Sprintf("user-%04d", i)]
		if !found || certain == (i%2 == i/pageSize%2) {
			t.Fatalf("user %d: listed %v, certain %v", i, found, certain)
		}
	}
}

// TestPolicyListsThatExpire shows that a list which the API server forgets in the middle is begun anew, and not for ever.
func TestPolicyListsThatExpire(t *testing.T) {
	page := func(items, next string) string {
		return `{"kind": "ClusterAccessPolicyList", "apiVersion": "tokenwright.dev/v1alpha1", "metadata": {"continue": "` + next + `"}, "items": [` + items + `]}`
	}
	item := func(name string) string {
		return `{"metadata": {"name": "` + name + `"}, "spec": {"subjects": [{"kind": "User", "name": "` + name + `"}], "rules": [{"type": "repository", "names": ["x"], "actions": ["pull"]}]}}`
	}
	key := `{"kind": "SigningKeyList", "apiVersion": "tokenwright.dev/v1alpha1", "metadata": {}, "items": [{"metadata": {"name": "k"}, "spec": {"audiences": ["r"], "namespaces": {"from": "All"}}}]}`
	for name, tc := range map[string]struct {
		expires int
		want    output
	}{
		"once":       {1, output{0, "SUBJECT KIND   SUBJECT   NAMESPACE   POLICY                  RULE   IF\nUser           a         -           ClusterAccessPolicy a   0      -\nUser           b         -           ClusterAccessPolicy b   0      -\n", ""}},
		"every time": {1000, output{2, "", "error: list clusteraccesspolicies in the cluster: too old\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			left := tc.expires
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case strings.HasSuffix(r.URL.Path, "/signingkeys"):
					fmt.Fprint(w, key)
				case r.URL.Query().Get("continue") == "":
					fmt.Fprint(w, page(item("a"), "more"))
				case left > 0:
					left--
					w.WriteHeader(http.StatusGone)
					fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "message": "too old", "code": 410}`)
				default:
					fmt.Fprint(w, page(item("b"), ""))
				}
			}))
			defer server.Close()
			if diff := cmp.Diff(tc.want, askPolicy(t, "who-can", "pull", "repository", "x", "--kubeconfig", kubeconfigFor(t, server.URL))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPolicyOfAClusterWithoutTokenwright shows what is said of a cluster that does not know the kinds.
func TestPolicyOfAClusterWithoutTokenwright(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	got := askPolicy(t, "who-can", "pull", "repository", "x", "--kubeconfig", kubeconfigFor(t, server.URL))
	want := "error: this cluster does not know clusteraccesspolicies: install Tokenwright in it, or name another with --context: "
	if got.Status != 2 || !strings.HasPrefix(got.Stderr, want) {
		t.Errorf("got %+v, want %s", got, want)
	}
}

func kubeconfigFor(t *testing.T, host string) string {
	t.Helper()
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: host}
	file.Contexts["x"] = &clientcmdapi.Context{Cluster: "c"}
	file.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		t.Fatal(err)
	}
	return path
}
