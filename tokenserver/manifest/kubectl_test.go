package manifest_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// asKubectl shows that a file is what kubectl makes of it: what kubectl would apply is in the set or is a problem, and what
// is in the set without a problem kubectl applies. A check of files must not pass because it looked at others.
func asKubectl(t *testing.T, plane *controlplane.Plane) {
	const space = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"
	other := strings.Replace(space, "name: a", "name: b", 1)
	object := `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}`
	cases := map[string]struct {
		reason, text string
		// stricter says that we refuse what kubectl takes.
		stricter bool
	}{
		"two documents":                       {"", space + "---\n" + other, false},
		"marks with comments and white space": {"", "---\n# a\n--- # b\n" + space + "...\n---  \n" + other + "...\n", false},
		"line ends of Windows":                {"", strings.ReplaceAll(space+"---\n"+other, "\n", "\r\n"), false},
		"line ends of old":                    {"", strings.ReplaceAll(space, "\n", "\r"), false},
		"a byte order mark":                   {"", "\ufeff" + space, false},
		"a directive":                         {"", "%YAML 1.1\n---\n" + space, false},
		"a document on the line of a mark":    {"", "--- " + object + "\n", false},
		"a mark that text follows":            {"", space + "---a: b\n" + other, false},
		"an end of a document at the start":   {"", "...\n---\n" + space, false},
		"more behind the end of a document":   {"kubectl passes over it", space + "...\n" + other, true},
		"JSON behind JSON":                    {"", object + "\n" + strings.Replace(object, `"a"`, `"b"`, 1), false},
		"YAML behind JSON":                    {"", object + "\n---\n" + other, false},
		"a list":                              {"", `{"apiVersion": "v1", "kind": "List", "items": [` + object + `]}`, false},
		"a list of one kind":                  {"", "apiVersion: v1\nkind: NamespaceList\nitems: [{metadata: {name: a}}]\n", false},
		"a list in a list":                    {"", `{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "List", "items": [` + object + `]}]}`, false},
		"a kind given twice":                  {"the last one counts", "kind: ConfigMap\n" + space, true},
		"a kind given twice in JSON":          {"", strings.Replace(object, "{", `{"kind": "ConfigMap", `, 1), true},
		"a merge in front of the kind":        {"", "<<: {kind: ConfigMap}\n" + space, false},
		"a merge behind the kind":             {"it goes before what is in front of it", strings.Replace(space, "Namespace", "ConfigMap", 1) + "<<: {kind: Namespace}\n", false},
		"a kind in base64":                    {"", strings.Replace(space, "Namespace", "!!binary TmFtZXNwYWNl", 1), false},
		"a key in base64":                     {"", strings.Replace(space, "kind", "!!binary a2luZA==", 1), false},
		"a kind with a tag of one's own":      {"", strings.Replace(space, "Namespace", "!a Namespace", 1), false},
		"a kind that escapes hide":            {"", strings.Replace(space, "kind", `"\x6bind"`, 1), false},
		"a key that is an alias":              {"", "metadata: {name: a, labels: {a: &k kind}}\n*k : Namespace\napiVersion: v1\n", false},
		"a document in a comment, CR":         {"to YAML the comment ends there", "# a" + "\r" + strings.ReplaceAll(space, "\n", "\r"), false},
		"a document in a comment, NEL":        {"", "# a\n---\n# b\u0085" + strings.ReplaceAll(space, "\n", "\u0085"), false},
		"a document in a comment, LS":         {"", "# a\u2028" + strings.ReplaceAll(space, "\n", "\u2028"), false},
		"a comment on the line of a mark, PS": {"kubectl passes over it, or does not at the start", "--- # a\u2029" + strings.ReplaceAll(other, "\n", "\u2029"), true},
		"a comment that only seems to end":    {"", "# a\u2028# b\r# c\n---\n" + space, false},
		"a zero byte":                         {"", space + "# \x00\n", false},
	}
	kubectl := newKubectl(t, plane)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			applied, refused := kubectl.wouldApply(t, tc.text)
			set, problems := readText(t, tc.text)
			var taken []string
			for _, n := range set.Namespaces {
				taken = append(taken, n.Name)
			}
			slices.Sort(taken)
			switch {
			case !tc.stricter && refused != (len(problems) > 0):
				t.Errorf("%s: kubectl refused it: %v; problems: %s", tc.reason, refused, lines(problems))
			case tc.stricter && (refused || len(problems) == 0):
				t.Errorf("%s: kubectl refused it: %v, and we do not", tc.reason, refused)
			case len(problems) == 0:
				if diff := cmp.Diff(applied, taken); diff != "" {
					t.Errorf("%s: (-kubectl +reader):\n%s", tc.reason, diff)
				}
			}
		})
	}
}

// kubectl is the real one, with an administrator's rights.
type kubectl struct{ config string }

func newKubectl(t *testing.T, plane *controlplane.Plane) kubectl {
	t.Helper()
	user, err := plane.Environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	return kubectl{file}
}

// wouldApply returns the names of the Namespaces that kubectl would apply, sorted, and whether it refused anything.
func (k kubectl) wouldApply(t *testing.T, text string) (names []string, refused bool) {
	t.Helper()
	var out, errs bytes.Buffer
	command := exec.Command(filepath.Join(controlplane.Binaries(), "kubectl"), "--kubeconfig", k.config, "apply", "--dry-run=server", "-o", "name", "-f", "-")
	command.Stdin, command.Stdout, command.Stderr, command.WaitDelay = strings.NewReader(text), &out, &errs, time.Minute
	var exit *exec.ExitError
	if err := command.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("run kubectl: %v", err)
	}
	for line := range strings.Lines(out.String()) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "namespace/"); found {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, exit != nil
}
