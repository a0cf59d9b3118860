package v1alpha1_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
)

// kubectl runs the real one as an administrator in a namespace, and returns what it prints.
type kubectl struct{ config, namespace string }

func newKubectl(t *testing.T, namespace string) kubectl {
	t.Helper()
	if err := plane.CreateNamespace(t.Context(), namespace, nil); err != nil {
		t.Fatal(err)
	}
	user, err := plane.Environment.AddUser(envtest.User{Name: namespace, Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	k := kubectl{filepath.Join(t.TempDir(), "kubeconfig"), namespace}
	if err := os.WriteFile(k.config, config, 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k kubectl) run(t *testing.T, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	c := exec.Command(filepath.Join(controlplane.Binaries(), "kubectl"), append([]string{"--kubeconfig=" + k.config, "--namespace=" + k.namespace}, args...)...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("kubectl %q: %v: %s", args, err, stderr.String())
	}
	return string(out)
}

// table reads what kubectl prints: columns are apart by two blanks or more, and an age is "AGE" where it is one.
func table(printed string) [][]string {
	var rows [][]string
	age := regexp.MustCompile(`^[0-9]{1,2}s$`)
	for line := range strings.Lines(printed) {
		row := regexp.MustCompile(` {2,}`).Split(strings.TrimRight(line, " \n"), -1)
		for i, cell := range row {
			if age.MatchString(cell) {
				row[i] = "seconds"
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// TestKubectlShowsRecordsAndRevocations has the API server print them, as people see them: whose a token is, until when it
// lives, and whether anybody uses it; what is revoked, and until when that is remembered. Of a column of the type date the API
// server prints how long ago it was, and of what lies ahead "<invalid>".
func TestKubectlShowsRecordsAndRevocations(t *testing.T) {
	k := newKubectl(t, "columns")
	const id, never = "0-4711-abcdefghijklmnopqrstuvwxyz", "0-4712-abcdefghijklmnopqrstuvwxyz"
	in := func(d time.Duration) v1alpha1.DateTime {
		return v1alpha1.NewDateTime(time.Now().Add(d))
	}
	soon, long := in(30*time.Hour), in(700*time.Hour)
	for _, object := range []client.Object{
		record("alice", "0-4711", id, v1alpha1.RefreshToken, soon), record("robot", "0-4712", never, v1alpha1.AccessToken, long),
		&v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Name: "token-" + id}, Spec: v1alpha1.TokenRevocationSpec{
			Token: &v1alpha1.RevokedToken{ID: id}, Expires: soon, Reason: "the laptop was lost",
		}},
		&v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Name: "subject-alice"}, Spec: v1alpha1.TokenRevocationSpec{
			Subject: &v1alpha1.RevokedSubject{Username: "alice", IssuedBefore: soon},
		}},
	} {
		object.SetNamespace(k.namespace)
		if err := plane.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	used := &v1alpha1.IssuedToken{ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: "token-0-4711"}}
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"status":{"lastUsed":%q}}`, in(-30*time.Minute-10*time.Second)))
	if err := plane.Client.Status().Patch(t.Context(), used, patch); err != nil {
		t.Fatal(err)
	}

	cases := map[string]struct {
		reason string
		args   []string
		want   [][]string
	}{
		"issuedtokens": {
			"whose it is, and whether it is in use", []string{"get", "issuedtokens"}, [][]string{
				{"NAME", "SUBJECT", "TYPE", "EXPIRES", "LAST USED", "AGE"},
				{"token-0-4711", "alice", "RefreshToken", string(soon), "30m", "seconds"},
				{"token-0-4712", "robot", "AccessToken", string(long), "seconds"},
			},
		},
		"issuedtokens of one user, wide": {
			"the id is what is revoked by", []string{"get", "itok", "--field-selector=spec.subject.username=alice", "-o", "wide"}, [][]string{
				{"NAME", "SUBJECT", "TYPE", "EXPIRES", "LAST USED", "AGE", "ID", "AUDIENCE", "CLIENT"},
				{"token-0-4711", "alice", "RefreshToken", string(soon), "30m", "seconds", id, "registry.example.com", "docker"},
			},
		},
		"tokenrevocations": {
			"what is revoked, and until when that is remembered", []string{"get", "tokenrevocations"}, [][]string{
				{"NAME", "TOKEN", "SUBJECT", "ISSUED BEFORE", "EXPIRES", "AGE"},
				{"subject-alice", "alice", string(soon), "seconds"},
				{"token-" + id, id, string(soon), "seconds"},
			},
		},
		"tokenrevocations, wide": {
			"and why", []string{"get", "trev", "token-" + id, "-o", "wide"}, [][]string{
				{"NAME", "TOKEN", "SUBJECT", "ISSUED BEFORE", "EXPIRES", "AGE", "REASON"},
				{"token-" + id, id, string(soon), "seconds", "the laptop was lost"},
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			printed := k.run(t, tc.args...)
			if diff := cmp.Diff(tc.want, table(printed)); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s", tc.reason, diff, printed)
			}
		})
	}
}

// record is one as a server writes it.
func record(username, place, id string, kind v1alpha1.IssuedTokenType, expires v1alpha1.DateTime) *v1alpha1.IssuedToken {
	t := &v1alpha1.IssuedToken{ObjectMeta: metav1.ObjectMeta{Name: "token-" + place}, Spec: v1alpha1.IssuedTokenSpec{
		Type: kind, ID: id, Subject: v1alpha1.RecordedSubject{Username: username}, Provider: v1alpha1.RecordedProvider{Name: "users", UID: "1"},
		AuthTime: "2026-01-01T00:00:00Z", Audience: "registry.example.com", ClientID: "docker", Expires: expires,
	}}
	if kind == v1alpha1.RefreshToken {
		t.Spec.SecretHash = strings.Repeat("s", 43)
	} else {
		t.Spec.KeyThumbprint = strings.Repeat("k", 43)
	}
	return t
}
