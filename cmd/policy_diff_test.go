package cmd

import (
	"strings"
	"testing"
)

func TestPolicyDiff(t *testing.T) {
	change := func(old, new string) string { return strings.Replace(team, old, new, 1) }
	both := func(after string) map[string]string {
		return map[string]string{"old/team.yaml": team, "old/keys.yaml": keys, "new/team.yaml": after}
	}
	diff := func(more ...string) []string {
		return append([]string{"diff", "-f", "DIR/new", "--against", "DIR/old"}, more...)
	}
	requests := `
audience: registry.example.com
cases:
  a: {as: bob, groups: [devs], request: "repository:team-a/releases/x", actions: ["*"]}
  b: {as: bob, groups: [devs], request: "repository:team-a/x", actions: ["*"]}
`
	cases := map[string]policyCase{
		"the same": {"", both(team), diff(), output{0, "", "0 of 0 requests would be answered otherwise\n"}},
		"more is given": {
			"a sample is made of what differs", both(change("actions: [pull, push]", "actions: [pull, push, delete]")), diff(),
			output{1, `x (devs), repository:team-a/x, for registry.example.com
  + delete, by AccessPolicy team-a/devs rules[0]
system:serviceaccount:team-a:ci, repository:team-a/x, for registry.example.com
  + delete, by AccessPolicy team-a/devs rules[0]
`, "2 of 4 requests would be answered otherwise\n"},
		},
		"names change": {
			"what is lost and what is gained", both(change(`names: ["public/**"]`, `names: ["open/**"]`)), diff(),
			output{1, `x, repository:public/x, for closed.example.com
  - pull, no longer by ClusterAccessPolicy everybody-pulls rules[0]
x, repository:public/x, for registry.example.com
  - pull, no longer by ClusterAccessPolicy everybody-pulls rules[0]
system:anonymous, repository:public/x, for closed.example.com
  - pull, no longer by ClusterAccessPolicy everybody-pulls rules[0]
system:anonymous, repository:public/x, for registry.example.com
  - pull, no longer by ClusterAccessPolicy everybody-pulls rules[0]
x, repository:open/x, for closed.example.com
  + pull, by ClusterAccessPolicy everybody-pulls rules[0]
x, repository:open/x, for registry.example.com
  + pull, by ClusterAccessPolicy everybody-pulls rules[0]
system:anonymous, repository:open/x, for closed.example.com
  + pull, by ClusterAccessPolicy everybody-pulls rules[0]
system:anonymous, repository:open/x, for registry.example.com
  + pull, by ClusterAccessPolicy everybody-pulls rules[0]
`, "8 of 8 requests would be answered otherwise\n"},
		},
		"a Deny is new": {
			"for requests that are given", map[string]string{"old/team.yaml": team, "old/keys.yaml": keys, "requests.yaml": requests, "new/deny.yaml": `
apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: read-only, namespace: team-a}
spec:
  effect: Deny
  subjects: [{kind: Group, name: devs}]
  rules: [{type: repository, names: ["team-a/**"], actions: [push]}]
`}, diff("--requests", "DIR/requests.yaml"),
			output{1, `bob (devs), repository:team-a/x, for registry.example.com
  - push, denied by AccessPolicy team-a/read-only rules[0]
`, "1 of 2 requests would be answered otherwise\n"},
		},
		"a policy is gone": {
			"manifests that are applied delete nothing", both("# nothing\n"), diff(), output{0, "", "0 of 0 requests would be answered otherwise\n"},
		},
		"a policy is pruned": {
			"", both(change("---\napiVersion: tokenwright.dev/v1alpha1\nkind: ClusterAccessPolicy\nmetadata: {name: freeze}", "---\napiVersion: v1\nkind: Freeze")),
			diff("--prune", "--requests", "DIR/requests.yaml"),
			output{2, "", "error: DIR/requests.yaml: stat DIR/requests.yaml: no such file or directory\n"},
		},
		"a Deny is pruned": {
			"", map[string]string{"old/team.yaml": team, "old/keys.yaml": keys, "requests.yaml": requests,
				"new/team.yaml": change("---\napiVersion: tokenwright.dev/v1alpha1\nkind: ClusterAccessPolicy\nmetadata: {name: freeze}", "---\napiVersion: v1\nkind: Freeze")},
			diff("--prune", "--requests", "DIR/requests.yaml"),
			output{1, `bob (devs), repository:team-a/releases/x, for registry.example.com
  + push, by AccessPolicy team-a/devs rules[0]
`, "1 of 2 requests would be answered otherwise\n"},
		},
		"an audience is closed to a namespace": {
			"no policy differs, and answers do", map[string]string{"old/team.yaml": team, "old/keys.yaml": keys, "requests.yaml": requests,
				"new/key.yaml": strings.Replace(keys, "spec: {audiences: [registry.example.com]}", "spec: {audiences: [registry.example.com], namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}", 1)},
			diff(),
			output{1, `x (devs), repository:team-a/x, for registry.example.com
  - pull, no longer by AccessPolicy team-a/devs rules[0]
  - push, no longer by AccessPolicy team-a/devs rules[0]
system:serviceaccount:team-a:ci, repository:team-a/x, for registry.example.com
  - pull, no longer by AccessPolicy team-a/devs rules[0]
  - push, no longer by AccessPolicy team-a/devs rules[0]
alice, repository:team-a/x, for registry.example.com, from 10.0.0.0
  - delete, no longer by AccessPolicy team-a/office rules[0]
  - pull, no longer by AccessPolicy team-a/office rules[0]
  - push, no longer by AccessPolicy team-a/office rules[0]
`, "3 of 5 requests would be answered otherwise\n"},
		},
		"what would not be accepted": {
			"it is applied and gives nothing", both(change(`names: ["team-a/**"], actions: [pull, push]`, `names: ["team-b/**"], actions: [pull, push]`)), diff(),
			output{1, `x (devs), repository:team-a/x, for registry.example.com
  - pull, no longer by AccessPolicy team-a/devs rules[0]
  - push, no longer by AccessPolicy team-a/devs rules[0]
system:serviceaccount:team-a:ci, repository:team-a/x, for registry.example.com
  - pull, no longer by AccessPolicy team-a/devs rules[0]
  - push, no longer by AccessPolicy team-a/devs rules[0]
`, `warning: AccessPolicy team-a/devs would not be accepted: spec.rules[0].names[0]: "team-b/**": must start with "team-a/": an AccessPolicy speaks of repositories under its namespace only
2 of 4 requests would be answered otherwise
`},
		},
		"for programs": {
			"", map[string]string{"old/a.yaml": "# nothing\n", "new/team.yaml": `
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: a}
spec:
  subjects: [{kind: User, name: a}]
  audiences: [r]
  rules: [{type: repository, names: [a], actions: [pull]}]
  when: {sourceRanges: [192.0.2.1/32]}
`, "requests.yaml": "cases: [{as: a, groups: [g], from: 192.0.2.1, at: \"2026-01-01T00:00:00Z\", audience: r, request: \"repository:a\", actions: [pull]}]\n"},
			diff("-o", "json", "--requests", "DIR/requests.yaml"),
			output{1, `{
  "requests": 1,
  "sample": false,
  "changes": [
    {
      "as": "a",
      "groups": [
        "system:authenticated",
        "g"
      ],
      "from": "192.0.2.1",
      "at": "2026-01-01T00:00:00Z",
      "audience": "r",
      "request": "repository:a",
      "gained": [
        {
          "action": "pull",
          "rules": [
            {
              "kind": "ClusterAccessPolicy",
              "name": "a",
              "rule": 0
            }
          ]
        }
      ],
      "lost": []
    }
  ]
}
`, "warning: there is no SigningKey among the files: every audience is taken to exist and to admit every namespace\n1 of 1 request would be answered otherwise\n"},
		},
		"no manifests": {"", nil, []string{"diff"}, output{2, "", "error: -f must name the manifests that would be applied\n"}},
		"an argument": {
			"a folder without -f must not be passed over", nil, []string{"diff", "policies/"}, output{2, "", "error: unknown command \"policies/\" for \"tokenwright policy diff\"\n"},
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

// TestPolicyDiffOfMany shows that the sample is bounded, and that this is said.
func TestPolicyDiffOfMany(t *testing.T) {
	var many strings.Builder
	for _, letter := range "abcdefghijklmnopqrst" {
		many.WriteString("---\napiVersion: tokenwright.dev/v1alpha1\nkind: ClusterAccessPolicy\nmetadata: {name: app-" + string(letter) + "}\nspec:\n  subjects: [{kind: User, name: a}]\n  audiences: [r]\n  rules:\n")
		for range 2 {
			many.WriteString("  - {type: repository, actions: [pull], names: [")
			for i := range 30 {
				many.WriteString(strings.Repeat(string(letter), i+1) + "/" + string(rune('a'+many.Len()%26)) + "-" + strings.Repeat("x", many.Len()%40) + ", ")
			}
			many.WriteString("]}\n")
		}
	}
	policyCase{
		"", map[string]string{"old/a.yaml": "# nothing\n", "new/many.yaml": many.String(), "requests.yaml": "cases: [{as: a, audience: r, request: \"repository:x\", actions: [pull]}]\n"},
		[]string{"diff", "-f", "DIR/new", "--against", "DIR/old", "--requests", "DIR/requests.yaml"},
		output{0, "", "warning: there is no SigningKey among the files: every audience is taken to exist and to admit every namespace\n0 of 1 request would be answered otherwise\n"},
	}.run(t)
	dir := folder(t, map[string]string{"old/a.yaml": "# nothing\n", "new/many.yaml": many.String()})
	var stdout, stderr strings.Builder
	if status := execute(t.Context(), []string{"policy", "diff", "-f", dir + "/new", "--against", dir + "/old"}, &stdout, &stderr); status != 1 {
		t.Errorf("status %d", status)
	}
	said(t, stderr.String(), "warning: there are more than 1000 requests to try", "1000 of 1000 requests would be answered otherwise")
}
