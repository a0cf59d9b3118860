package cmd

import "testing"

func TestPolicyCanI(t *testing.T) {
	// ask is a question about the usual files, with a token for the usual registry.
	ask := func(args ...string) []string {
		return append(append([]string{"can-i"}, args...), "--audience", "registry.example.com", "-f", "DIR")
	}
	broken := map[string]string{"broken.yaml": `
apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: outside, namespace: team-a}
spec:
  subjects: [{kind: User, name: bob}]
  rules: [{type: repository, names: ["team-b/**"], actions: [pull]}]
---
apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: of-others, namespace: team-a}
spec:
  subjects: [{kind: User, name: carol}]
  rules: [{type: repository, names: ["team-b/**"], actions: [pull]}]
---
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: broken-deny}
spec:
  effect: Deny
  subjects: [{kind: User, name: dora}]
  rules: [{type: repository, names: ["x"], actions: [pull]}, {type: repository, names: ["public/**"], actions: [pull]}]
  when: {expression: "subject.nope == ''"}
`}
	cases := map[string]policyCase{
		"yes, by a group": {
			"", with(nil), ask("pull,push", "repository", "team-a/app", "--as", "bob", "--as-group", "devs"),
			output{0, "yes\npull: allowed by AccessPolicy team-a/devs rules[0]\npush: allowed by AccessPolicy team-a/devs rules[0]\n", ""},
		},
		"the owner of a resource": {
			"what it gives is named, and a Deny takes it away", with(map[string]string{"albums.yaml": albums}), ask("view,share", "album", "holiday", "-n", "team-a", "--as", "alice"),
			output{1, "no\nshare: denied by AccessPolicy team-a/nobody-shares rules[0], although allowed by ProtectedResource team-a/holiday\nview: allowed by ProtectedResource team-a/holiday\n", ""},
		},
		"the owner of a resource that is not served": {
			"an older one has its id", with(map[string]string{"albums.yaml": albums}), ask("view", "album", "thief", "-n", "team-a", "--as", "mallory"),
			output{1, "no\nview: allowed by nothing\nhint: no policy gives view: an AccessPolicy in namespace \"team-a\", or a ClusterAccessPolicy whose subjects name the user \"mallory\", or one of the groups \"system:authenticated\", would have to allow it\n", ""},
		},
		"yes, as a ServiceAccount": {
			"its groups are known", with(nil), ask("push", "repository", "team-a/app", "--as", "system:serviceaccount:team-a:ci"),
			output{0, "yes\npush: allowed by AccessPolicy team-a/devs rules[0]\n", ""},
		},
		"yes, without a name": {
			"", with(nil), ask("pull", "repository", "public/app", "--as", "system:anonymous"),
			output{0, "yes\npull: allowed by ClusterAccessPolicy everybody-pulls rules[0]\n", ""},
		},
		"yes, for some time": {
			"every action, and an end", with(nil), ask("*", "repository", "team-a/app", "--as", "alice", "--from", "10.1.2.3"),
			output{0, `yes
delete: allowed by AccessPolicy team-a/office rules[0]
pull: allowed by AccessPolicy team-a/office rules[0]
push: allowed by AccessPolicy team-a/office rules[0]
a token with it ends by 2099-01-01T00:00:00Z
`, ""},
		},
		"some of it": {
			"that is a no, and what is granted is listed", with(nil), ask("pull,push,delete", "repository", "team-a/releases/app", "--as", "bob", "--as-group", "devs"),
			output{1, `no
delete: denied by ClusterAccessPolicy freeze rules[0], and allowed by nothing
pull: allowed by AccessPolicy team-a/devs rules[0]
push: denied by ClusterAccessPolicy freeze rules[0], although allowed by AccessPolicy team-a/devs rules[0]
`, ""},
		},
		"nothing speaks of it": {
			"what to do", with(nil), ask("push", "repository", "team-a/app", "--as", "eve"),
			output{1, `no
push: allowed by nothing
hint: no policy gives push: an AccessPolicy in namespace "team-a", or a ClusterAccessPolicy whose subjects name the user "eve", or one of the groups "system:authenticated", would have to allow it
`, ""},
		},
		"an address that is not known": {
			"what is in the way", with(nil), ask("delete", "repository", "team-a/app", "--as", "alice"),
			output{1, `no
delete: allowed by nothing
hint: AccessPolicy team-a/office rules[0] would allow delete, but it asks for an address in 10.0.0.0/8, and none is given (--from)
`, ""},
		},
		"another address, and too late": {
			"", with(nil), ask("delete", "repository", "team-a/app", "--as", "alice", "--from", "192.0.2.1", "--at", "2100-01-01T00:00:00Z"),
			output{1, `no
delete: allowed by nothing
hint: AccessPolicy team-a/office rules[0] would allow delete, but the address 192.0.2.1 lies outside of 10.0.0.0/8, and it holds until 2099-01-01T00:00:00Z only
`, ""},
		},
		"another audience": {
			"", with(nil), []string{"can-i", "delete", "repository", "team-a/app", "--as", "alice", "--from", "10.1.1.1", "--audience", "closed.example.com", "-f", "DIR"},
			output{1, `no
delete: allowed by nothing
hint: AccessPolicy team-a/office rules[0] would allow delete, but it speaks of the audiences "registry.example.com" only, and SigningKey "closed" does not admit AccessPolicies of namespace "team-a" (spec.namespaces)
`, ""},
		},
		"an audience that nobody holds": {
			"", with(nil), []string{"can-i", "pull", "repository", "public/app", "--as", "alice", "--audience", "other", "-f", "DIR"},
			output{1, "no\npull: allowed by nothing\nhint: no SigningKey holds the audience \"other\"; there are: \"closed.example.com\", \"registry.example.com\"\n", ""},
		},
		"an expression that is false": {
			"", with(map[string]string{"cel.yaml": `
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: main-only}
spec:
  subjects: [{kind: User, name: ci}]
  rules: [{type: repository, names: ["**"], actions: [push]}]
  when: {expression: "subject.extra['ref'].exists(r, r == 'main')"}
`}), ask("push", "repository", "x/app", "--as", "ci", "--as-extra", "ref=dev", "--as-extra", "ref=test"),
			output{1, `no
push: allowed by nothing
hint: ClusterAccessPolicy main-only rules[0] would allow push, but its expression is not true, or gives no answer: subject.extra['ref'].exists(r, r == 'main')
`, ""},
		},
		"a policy that ends too soon": {
			"no token is as short as that", with(nil), ask("pull", "repository", "team-a/app", "--as", "alice", "--from", "10.0.0.1", "--at", "2098-12-31T23:59:01Z"),
			output{1, "no\npull: allowed by AccessPolicy team-a/office rules[0], for less than a minute: no token is as short\n", ""},
		},
		"a policy that ends soon": {
			"", with(nil), ask("pull", "repository", "team-a/app", "--as", "alice", "--from", "10.0.0.1", "--at", "2098-12-31T23:59:00Z"),
			output{0, "yes\npull: allowed by AccessPolicy team-a/office rules[0]\na token with it ends by 2099-01-01T00:00:00Z\n", ""},
		},
		"the provider that vouches": {
			"a Deny of all that one provider vouches for", with(byProvider), ask("pull", "repository", "public/app", "--as", "eve", "--as-provider", "partners", "--as-uid", "7"),
			output{1, "no\npull: denied by ClusterAccessPolicy partners rules[0], although allowed by ClusterAccessPolicy everybody-pulls rules[0]\n", ""},
		},
		"another provider that vouches": {
			"", with(byProvider), ask("pull", "repository", "public/app", "--as", "eve", "--as-provider", "users", "--as-uid", "7"),
			output{0, "yes\npull: allowed by ClusterAccessPolicy everybody-pulls rules[0]\n", ""},
		},
		"the way that somebody is proved": {
			"a Deny of all that external issuers vouch for", with(byMethod), ask("pull", "repository", "public/app", "--as", "gh:a/b", "--as-method", "jwt"),
			output{1, "no\npull: denied by ClusterAccessPolicy tokens rules[0], although allowed by ClusterAccessPolicy everybody-pulls rules[0]\n", ""},
		},
		"another way that somebody is proved": {
			"it is a password if nothing is said", with(byMethod), ask("pull", "repository", "public/app", "--as", "gh:a/b"),
			output{0, "yes\npull: allowed by ClusterAccessPolicy everybody-pulls rules[0]\n", ""},
		},
		"a broken policy that may have been meant": {
			"and not those that cannot have been", with(broken), ask("pull", "repository", "team-a/app", "--as", "bob"),
			output{1, `no
pull: allowed by nothing
hint: AccessPolicy team-a/outside is not accepted, and grants nothing: spec.rules[0].names[0]: "team-b/**": must start with "team-a/": an AccessPolicy speaks of repositories under its namespace only
`, ""},
		},
		"a broken Deny": {
			"it denies what it may have meant", with(broken), ask("pull", "repository", "public/app", "--as", "dora"),
			output{1, `no
pull: denied by ClusterAccessPolicy broken-deny rules[1], although allowed by ClusterAccessPolicy everybody-pulls rules[0]
hint: ClusterAccessPolicy broken-deny is not accepted, and denies all that it may have meant: spec.when.expression: must be CEL: ERROR: <input>:1:8: undefined field 'nope' | subject.nope == '' | .......^
`, ""},
		},
		"no SigningKey among the files": {
			"nothing is known of audiences", map[string]string{"team.yaml": team}, ask("pull", "repository", "team-a/app", "--as", "bob", "--as-group", "devs"),
			output{0, "yes\npull: allowed by AccessPolicy team-a/devs rules[0]\n",
				"warning: there is no SigningKey among the files: every audience is taken to exist and to admit every namespace\n"},
		},
		"for programs": {
			"", with(nil), ask("push,pull", "repository", "team-a/releases/app", "--as", "alice", "--from", "10.1.1.1", "-o", "json"),
			output{1, `{
  "allowed": false,
  "granted": [
    "pull"
  ],
  "denied": [
    "push"
  ],
  "notAfter": "2099-01-01T00:00:00Z",
  "why": [
    {
      "action": "pull",
      "effect": "Allow",
      "policy": {
        "kind": "AccessPolicy",
        "namespace": "team-a",
        "name": "office",
        "rule": 0
      }
    },
    {
      "action": "push",
      "effect": "Allow",
      "policy": {
        "kind": "AccessPolicy",
        "namespace": "team-a",
        "name": "office",
        "rule": 0
      }
    },
    {
      "action": "push",
      "effect": "Deny",
      "policy": {
        "kind": "ClusterAccessPolicy",
        "name": "freeze",
        "rule": 0
      }
    }
  ]
}
`, ""},
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

// byProvider has a policy that speaks of what only a server knows of a caller.
var byProvider = map[string]string{"provider.yaml": `
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: partners}
spec:
  effect: Deny
  subjects: [{kind: Group, name: "system:authenticated"}]
  rules: [{type: repository, names: ["**"], actions: ["*"]}]
  when: {expression: "subject.provider == 'partners' && subject.uid == '7'"}
`}

// byMethod has a policy that speaks of how a caller is proved.
var byMethod = map[string]string{"method.yaml": `
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: tokens}
spec:
  effect: Deny
  subjects: [{kind: Group, name: "system:authenticated"}]
  rules: [{type: repository, names: ["**"], actions: ["*"]}]
  when: {expression: "subject.method == 'jwt'"}
`}

// TestPolicyCanIMistakes shows that a question which cannot be asked has no answer, which is neither yes nor no.
func TestPolicyCanIMistakes(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string
	}{
		"no caller":                       {[]string{"pull", "repository", "a/b"}, "--as must say who is asked about; system:anonymous is a caller who proves nothing"},
		"a caller who cannot be":          {[]string{"pull", "repository", "a/b", "--as", "system:masters"}, "--as: no user can have the name \"system:masters\": of those with system: there are only system:anonymous and system:serviceaccount:<namespace>:<name>"},
		"a group that cannot be":          {[]string{"pull", "repository", "a/b", "--as", "a", "--as-group", "system:masters"}, "--as: the user \"a\" cannot be in the group \"system:masters\": of those with system: it is in system:authenticated only"},
		"a ServiceAccount in a group":     {[]string{"pull", "repository", "a/b", "--as", "system:serviceaccount:a:b", "--as-group", "devs"}, "--as: system:serviceaccount:a:b is in no group but system:serviceaccounts, system:serviceaccounts:a, system:authenticated"},
		"somebody without a name, in one": {[]string{"pull", "repository", "a/b", "--as", "system:anonymous", "--as-group", "devs"}, "--as: system:anonymous is in no group but system:unauthenticated"},
		"an extra without a value":        {[]string{"pull", "repository", "a/b", "--as", "a", "--as-extra", "x"}, "--as-extra must be key=value, not \"x\""},
		"no audience":                     {[]string{"pull", "repository", "a/b", "--as", "a"}, "--audience must say what the token is for; SigningKeys hold closed.example.com, registry.example.com"},
		"no address":                      {[]string{"pull", "repository", "a/b", "--as", "a", "--from", "here"}, "--from: \"here\" is no address"},
		"no time":                         {[]string{"pull", "repository", "a/b", "--as", "a", "--at", "noon"}, "--at: \"noon\" is not a time: expected RFC 3339, such as 2026-01-01T00:00:00Z"},
		"no name":                         {[]string{"pull", "repository"}, "ACTIONS TYPE NAME must be given, such as: pull repository team-a/app; there are 2 arguments"},
		"a name that nothing can have":    {[]string{"pull", "repository", "a//b", "--as", "a"}, "nothing of type repository can have the name \"a//b\""},
		"a pattern":                       {[]string{"pull", "repository", "a/**", "--as", "a"}, "nothing of type repository can have the name \"a/**\""},
		"the wrong order":                 {[]string{"repository", "a/b", "pull", "--as", "a"}, "a resource of type a/b is a protected resource: its namespace must be given; the order is ACTIONS TYPE NAME: a/b repository"},
		"a namespace of a repository":     {[]string{"pull", "repository", "a/b", "--as", "a", "-n", "a"}, "a namespace is for protected resources: what is of type repository has none"},
		"two actions with white space":    {[]string{"pull, push", "repository", "a/b", "--as", "a"}, "the action \" push\" must be \"*\", or begin with a letter or digit and hold only letters, digits and \"._:/-\""},
		"all actions of an album":         {[]string{"*", "album", "a", "--as", "a", "-n", "x"}, "actions must be given, and \"*\" stands for all of them only for repositories and the catalog of a registry"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policyCase{"", with(nil), append(append([]string{"can-i"}, tc.args...), "-f", "DIR"), output{2, "", "error: " + tc.want + "\n"}}.run(t)
		})
	}
	t.Run("manifests that an API server would not take", policyCase{
		"an answer without them would be about something else", with(map[string]string{"x.yaml": "apiVersion: tokenwright.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: a}\nspec: {}\n"}),
		[]string{"can-i", "pull", "repository", "public/a", "--as", "a", "--audience", "registry.example.com", "-f", "DIR"},
		output{2, "", `DIR/x.yaml:3: AccessPolicy a: metadata.namespace: Required value
DIR/x.yaml:4: AccessPolicy a: spec.subjects: Required value
error: an API server would not take these manifests: 2 problem(s); see also policy lint
`},
	}.run)
}
