package manifest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/tokenserver/manifest"
)

const (
	policyHead = "apiVersion: tokenwright.dev/v1alpha1\nkind: AccessPolicy\n"
	policySpec = "spec:\n  subjects: [{kind: User, name: alice}]\n  rules:\n  - type: repository\n    names: [\"team-a/**\"]\n    actions: [pull]\n"
)

// good is a policy of 10 lines that nothing is wrong with.
func good(name string) string {
	return policyHead + "metadata:\n  name: " + name + "\n  namespace: team-a\n" + policySpec[:len(policySpec)-1] + "\n"
}

// readText reads one text from the standard input.
func readText(t testing.TB, text string) (*manifest.Set, []manifest.Problem) {
	t.Helper()
	set, problems, err := manifest.Read(manifest.Options{Stdin: strings.NewReader(text)}, manifest.Stdin)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return set, problems
}

// lines are the problems as a person reads them.
func lines(problems []manifest.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%s:%d: %s %s/%s: %s: %s\n", p.File, p.Line, p.Kind, p.Namespace, p.Name, p.Path, p.Message)
	}
	return b.String()
}

// names are the objects of a set, by kind.
func names(set *manifest.Set) string {
	var all []string
	add := func(kind string, o metav1.Object) {
		all = append(all, fmt.Sprintf("%s %s/%s@%d", kind, o.GetNamespace(), o.GetName(), set.Source(o).Line))
	}
	for _, o := range set.AccessPolicies {
		add("apol", o)
	}
	for _, o := range set.ClusterAccessPolicies {
		add("capol", o)
	}
	for _, o := range set.SigningKeys {
		add("skey", o)
	}
	for _, o := range set.IdentityProviders {
		add("idp", o)
	}
	for _, o := range set.Secrets {
		add("secret", o)
	}
	for _, o := range set.Namespaces {
		add("ns", o)
	}
	return strings.Join(all, " ")
}

func TestRead(t *testing.T) {
	cases := map[string]struct {
		reason, text string
		// objects and problems are what is expected, skipped how many documents of other kinds.
		objects  string
		problems string
		skipped  int
	}{
		"one policy": {"", good("a"), "apol team-a/a@1", "", 0},
		"documents, comments and marks": {
			"the line is that of the file", "# first\n---\n# a\n" + good("a") + "...\n--- # b\n\n" + good("b") + "---\n---\n# nothing\n",
			"apol team-a/a@4 apol team-a/b@18", "", 0,
		},
		"a directive": {"kubectl takes none", "%YAML 1.1\n---\n" + good("a"), "apol team-a/a@3", "<stdin>:1:  /: : is not YAML: did not find expected <document start>\n", 0},
		"more behind the end of a document": {
			"kubectl would pass over the second", good("a") + "...\n# c\n" + good("b"),
			"apol team-a/a@1", "<stdin>:14:  /: : a document must be separated from the next by a line that begins with ---\n", 0,
		},
		"a document on the line of a mark": {
			"kubectl refuses the file", good("a") + "--- {apiVersion: v1, kind: Namespace, metadata: {name: x}}\n---y: z\n" + good("b"),
			"apol team-a/a@1 apol team-a/b@14", "<stdin>:12:  /: : a line that begins with --- must hold nothing else but a comment\n" +
				"<stdin>:13:  /: : a line that begins with --- must hold nothing else but a comment\n", 0,
		},
		"lines that end as on Windows": {"", strings.ReplaceAll(good("a")+"---\n"+good("b"), "\n", "\r\n"), "apol team-a/a@1 apol team-a/b@13", "", 0},
		"a byte order mark":            {"", "\ufeff" + good("a"), "apol team-a/a@1", "", 0},
		"a broken document between two": {
			"a mistake takes nothing else with it", good("a") + "---\nkind: [\n---\n" + good("b"),
			"apol team-a/a@1 apol team-a/b@15", "<stdin>:13:  /: : is not YAML: did not find expected node content\n", 0,
		},
		"JSON, and JSON behind JSON": {
			"", `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}` + "\n" + `{"apiVersion": "v1", "kind": "Namespace",` +
				"\n\t" + `"metadata": {"name": "b"}}`,
			"ns /a@1 ns /b@2", "", 0,
		},
		"JSON that breaks off behind JSON": {
			"what came before counts", `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}` + "\n{\"kind\": x}",
			"ns /a@1", "<stdin>:2:  /: : is not JSON behind character 9 of the line\n", 0,
		},
		"YAML that begins like JSON": {
			"", "{apiVersion: v1, kind: Namespace, metadata: {name: a}} # yes\n", "ns /a@1", "", 0,
		},
		"a list of all sorts": {
			"GitOps tools and kubectl write them",
			"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n- apiVersion: v1\n  kind: Pod\n" +
				"- apiVersion: tokenwright.dev/v1alpha1\n  kind: AccessPolicy\n  metadata: {name: p, namespace: a}\n  spec: {wrong: 1}\n- 7\n",
			"ns /a@4",
			"<stdin>:12: AccessPolicy a/p: spec.wrong: there is no such field\n" +
				"<stdin>:12: AccessPolicy a/p: spec.subjects: Required value\n" +
				"<stdin>:13: List /: items[3]: must be an object\n", 1,
		},
		"a list of one kind": {
			"its items need not repeat it",
			"apiVersion: tokenwright.dev/v1alpha1\nkind: SigningKeyList\nitems:\n- metadata: {name: a, namespace: ns}\n  spec: {audiences: [x]}\n",
			"skey ns/a@4", "", 0,
		},
		"other kinds and other documents": {
			"a repository holds all sorts", "apiVersion: apps/v1\nkind: Deployment\n---\na: 1\n---\n- x\n---\ntext\n---\napiVersion: v1\nkind: ConfigMap\nx: 1\nx: 2\n",
			"", "", 5,
		},
		"a kind that we do not have": {
			"a typing error must not look like success", "apiVersion: tokenwright.dev/v1alpha1\nkind: AcessPolicy\nmetadata: {name: a}\n",
			"", "<stdin>:2: AcessPolicy /a: kind: there is no kind \"AcessPolicy\" in \"tokenwright.dev/v1alpha1\"\n", 0,
		},
		"a version that we do not have": {
			"", "apiVersion: tokenwright.dev/v1\nkind: AccessPolicy\nmetadata: {name: a}\n",
			"", "<stdin>:2: AccessPolicy /a: kind: there is no kind \"AccessPolicy\" in \"tokenwright.dev/v1\"\n", 0,
		},
		"a key of another spelling": {
			"", "apiversion: tokenwright.dev/v1alpha1\nkind: AccessPolicy\n---\nKind: AccessPolicy\n---\napiVersion: v1\nKind: Pod\n",
			"", "<stdin>:1: AccessPolicy /: : must have apiVersion and kind, in this spelling\n" +
				"<stdin>:4:  /: : must have apiVersion and kind, in this spelling\n", 1,
		},
		"a kind given twice": {
			"of the two kubectl takes the last", "kind: ConfigMap\n" + good("a"),
			"", "<stdin>:3: AccessPolicy team-a/a: kind: is given twice: also on line 1\n", 0,
		},
		"a kind given twice in JSON": {
			"the same", `{"kind": "Pod", "apiVersion": "tokenwright.dev/v1alpha1", "kind": "AccessPolicy", "metadata": {"name": "a"}}`,
			"", "<stdin>:1: AccessPolicy /a: kind: is given twice: also on line 1\n", 0,
		},
		"a merge behind the kind": {
			"to kubectl it goes before what stands in front of it", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n<<: {kind: Namespace}\n",
			"ns /x@1", "", 0,
		},
		"a kind with a tag": {
			"kubectl reads both", "apiVersion: !!binary djE=\nkind: !kind Namespace\nmetadata: {name: a}\n---\napiVersion: v1\n!!binary a2luZA==: Namespace\nmetadata: {name: b}\n",
			"ns /a@1 ns /b@5", "", 0,
		},
		"a kind with a tag in a list": {
			"", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: !!binary TmFtZXNwYWNl\n  metadata: {name: a}\n", "ns /a@4", "", 0,
		},
		"a list in a list": {
			"kubectl refuses it", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: NamespaceList\n  items: [{metadata: {name: a}}]\n",
			"", "<stdin>:4: List /: items[0]: must not be a list: kubectl takes none within another\n", 0,
		},
		"an unknown field": {
			"it would be dropped in silence", good("a") + "  effekt: Deny\n",
			"", "<stdin>:12: AccessPolicy team-a/a: spec.effekt: there is no such field\n", 0,
		},
		"an unknown field of the metadata": {
			"", policyHead + "metadata:\n  name: a\n  namespace: team-a\n  lables: {a: b}\n" + policySpec,
			"", "<stdin>:6: AccessPolicy team-a/a: metadata.lables: there is no such field\n", 0,
		},
		"a key given twice": {
			"one of the two would be lost", good("a") + "    actions:\n    - push\n",
			"", "<stdin>:12: AccessPolicy team-a/a: spec.rules[0].actions: is given twice: also on line 11\n", 0,
		},
		"a key given twice in two spellings": {
			"JSON has texts only", policyHead + "metadata: {name: a, namespace: team-a, labels: {1: a, \"1\": b, yes: c, \"true\": d}}\n" + policySpec,
			"", "<stdin>:3: AccessPolicy team-a/a: metadata.labels.1: is given twice: also on line 3\n" +
				"<stdin>:3: AccessPolicy team-a/a: metadata.labels.true: is given twice: also on line 3\n", 0,
		},
		"values of a wrong type": {
			"each with its place", policyHead + "metadata: {name: a, namespace: team-a}\nspec:\n  subjects:\n  - kind: User\n    name: yes\n  rules: {}\n",
			"", "<stdin>:7: AccessPolicy team-a/a: spec.subjects[0].name: Invalid value: \"boolean\": spec.subjects[0].name in body must be of type string: \"boolean\"\n" +
				"<stdin>:8: AccessPolicy team-a/a: spec.rules: Invalid value: \"object\": spec.rules in body must be of type array: \"object\"\n", 0,
		},
		"a text that YAML takes for true or false": {
			"as kubectl does", policyHead + "metadata:\n  name: a\n  namespace: n\n" + policySpec,
			"", "<stdin>:5: AccessPolicy n/a: metadata.namespace: must be of type string, not bool: YAML takes y, n, yes, no, on and off for true or false unless they stand in quotes\n", 0,
		},
		"a rule of CEL": {
			"", policyHead + "metadata: {name: a, namespace: team-a}\nspec:\n  subjects:\n  - {kind: User, name: a}\n  - kind: ServiceAccount\n    name: b\n" +
				"  rules:\n  - {type: repository, names: [team-a/x], actions: [pull]}\n  when:\n    sourceRanges: [10.0.0.0/33]\n",
			"", "<stdin>:7: AccessPolicy team-a/a: spec.subjects[1].namespace: Required value: namespace must be given for a ServiceAccount\n" +
				"<stdin>:12: AccessPolicy team-a/a: spec.when.sourceRanges[0]: Invalid value: \"10.0.0.0/33\": must be a range of addresses such as 10.0.0.0/8 or fd00::/8\n", 0,
		},
		"duplicates in a set": {
			"", strings.Replace(good("a"), "[pull]", "[pull, pull]", 1),
			"", "<stdin>:11: AccessPolicy team-a/a: spec.rules[0].actions[1]: Duplicate value: \"pull\"\n", 0,
		},
		"no name, no namespace": {
			"", policyHead + "metadata: {}\n" + policySpec,
			"", "<stdin>:3: AccessPolicy /: metadata.name: must be given\n<stdin>:3: AccessPolicy /: metadata.namespace: Required value\n", 0,
		},
		"names that cannot be": {
			"", policyHead + "metadata:\n  name: A_b\n  namespace: a.b\n" + policySpec,
			"", "<stdin>:4: AccessPolicy a.b/A_b: metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n" +
				"<stdin>:5: AccessPolicy a.b/A_b: metadata.namespace: Invalid value: \"a.b\": must not contain dots\n", 0,
		},
		"a namespace where there is none": {
			"", strings.Replace(good("a"), "AccessPolicy", "ClusterAccessPolicy", 1),
			"", "<stdin>:5: ClusterAccessPolicy team-a/a: metadata.namespace: Forbidden: not allowed on this type\n", 0,
		},
		"an object given twice": {
			"which of them is meant cannot be known", good("a") + "---\n" + good("b") + "---\n" + good("a"),
			"apol team-a/a@1 apol team-a/b@13", "<stdin>:28: AccessPolicy team-a/a: metadata.name: is given twice: also at <stdin>:1\n", 0,
		},
		"two documents that nothing divides": {
			"the library would pass over the second", "apiVersion: v1\rkind: Namespace\rmetadata: {name: a}\r---\rapiVersion: v1\r",
			"ns /a@1", "<stdin>:4:  /: : a document must be separated from the next by a line that begins with ---\n", 0,
		},
		"anchors, aliases and merges": {
			"kubectl takes them", policyHead + "metadata: &m\n  name: a\n  namespace: team-a\n  labels: &l {x: z}\n  annotations: *l\n" + policySpec +
				"---\napiVersion: v1\nkind: List\nitems:\n- &i\n  apiVersion: v1\n  kind: Namespace\n  metadata: {name: c}\n- <<: *i\n  metadata: {name: d}\n",
			"apol team-a/a@1 ns /c@18 ns /d@22", "", 0,
		},
		"bytes that are no text":          {"", good("a") + "---\n" + good("b") + "# \xff\n", "apol team-a/a@1", "<stdin>:24:  /: : must be UTF-8\n", 0},
		"a value that JSON does not know": {"", good("a") + "  x: .inf\n", "", "<stdin>:1: AccessPolicy team-a/a: : has a value that JSON does not know\n", 0},
		"a status":                        {"it belongs to the manager", good("a") + "status: {conditions: [], observedGeneration: 5}\n", "apol team-a/a@1", "", 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			set, problems := readText(t, tc.text)
			if diff := cmp.Diff(tc.objects, names(set)); diff != "" {
				t.Errorf("%s: objects (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.problems, lines(problems)); diff != "" {
				t.Errorf("%s: problems (-want +got):\n%s", tc.reason, diff)
			}
			if set.Skipped != tc.skipped {
				t.Errorf("%s: skipped %d, want %d", tc.reason, set.Skipped, tc.skipped)
			}
		})
	}
}

// TestStored shows that an object is what an API server would store.
func TestStored(t *testing.T) {
	set, problems := readText(t, "apiVersion: tokenwright.dev/v1alpha1\nkind: SigningKey\nmetadata:\n  name: k\n  namespace: ns\n  uid: u\n  resourceVersion: \"7\"\n"+
		"  creationTimestamp: \"2020-01-01T00:00:00Z\"\n  deletionTimestamp: \"2020-01-01T00:00:00Z\"\nspec:\n  audiences: [a]\nstatus: {observedGeneration: 4}\n"+
		"---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\ndata: {a: Zmlyc3Q=, b: Zmlyc3Q=}\nstringData: {b: second}\n"+
		"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ns, labels: {x: z}}\n")
	if len(problems) > 0 {
		t.Fatalf("problems: %s", lines(problems))
	}
	key := set.SigningKeys[0]
	wantMeta := metav1.ObjectMeta{Name: "k", Namespace: "ns", Generation: 1}
	if diff := cmp.Diff(wantMeta, key.ObjectMeta); diff != "" {
		t.Errorf("only an API server says these (-want +got):\n%s", diff)
	}
	if key.Spec.TokenLifetime != "15m" || key.Spec.Rotation.Interval != "720h" || key.Status.ObservedGeneration != -1 {
		t.Errorf("defaults: %+v", key)
	}
	if diff := cmp.Diff(map[string][]byte{"a": []byte("first"), "b": []byte("second")}, set.Secrets[0].Data); diff != "" || set.Secrets[0].Type != "Opaque" {
		t.Errorf("stringData wins over data (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"x": "z", "kubernetes.io/metadata.name": "ns"}, set.Namespaces[0].Labels); diff != "" {
		t.Errorf("a namespace has a label with its name (-want +got):\n%s", diff)
	}
}

// TestNamespaceOption shows that a namespace is given only to what needs one.
func TestNamespaceOption(t *testing.T) {
	text := policyHead + "metadata: {name: a}\n" + policySpec + "---\n" + strings.Replace(policyHead, "kind: ", "kind: Cluster", 1) + "metadata: {name: c}\n" + policySpec +
		"---\n" + strings.Replace(good("b"), "team-a\n", "team-b\n", 1)
	set, problems, err := manifest.Read(manifest.Options{Namespace: "team-a", Stdin: strings.NewReader(text)}, "-")
	if err != nil || len(problems) > 0 {
		t.Fatal(err, lines(problems))
	}
	if diff := cmp.Diff("apol team-a/a@1 apol team-b/b@21 capol /c@11", names(set)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func write(t testing.TB, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type problem = manifest.Problem

func readAll(text string) (*manifest.Set, []manifest.Problem, error) {
	return manifest.Read(manifest.Options{Namespace: "default", Stdin: strings.NewReader(text)}, manifest.Stdin)
}

// encoded is the one object of a set as JSON.
func encoded(t interface{ Fatalf(string, ...any) }, set *manifest.Set) []byte {
	var objects []any
	for _, o := range set.AccessPolicies {
		objects = append(objects, o)
	}
	for _, o := range set.ClusterAccessPolicies {
		objects = append(objects, o)
	}
	for _, o := range set.SigningKeys {
		objects = append(objects, o)
	}
	for _, o := range set.IdentityProviders {
		objects = append(objects, o)
	}
	for _, o := range set.Secrets {
		objects = append(objects, o)
	}
	for _, o := range set.Namespaces {
		objects = append(objects, o)
	}
	if len(objects) != 1 {
		t.Fatalf("%d objects were read, want 1", len(objects))
	}
	text, err := json.Marshal(objects[0])
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return text
}

// TestProblemsComeInOneOrder is two runs of a pipeline that compares what they say. A fuzz target found the difference.
func TestProblemsComeInOneOrder(t *testing.T) {
	const text = "apiVersion: tokenwright.dev/v1alpha1\nkind: IdentityProvider\nmetdaata: {name: a, namespace: ns}\n" +
		"spec: {htpasswd: {secrtRef: {n: }}, kubernetes: {}}"
	_, first := readText(t, text)
	for range 100 {
		_, again := readText(t, text)
		if diff := cmp.Diff(lines(first), lines(again)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}
