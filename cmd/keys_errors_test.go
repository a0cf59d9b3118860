package cmd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// testErrors shows that what goes wrong is one line that says what to do.
func (b *keysBench) testErrors(t *testing.T) {
	b.static(t, "one", v1alpha1.SigningKeyStatus{Conditions: conditions(), ObservedGeneration: 1, Keys: someKeys()})
	b.static(t, "two", v1alpha1.SigningKeyStatus{Conditions: conditions(), ObservedGeneration: 1})
	cases := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"a name that does not exist": {
			"the right one is among those that do", []string{"rotate", "three", "-n", unmanaged},
			`error: there is no SigningKey "three" in namespace "unmanaged", which has "one", "two"`,
		},
		"a namespace without SigningKeys": {
			"", []string{"rotate", "one", "-n", "empty"},
			`error: there is no SigningKey "one" in namespace "empty", nor any other: name the namespace in which Tokenwright is installed with --namespace`,
		},
		"the wrong namespace, for somebody who sees all": {
			"", []string{"revoke", "one", "--all", "-n", "empty", "--context", asEverywhere},
			`error: there is no SigningKey "one" in namespace "empty", nor any other: try --namespace=`,
		},
		"a viewer who wants to rotate": {
			"it says which right is missing, and who has it", []string{"rotate", "one", "-n", unmanaged, "--context", asViewer},
			`error: you need the right to patch signingkeys of tokenwright.dev in namespace "unmanaged", which ClusterRole "tokenwright-platform-admin" gives: `,
		},
		"a viewer who wants to revoke": {
			"", []string{"revoke", "one", "--all", "-n", unmanaged, "--context", asViewer},
			`error: you need the right to patch signingkeys of tokenwright.dev in namespace "unmanaged", which ClusterRole "tokenwright-platform-admin" gives: `,
		},
		"nobody who wants to list": {
			"", []string{"list", "--context", asNobody},
			`error: you need the right to list signingkeys of tokenwright.dev in namespace "tokenwright-system", which ClusterRole "tokenwright-platform-viewer" gives: `,
		},
		"nobody who wants to revoke": {
			"", []string{"revoke", "one", "x", "--context", asNobody},
			`error: you need the right to get signingkeys of tokenwright.dev in namespace "tokenwright-system", which ClusterRole "tokenwright-platform-viewer" gives: `,
		},
		"a stranger": {
			"", []string{"list", "--context", asStranger},
			`error: the API server does not accept the credentials of the kubeconfig: `,
		},
		"impersonation without the right to it": {
			"it is not dropped silently", []string{"list", "-n", unmanaged, "--as", "somebody"},
			`error: list signingkeys in namespace "unmanaged": signingkeys.tokenwright.dev is forbidden: User "system:serviceaccount:empty:admin" cannot impersonate`,
		},
		"a group without a user": {
			"", []string{"list", "--as-group", "g"}, "error: --as-group must be given together with --as\n",
		},
		"a context that does not exist": {
			"", []string{"list", "--context", "prod"}, "error: find the API server: context \"prod\" does not exist\n",
		},
		"a kubeconfig that does not exist": {
			"", []string{"list", "--kubeconfig", "/nonexistent"}, "error: find the API server: stat /nonexistent: no such file or directory\n",
		},
		"a command that does not exist": {
			"", []string{"lst"}, "error: unknown command \"lst\" for \"tokenwright keys\"\n",
		},
		"nothing to rotate": {"", []string{"rotate"}, "error: accepts 1 arg(s), received 0\n"},
		"nothing to revoke": {
			"", []string{"revoke", "one", "-n", unmanaged}, "error: the ids of the keys must be given, or --all\n",
		},
		"all and one": {
			"", []string{"revoke", "one", "x", "--all", "-n", unmanaged}, "error: key ids and --all must not be given together\n",
		},
		"an id that the schema does not allow": {
			"", []string{"revoke", "one", "", "-n", unmanaged}, "error: key id \"\" must have 1 to 128 characters\n",
		},
		"a confirmation of nothing in particular": {
			"", []string{"rotate", "one", "--confirm", "-n", unmanaged}, "error: --confirm must be given together with --certificate-authority\n",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := b.keys(t, tc.args...)
			got.Stderr = beginning(got.Stderr, tc.want)
			if diff := cmp.Diff(output{1, "", tc.want}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	t.Run("no kubeconfig", func(t *testing.T) {
		t.Setenv("KUBECONFIG", "/nonexistent")
		t.Setenv("HOME", t.TempDir())
		t.Setenv("KUBERNETES_SERVICE_HOST", "")
		want := output{1, "", "error: find the API server: there is no kubeconfig: name one with --kubeconfig or in KUBECONFIG\n"}
		if diff := cmp.Diff(want, b.keys(t, "list")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestMessagesNameNoMoreThanAPersonReads(t *testing.T) {
	keys := make([]v1alpha1.SigningKey, 50)
	for i := range keys {
		keys[i].Name = "k"
	}
	if diff := cmp.Diff(strings.Repeat(`"k", `, 10)+"and 40 more", someNames(keys)); diff != "" {
		t.Errorf("of fifty (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(strings.TrimSuffix(strings.Repeat(`"k", `, 10), ", "), someNames(keys[:10])); diff != "" {
		t.Errorf("of ten (-want +got):\n%s", diff)
	}
}
