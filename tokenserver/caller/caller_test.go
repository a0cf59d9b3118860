package caller_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

func TestServiceAccount(t *testing.T) {
	type account struct{ Namespace, Name string }
	cases := map[string]struct {
		reason   string
		username string
		want     account
	}{
		"a ServiceAccount has a namespace and a name": {
			reason:   "its user name is what Kubernetes made of them",
			username: "system:serviceaccount:team-a:ci",
			want:     account{"team-a", "ci"},
		},
		"a user of another kind has neither": {
			reason:   "only the prefix makes a ServiceAccount",
			username: "alice",
		},
		"a third part is no ServiceAccount": {
			reason:   "a colon cannot be in either name, so somebody made this one up",
			username: "system:serviceaccount:team-a:ci:admin",
		},
		"an empty namespace is no ServiceAccount": {
			reason:   "a policy on ${subject.namespace} would match the root",
			username: "system:serviceaccount::ci",
		},
		"an empty name is no ServiceAccount": {
			reason:   "nothing in the cluster has it",
			username: "system:serviceaccount:team-a:",
		},
		"a prefix before the prefix is no ServiceAccount": {
			reason:   "a provider's prefix must not be skipped",
			username: "gh:system:serviceaccount:team-a:ci",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got account
			got.Namespace, got.Name = caller.Caller{Username: c.username}.ServiceAccount()
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestNamesOfAServiceAccountAreThoseOfKubernetes(t *testing.T) {
	if diff := cmp.Diff("system:serviceaccount:team-a:ci", caller.ServiceAccountUser("team-a", "ci")); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	want := []string{"system:serviceaccounts", "system:serviceaccounts:team-a", "system:authenticated"}
	if diff := cmp.Diff(want, caller.ServiceAccountGroups("team-a")); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestAnAnonymousCallerIsInNoGroupButThatOfTheUnauthenticated(t *testing.T) {
	got := caller.Anonymous()
	if !got.IsAnonymous() {
		t.Error("an anonymous caller is taken for somebody")
	}
	if diff := cmp.Diff([]string{"system:unauthenticated"}, got.Groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	if (caller.Caller{Username: "alice", Method: caller.MethodPassword}).IsAnonymous() {
		t.Error("alice, who proved herself, is taken for an anonymous caller")
	}
	if !(caller.Caller{Username: "alice"}).IsAnonymous() {
		t.Error("a caller who proved nothing is taken for alice")
	}
}
