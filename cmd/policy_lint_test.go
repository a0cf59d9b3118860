package cmd

import "testing"

func TestPolicyLint(t *testing.T) {
	const head = "apiVersion: tokenwright.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: p, namespace: team-a}\nspec:\n  subjects: [{kind: User, name: alice}]\n"
	cases := map[string]policyCase{
		"all is well": {
			"it says how much it looked at", with(map[string]string{"app.yaml": "apiVersion: apps/v1\nkind: Deployment\n"}), []string{"lint", "DIR"},
			output{0, "4 policies in 3 files (4 other objects; 1 document of another kind passed over): 0 problems\n", ""},
		},
		"what the API server would refuse, and what the manager would": {
			"each with its line", map[string]string{
				"a.yaml": head + "  rules:\n  - type: repository\n    names:\n    - team-a/**\n    - team-b/**\n    actions: [pull]\n  when:\n    expression: \"1 +\"\n",
				"b.yaml": "# first\n---\n" + head + "  rules: []\n  effekt: Deny\n---\n{{ .Values.x }}\n---\na: [\n",
			}, []string{"lint", "DIR"},
			output{1, `DIR/a.yaml:10: AccessPolicy team-a/p: spec.rules[0].names[1]: "team-b/**": must start with "team-a/": an AccessPolicy speaks of repositories under its namespace only
DIR/a.yaml:13: AccessPolicy team-a/p: spec.when.expression: must be CEL: ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER} | 1 + | ...^
DIR/b.yaml:5: AccessPolicy team-a/p: metadata.name: is given twice: also at DIR/a.yaml:1
DIR/b.yaml:8: AccessPolicy team-a/p: spec.rules: Required value: rules must not be empty
DIR/b.yaml:9: AccessPolicy team-a/p: spec.effekt: there is no such field
DIR/b.yaml:13: is not YAML: did not find expected node content
2 policies in 2 files (0 other objects; 1 document of another kind passed over): 6 problems
`, ""},
		},
		"what the manager would not accept of what the API server would refuse": {
			"it is told at once, once for each field", map[string]string{"a.yaml": head +
				"  rules:\n  - type: repository\n    names:\n    - team-b/x\n    - team-a/***\n    actions: [pull]\n  when:\n    expression: \"1\"\n  efect: Deny\n"}, []string{"lint", "DIR"},
			output{1, `DIR/a.yaml:9: AccessPolicy team-a/p: spec.rules[0].names[0]: "team-b/x": must start with "team-a/": an AccessPolicy speaks of repositories under its namespace only
DIR/a.yaml:10: AccessPolicy team-a/p: spec.rules[0].names[1]: Invalid value: "team-a/***": ** in a name must be a segment of its own
DIR/a.yaml:13: AccessPolicy team-a/p: spec.when.expression: must yield bool, not int
DIR/a.yaml:14: AccessPolicy team-a/p: spec.efect: there is no such field
1 policy in 1 file (0 other objects; 0 documents of other kinds passed over): 4 problems
`, ""},
		},
		"what the API server would refuse of resources and requests": {
			"they are in the same files, and no server looks at what is refused", map[string]string{"a.yaml": `apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: album, namespace: team-a}
spec:
  audience: photos.example.com
  scopes: [view]
  type: repository
  id: team-b/album
  uris: ["/albums/*", "/albums/../x"]
  owner: "system:masters"
  scope: [view]
---
apiVersion: tokenwright.dev/v1alpha1
kind: PermissionRequest
metadata: {name: preq-1, namespace: team-a}
spec:
  resource: {name: album}
  audience: photos.example.com
  owner: alice
  requester: bob
  scopes: [view]
---
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: good, namespace: team-a}
spec: {audience: photos.example.com, scopes: [view]}
`}, []string{"lint", "DIR"},
			output{1, `DIR/a.yaml:7: ProtectedResource team-a/album: spec.type: Invalid value: "repository": type must not be repository, registry, nats or oauth: those have a meaning of their own
DIR/a.yaml:8: ProtectedResource team-a/album: spec.id: Invalid value: "team-b/album": spec.id in body should match '^[A-Za-z0-9][A-Za-z0-9._~-]*$'
DIR/a.yaml:9: ProtectedResource team-a/album: spec.uris[1]: Invalid value: "/albums/../x": a uri must not have the segment . or ..
DIR/a.yaml:10: ProtectedResource team-a/album: spec.owner: Invalid value: "system:masters": owner must not start with system: unless it is a ServiceAccount's user name
DIR/a.yaml:11: ProtectedResource team-a/album: spec.scope: there is no such field
DIR/a.yaml:17: PermissionRequest team-a/preq-1: spec.resource.uid: Required value
0 policies in 1 file (1 other object; 1 document of another kind passed over): 6 problems
`, "warning: there was no policy to look at\n"},
		},
		"resources that want the same": {
			"in the cluster the older one has it; two of one name are no fault of either", map[string]string{"a.yaml": `apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: a, namespace: team-a}
spec:
  audience: photos.example.com
  scopes: [view]
  id: album
  displayName: Album
  uris: ["/albums/*"]
---
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: b, namespace: team-a}
spec:
  audience: photos.example.com
  scopes: [view]
  id: album
---
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: c, namespace: team-b}
spec:
  audience: photos.example.com
  scopes: [view]
  displayName: Album
  uris:
  - /mine
  - /albums/7
---
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: d, namespace: team-c}
spec:
  audience: photos.example.com
  scopes: [view]
  id: album
  displayName: Album
  uris: ["/albums/*"]
---
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: e, namespace: team-a}
spec: {audience: other.example.com, scopes: [view], id: album}
---
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: f, namespace: team-a}
spec: {audience: photos.example.com, scopes: [view], id: exported, displayName: Exported}
---
apiVersion: tokenwright.dev/v1alpha1
kind: ProtectedResource
metadata: {name: g, namespace: team-a}
spec: {audience: photos.example.com, scopes: [view], id: exported, displayName: Exported}
`, "keys.yaml": `apiVersion: tokenwright.dev/v1alpha1
kind: SigningKey
metadata: {name: photos, namespace: tokenwright-system}
spec: {audiences: [photos.example.com], namespaces: {from: Selector, selector: {matchLabels: {photos: "yes"}}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: team-a, labels: {photos: "yes"}}
---
apiVersion: v1
kind: Namespace
metadata: {name: team-b, labels: {photos: "yes"}}
`}, []string{"lint", "DIR"},
			output{0, "0 policies in 2 files (10 other objects; 0 documents of other kinds passed over): 0 problems\n",
				`warning: DIR/a.yaml:17: ProtectedResource team-a/b: spec.id: "album" is the id of an older resource of audience "photos.example.com", or the name of one of another namespace: choose another
warning: DIR/a.yaml:25: ProtectedResource team-b/c: spec.displayName: clients find the resource by its id only: "Album" is the id or name of an older resource of another namespace at audience "photos.example.com", or what one would be called there without an id
warning: DIR/a.yaml:28: ProtectedResource team-b/c: spec.uris[1]: "/albums/7" is a uri of an older resource of audience "photos.example.com", or within one of another namespace: this one is served without it
warning: DIR/a.yaml:34: ProtectedResource team-c/d: spec.audience: SigningKey "photos" does not admit the namespace "team-c" (spec.namespaces)
warning: DIR/a.yaml:43: ProtectedResource team-a/e: spec.audience: no SigningKey holds the audience "other.example.com"; there are: "photos.example.com"
warning: DIR/a.yaml:53: ProtectedResource team-a/g: spec.id: "exported" is the id of an older resource of audience "photos.example.com", or the name of one of another namespace: choose another
warning: there was no policy to look at
`},
		},
		"for programs": {
			"", map[string]string{"a.yaml": head + "  rules: [{type: repository, names: [a], actions: [pull]}]\n  when: {notAfter: \"2020-01-01T00:00:00Z\"}\n"}, []string{"lint", "DIR/a.yaml", "-o", "json"},
			output{1, `{
  "files": 1,
  "policies": 1,
  "others": 0,
  "skipped": 0,
  "problems": [
    {
      "file": "DIR/a.yaml",
      "line": 6,
      "kind": "AccessPolicy",
      "namespace": "team-a",
      "name": "p",
      "path": "spec.rules[0].names[0]",
      "message": "\"a\": must start with \"team-a/\": an AccessPolicy speaks of repositories under its namespace only"
    }
  ],
  "warnings": [
    {
      "file": "DIR/a.yaml",
      "line": 7,
      "kind": "AccessPolicy",
      "namespace": "team-a",
      "name": "p",
      "path": "spec.when.notAfter",
      "message": "is over: the policy never matches any more"
    }
  ]
}
`, ""},
		},
		"what is hardly meant": {
			"a warning is no problem", with(map[string]string{"more.yaml": head +
				"  audiences: [regisrty.example.com, closed.example.com]\n  rules: [{type: repository, names: [team-a/x], actions: [pull]}]\n  when: {notAfter: \"2020-01-01T00:00:00Z\"}\n" +
				"---\napiVersion: tokenwright.dev/v1alpha1\nkind: SigningKey\nmetadata: {name: lost, namespace: default}\nspec: {audiences: [x]}\n"}), []string{"lint", "DIR"},
			output{0, "5 policies in 3 files (5 other objects; 0 documents of other kinds passed over): 0 problems\n", `warning: SigningKey default/lost (DIR/more.yaml:10) is not looked at: servers look for SigningKeys in namespace "tokenwright-system" (--system-namespace)
warning: DIR/more.yaml:6: AccessPolicy team-a/p: spec.audiences[0]: no SigningKey among the files holds the audience "regisrty.example.com"; there are: "closed.example.com", "registry.example.com"
warning: DIR/more.yaml:6: AccessPolicy team-a/p: spec.audiences[1]: SigningKey "closed" does not admit AccessPolicies of namespace "team-a" (spec.namespaces)
warning: DIR/more.yaml:8: AccessPolicy team-a/p: spec.when.notAfter: is over: the policy never matches any more
`},
		},
		"patterns of other programs": {
			"they would match nothing, in silence", map[string]string{"a.yaml": "apiVersion: tokenwright.dev/v1alpha1\nkind: ClusterAccessPolicy\nmetadata: {name: p}\nspec:\n  subjects: [{kind: User, name: a}]\n" +
				"  rules:\n  - type: repository\n    names:\n    - \"team-a/.*\"\n    - \"team-[ab]/x\"\n    - \"Team-a/x\"\n    - \"{subject.username}/x\"\n    - \"${subject.extra.Team}/${subject.username}-*\"\n" +
				"    - \"x/{labels:team}\"\n    actions: [pull]\n"}, []string{"lint", "DIR"},
			output{0, "1 policy in 1 file (0 other objects; 0 documents of other kinds passed over): 0 problems\n", `warning: DIR/a.yaml:9: ClusterAccessPolicy p: spec.rules[0].names[0]: "team-a/.*": names are no regular expressions: .* is a dot and whatever follows
warning: DIR/a.yaml:10: ClusterAccessPolicy p: spec.rules[0].names[1]: "team-[ab]/x": no repository has "[" in its name, and it means nothing in a pattern
warning: DIR/a.yaml:11: ClusterAccessPolicy p: spec.rules[0].names[2]: "Team-a/x": no repository has "T" in its name, and it means nothing in a pattern
warning: DIR/a.yaml:12: ClusterAccessPolicy p: spec.rules[0].names[3]: "{subject.username}/x": a placeholder begins with ${subject.: this one is a text
warning: DIR/a.yaml:14: ClusterAccessPolicy p: spec.rules[0].names[5]: "x/{labels:team}": a placeholder begins with ${subject.: this one is a text
`},
		},
		"two values for one claim": {
			"a caller of both gets no token", map[string]string{"a.yaml": "apiVersion: tokenwright.dev/v1alpha1\nkind: ClusterAccessPolicy\nmetadata: {name: a}\nspec:\n  subjects: [{kind: User, name: a}]\n" +
				"  claims:\n  - {name: x, value: 1}\n  - {name: tier, value: gold}\n---\napiVersion: tokenwright.dev/v1alpha1\nkind: ClusterAccessPolicy\nmetadata: {name: b}\nspec:\n" +
				"  subjects: [{kind: Group, name: \"system:authenticated\"}]\n  claims:\n  - {name: tier, value: silver}\n"}, []string{"lint", "DIR"},
			output{0, "2 policies in 1 file (0 other objects; 0 documents of other kinds passed over): 0 problems\n", `warning: DIR/a.yaml:8: ClusterAccessPolicy a: spec.claims[1]: ClusterAccessPolicy b may give a caller another value for the claim "tier": the caller then gets no token
warning: DIR/a.yaml:16: ClusterAccessPolicy b: spec.claims[0]: ClusterAccessPolicy a may give a caller another value for the claim "tier": the caller then gets no token
`},
		},
		"a namespace for those without": {
			"as kubectl would give it", map[string]string{"a.yaml": "apiVersion: tokenwright.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: p}\nspec:\n  subjects: [{kind: User, name: a}]\n" +
				"  rules: [{type: repository, names: [team-b/x], actions: [pull]}]\n"}, []string{"lint", "-n", "team-b", "DIR"},
			output{0, "1 policy in 1 file (0 other objects; 0 documents of other kinds passed over): 0 problems\n", ""},
		},
		"no policy": {
			"a pipeline that looks at nothing should not be content", map[string]string{"a.yaml": keys}, []string{"lint", "DIR"},
			output{0, "0 policies in 1 file (4 other objects; 0 documents of other kinds passed over): 0 problems\n", "warning: there was no policy to look at\n"},
		},
		"a file that is not there": {
			"that is no finding; what the others have is", map[string]string{"a.yaml": head + "  rules: []\n"}, []string{"lint", "DIR/b.yaml", "DIR/a.yaml"},
			output{2, `DIR/a.yaml:6: AccessPolicy team-a/p: spec.rules: Required value: rules must not be empty
1 policy in 1 file (0 other objects; 0 documents of other kinds passed over): 1 problem
`, "error: stat DIR/b.yaml: no such file or directory\n"},
		},
		"a folder without manifests": {
			"a mistyped path must not succeed", map[string]string{"notes.txt": ""}, []string{"lint", "DIR"},
			output{2, "0 policies in 0 files (0 other objects; 0 documents of other kinds passed over): 0 problems\n",
				"warning: there was no policy to look at\nerror: DIR has no file that ends with .json, .yaml, .yml\n"},
		},
		"a file that is not there, with a name that clears the screen": {
			"", nil, []string{"lint", "DIR/x\x1b[2J\u202e"}, output{2, "0 policies in 0 files (0 other objects; 0 documents of other kinds passed over): 0 problems\n",
				"warning: there was no policy to look at\nerror: stat DIR/x\\x1b[2J\\u202e: no such file or directory\n"},
		},
		"no file":        {"", nil, []string{"lint"}, output{2, "", "error: name at least one file or folder, or - for the standard input\n"}},
		"another output": {"", nil, []string{"lint", "-o", "xml", "x"}, output{2, "", "error: --output must be text or json, not \"xml\"\n"}},
		"an unknown flag": {
			"a mistake must not look like a finding", nil, []string{"lint", "--strict", "x"}, output{2, "", "error: unknown flag: --strict\n"},
		},
		"an unknown command": {"", nil, []string{"lnt"}, output{2, "", "error: unknown command \"lnt\" for \"tokenwright policy\"\n"}},
		"what would move the cursor": {
			"names and values are others'", map[string]string{"a\x1b[2J\nb.yaml": "apiVersion: tokenwright.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: \"p\\e[31m\", namespace: team-a}\n" +
				"spec:\n  subjects: [{kind: User, name: a}]\n  rules: [{type: repository, names: [\"team-a/\\e]0;x\\a\\u202e\\x9b\"], actions: [pull]}]\n"}, []string{"lint", "DIR"},
			output{1, `DIR/a\x1b[2J\nb.yaml:3: AccessPolicy team-a/p\x1b[31m: metadata.name: Invalid value: "p\x1b[31m": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
DIR/a\x1b[2J\nb.yaml:6: AccessPolicy team-a/p\x1b[31m: spec.rules[0].names[0]: Invalid value: "team-a/\x1b]0;x\a\u202e\u009b": spec.rules[0].names[0] in body should match '^[^\x00-\x1f\x7f]+$'
1 policy in 1 file (0 other objects; 0 documents of other kinds passed over): 2 problems
`, ""},
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}
