package cmd

import "testing"

// conditional are policies that depend on what is not known when somebody asks who can.
const conditional = `
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: own}
spec:
  subjects: [{kind: Group, name: "system:serviceaccounts"}]
  audiences: [registry.example.com]
  rules: [{type: repository, names: ["${subject.namespace}/**"], actions: [push]}]
---
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: platform}
spec:
  subjects: [{kind: User, name: zoe}]
  rules: [{type: repository, names: ["**"], actions: ["*"]}]
  when: {sourceRanges: [10.0.0.0/8, "fd00::/8"], expression: "subject.extra['https://example.com/team'].exists(t, t == 'platform')"}
---
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: night}
spec:
  effect: Deny
  subjects: [{kind: User, name: mallory}, {kind: Group, name: devs}]
  rules: [{type: repository, names: ["**"], actions: [push]}]
  when: {sourceRanges: [192.0.2.0/24]}
`

func TestPolicyWhoCan(t *testing.T) {
	cases := map[string]policyCase{
		"who pushes": {
			"subjects, rules, and what it depends on", with(map[string]string{"more.yaml": conditional}),
			[]string{"who-can", "push", "repository", "team-a/app", "--audience", "registry.example.com", "-f", "DIR"},
			output{0, `SUBJECT KIND     SUBJECT                  NAMESPACE   POLICY                         RULE   IF
Group            devs                     -           AccessPolicy team-a/devs       0      unless denied by ClusterAccessPolicy night rules[0]
Group            system:serviceaccounts   -           ClusterAccessPolicy own        0      it fits ${subject.namespace}/**
ServiceAccount   ci                       team-a      AccessPolicy team-a/devs       0      -
User             alice                    -           AccessPolicy team-a/office     0      from 10.0.0.0/8; until 2099-01-01T00:00:00Z
User             zoe                      -           ClusterAccessPolicy platform   0      from 10.0.0.0/8, fd00::/8; subject.extra['https://example.c…

But not, whatever else they are:
SUBJECT KIND   SUBJECT   NAMESPACE   POLICY                      RULE   IF
Group          devs      -           ClusterAccessPolicy night   0      from 192.0.2.0/24
User           mallory   -           ClusterAccessPolicy night   0      from 192.0.2.0/24
`, ""},
		},
		"with all of a condition": {
			"", with(map[string]string{"more.yaml": conditional}),
			[]string{"who-can", "delete", "repository", "x/app", "--audience", "registry.example.com", "-o", "wide", "-f", "DIR"},
			output{0, `SUBJECT KIND   SUBJECT   NAMESPACE   POLICY                         RULE   IF
User           zoe       -           ClusterAccessPolicy platform   0      from 10.0.0.0/8, fd00::/8; subject.extra['https://example.com/team'].exists(t, t == 'platform')
`, ""},
		},
		"from a known address": {
			"what is known is no condition", with(map[string]string{"more.yaml": conditional}),
			[]string{"who-can", "push", "repository", "team-a/app", "--audience", "registry.example.com", "--from", "192.0.2.7", "-f", "DIR"},
			output{0, `SUBJECT KIND     SUBJECT                  NAMESPACE   POLICY                     RULE   IF
Group            system:serviceaccounts   -           ClusterAccessPolicy own    0      it fits ${subject.namespace}/**
ServiceAccount   ci                       team-a      AccessPolicy team-a/devs   0      -

But not, whatever else they are:
SUBJECT KIND   SUBJECT   NAMESPACE   POLICY                      RULE   IF
Group          devs      -           ClusterAccessPolicy night   0      -
User           mallory   -           ClusterAccessPolicy night   0      -
`, ""},
		},
		"for every audience": {
			"a row for each rule, not for each audience", with(nil), []string{"who-can", "pull", "repository", "public/app", "-f", "DIR"},
			output{0, `SUBJECT KIND   SUBJECT                  NAMESPACE   POLICY                                RULE   IF   AUDIENCES
Group          system:authenticated     -           ClusterAccessPolicy everybody-pulls   0      -    all
Group          system:unauthenticated   -           ClusterAccessPolicy everybody-pulls   0      -    all
`, ""},
		},
		"for some audiences": {
			"", with(nil), []string{"who-can", "pull", "repository", "team-a/app", "-f", "DIR"},
			output{0, `SUBJECT KIND     SUBJECT   NAMESPACE   POLICY                       RULE   IF                                            AUDIENCES
Group            devs      -           AccessPolicy team-a/devs     0      -                                             registry.example.com
ServiceAccount   ci        team-a      AccessPolicy team-a/devs     0      -                                             registry.example.com
User             alice     -           AccessPolicy team-a/office   0      from 10.0.0.0/8; until 2099-01-01T00:00:00Z   registry.example.com
`, ""},
		},
		"where nothing is known of audiences": {
			"those that policies name, and any other", map[string]string{"team.yaml": team}, []string{"who-can", "pull", "repository", "team-a/app", "-f", "DIR"},
			output{0, `SUBJECT KIND     SUBJECT   NAMESPACE   POLICY                       RULE   IF                                            AUDIENCES
Group            devs      -           AccessPolicy team-a/devs     0      -                                             all
ServiceAccount   ci        team-a      AccessPolicy team-a/devs     0      -                                             all
User             alice     -           AccessPolicy team-a/office   0      from 10.0.0.0/8; until 2099-01-01T00:00:00Z   registry.example.com
`, "warning: there is no SigningKey among the files: every audience is taken to exist and to admit every namespace\n"},
		},
		"nobody": {
			"", with(nil), []string{"who-can", "push", "repository", "x/app", "--audience", "registry.example.com", "-f", "DIR"}, output{0, "", "warning: nobody may\n"},
		},
		"an audience that nobody holds": {
			"", with(nil), []string{"who-can", "pull", "repository", "public/app", "--audience", "other", "-f", "DIR"},
			output{0, "", "warning: nobody may\nwarning: no SigningKey holds the audience \"other\"; there are: \"closed.example.com\", \"registry.example.com\"\n"},
		},
		"for programs": {
			"", with(map[string]string{"more.yaml": conditional}),
			[]string{"who-can", "delete", "repository", "team-a/releases/app", "--audience", "registry.example.com", "-o", "json", "--from", "10.0.0.1", "-f", "DIR"},
			output{0, `{
  "can": [],
  "denied": []
}
`, ""},
		},
		"for programs, with conditions": {
			"", with(nil), []string{"who-can", "delete", "repository", "team-a/app", "--audience", "registry.example.com", "-o", "json", "-f", "DIR"},
			output{0, `{
  "can": [
    {
      "subject": {
        "kind": "User",
        "name": "alice"
      },
      "policy": {
        "kind": "AccessPolicy",
        "namespace": "team-a",
        "name": "office",
        "rule": 0
      },
      "audiences": [
        "registry.example.com"
      ],
      "certain": false,
      "if": [
        "from 10.0.0.0/8",
        "until 2099-01-01T00:00:00Z"
      ]
    }
  ],
  "denied": []
}
`, ""},
		},
		"two actions": {
			"", with(nil), []string{"who-can", "pull,push", "repository", "public/app", "-f", "DIR"}, output{2, "", "error: one action must be given: ask for each alone\n"},
		},
		"what would move the cursor, for programs": {
			"JSON allows some of it", map[string]string{"x.yaml": `
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: p}
spec:
  subjects: [{kind: User, name: "a\e[2J\nroot\x9b\U0001F600\U000E0041"}]
  rules: [{type: repository, names: ["**"], actions: [pull]}]
  when: {expression: "'\e[31m' == ''"}
`}, []string{"who-can", "pull", "repository", "x", "--audience", "x", "-o", "json", "-f", "DIR"},
			output{0, `{
  "can": [
    {
      "subject": {
        "kind": "User",
        "name": "a\u001b[2J\nroot\u009b😀\udb40\udc41"
      },
      "policy": {
        "kind": "ClusterAccessPolicy",
        "name": "p",
        "rule": 0
      },
      "audiences": [
        "x"
      ],
      "certain": false,
      "if": [
        "'\u001b[31m' == ''"
      ]
    }
  ],
  "denied": []
}
`, "warning: there is no SigningKey among the files: every audience is taken to exist and to admit every namespace\n"},
		},
		"what would move the cursor": {
			"names and values are others'", map[string]string{"x.yaml": `
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: p}
spec:
  subjects: [{kind: User, name: "a\e[2J\nroot\x9b\U0001F600\U000E0041"}]
  rules: [{type: repository, names: ["**"], actions: [pull]}]
  when: {expression: "'\e[31m' == ''"}
`}, []string{"who-can", "pull", "repository", "x", "--audience", "x", "-o", "wide", "-f", "DIR"},
			output{0, `SUBJECT KIND   SUBJECT                           NAMESPACE   POLICY                  RULE   IF
User           a\x1b[2J\nroot\u009b😀\U000e0041   -           ClusterAccessPolicy p   0      '\x1b[31m' == ''
`, "warning: there is no SigningKey among the files: every audience is taken to exist and to admit every namespace\n"},
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}
