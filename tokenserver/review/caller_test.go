package review

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

func TestCaller(t *testing.T) {
	cases := map[string]struct {
		reason string
		user   string
		groups []string
		extra  map[string][]string
		want   caller.Caller
		err    string
	}{
		"a user": {
			"everybody with a name is authenticated", "alice", []string{"devs", "system:authenticated", "devs"}, map[string][]string{"k": {"v"}},
			caller.Caller{Username: "alice", Groups: []string{"system:authenticated", "devs"}, Extra: map[string][]string{"k": {"v"}}, Method: caller.MethodPassword}, "",
		},
		"a ServiceAccount": {
			"it is in the groups of its kind, and may be said to be", "system:serviceaccount:a:ci", []string{"system:serviceaccounts:a"}, nil,
			caller.Caller{Username: "system:serviceaccount:a:ci", Groups: caller.ServiceAccountGroups("a"), Method: caller.MethodServiceAccount}, "",
		},
		"somebody without a name": {"", "system:anonymous", []string{"system:unauthenticated"}, nil, caller.Anonymous(), ""},
		"nobody":                  {"", "", nil, nil, caller.Caller{}, "the name of a user must not be empty; that of somebody who proves none is system:anonymous"},
		"a node": {
			"servers let no such caller in", "system:node:a", nil, nil, caller.Caller{},
			`no user can have the name "system:node:a": of those with system: there are only system:anonymous and system:serviceaccount:<namespace>:<name>`,
		},
		"half a ServiceAccount": {
			"", "system:serviceaccount:a", nil, nil, caller.Caller{},
			`no user can have the name "system:serviceaccount:a": of those with system: there are only system:anonymous and system:serviceaccount:<namespace>:<name>`,
		},
		"a user in the group of those who are none": {
			"", "alice", []string{"system:unauthenticated"}, nil, caller.Caller{},
			`the user "alice" cannot be in the group "system:unauthenticated": of those with system: it is in system:authenticated only`,
		},
		"a ServiceAccount of another namespace": {
			"", "system:serviceaccount:a:ci", []string{"system:serviceaccounts:b"}, nil, caller.Caller{},
			"system:serviceaccount:a:ci is in no group but system:serviceaccounts, system:serviceaccounts:a, system:authenticated",
		},
		"a group without a name":              {"", "alice", []string{""}, nil, caller.Caller{}, "the name of a group must not be empty"},
		"somebody without a name, with facts": {"", "system:anonymous", nil, map[string][]string{"k": {"v"}}, caller.Caller{}, "nothing more is known of system:anonymous: it has no extra, no uid and no provider"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Who{User: tc.user, Groups: tc.groups, Extra: tc.extra}.Caller()
			said := ""
			if err != nil {
				said = err.Error()
			}
			if said != tc.err {
				t.Errorf("%s: got %q, want %q", tc.reason, said, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestMethodOfCaller(t *testing.T) {
	const devs = "devs"
	cases := map[string]struct {
		reason string
		args   Who
		want   caller.Method
		err    string
	}{
		"a user":                         {"People have passwords.", Who{User: "alice", Groups: []string{devs}}, caller.MethodPassword, ""},
		"a user of an issuer":            {"It may be in groups, too.", Who{User: "gh:a/b", Groups: []string{devs}, Method: caller.MethodOIDC}, caller.MethodOIDC, ""},
		"a user, as a ServiceAccount":    {"Nobody is proved so.", Who{User: "alice", Method: caller.MethodServiceAccount}, "", `the method of a user must be password or jwt, not "serviceaccount": that of others follows from the name`},
		"a ServiceAccount, by an issuer": {"Nobody is proved so.", Who{User: "system:serviceaccount:a:b", Method: caller.MethodOIDC}, "", "the method of system:serviceaccount:a:b follows from the name"},
		"nobody, by an issuer":           {"Nobody is proved so.", Who{User: "system:anonymous", Method: caller.MethodOIDC}, "", "the method of system:anonymous follows from the name"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := tc.args.Caller()
			said := ""
			if err != nil {
				said = err.Error()
			}
			if said != tc.err || got.Method != tc.want {
				t.Errorf("%s: got %q and %q, want %q and %q", tc.reason, got.Method, said, tc.want, tc.err)
			}
		})
	}
}
