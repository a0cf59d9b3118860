package cmd

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

func TestPolicyTest(t *testing.T) {
	cases := map[string]policyCase{
		"all hold": {
			"as a map", with(map[string]string{".tests.yaml": `
manifests: [.]
audience: registry.example.com
cases:
  everybody pulls: {as: "system:anonymous", request: "repository:public/app", actions: [pull, push], expect: [pull]}
  the pipeline pushes: {as: "system:serviceaccount:team-a:ci", request: "repository:team-a/app", actions: [pull, push, delete], expect: [pull, push]}
  alice from the office: {as: alice, from: 10.0.0.1, at: "2050-01-01T00:00:00Z", request: "repository:team-a/app", actions: ["*"], expect: [pull, push, delete]}
  nobody else: {as: eve, groups: [ops], extra: {x: ["1"]}, request: "repository:team-a/app", actions: ["*"], expect: []}
  not for another registry: {as: eve, groups: [devs], audience: closed.example.com, request: "repository:team-a/app", actions: [pull], expect: []}
  a user of an issuer: {as: "gh:a/b", method: jwt, request: "repository:public/app", actions: [pull], expect: [pull]}
  not for partners: {as: eve, provider: partners, uid: "7", request: "repository:public/app", actions: [pull], expect: []}
`, "provider.yaml": byProvider["provider.yaml"]}), []string{"test", "DIR/.tests.yaml"},
			output{0, "DIR/.tests.yaml: 7 cases: 7 passed\n", ""},
		},
		"some do not": {
			"why, and what to look at", with(map[string]string{".tests.yaml": `
manifests: [team.yaml, keys.yaml]
audience: registry.example.com
cases:
- {name: releases, as: bob, groups: [devs], request: "repository:team-a/releases/app", actions: [pull, push], expect: [push]}
- {as: alice, request: "repository:team-a/app", actions: [delete], expect: [delete]}
- {as: alice, request: "repository:public/app", actions: [pull], expect: [pull]}
`}), []string{"test", "DIR/.tests.yaml"},
			output{1, `FAIL releases: bob (devs), repository:team-a/releases/app, for registry.example.com
     expected push, granted pull
     pull: allowed by AccessPolicy team-a/devs rules[0]
     push: denied by ClusterAccessPolicy freeze rules[0], although allowed by AccessPolicy team-a/devs rules[0]
FAIL case 2: alice, repository:team-a/app, for registry.example.com
     expected delete, granted nothing
     delete: allowed by nothing
     hint: AccessPolicy team-a/office rules[0] would allow delete, but it asks for an address in 10.0.0.0/8, and none is given (--from)
DIR/.tests.yaml: 3 cases: 1 passed, 2 failed
`, ""},
		},
		"a case that cannot be asked": {
			"the others are asked all the same", with(map[string]string{".tests.yaml": `
manifests: [.]
audience: registry.example.com
cases:
  a: {as: "system:masters", request: "repository:a/b", actions: [pull], expect: []}
  b: {as: a, request: "a/b", actions: [pull], expect: []}
  c: {as: a, request: "repository:a/b", actions: [pull]}
  d: {as: a, request: "repository:a/b", actions: [pull], expect: [push]}
  e: {as: a, request: "repository:a/b", actions: [], expect: []}
  f: {as: a, from: x, request: "repository:a/b", actions: [pull], expect: []}
  g: {as: a, at: x, request: "repository:a/b", actions: [pull], expect: []}
  h: {as: a, audience: typo, request: "repository:a/b", actions: [pull], expect: []}
  i: {as: a, request: "album:a", actions: [view], expect: []}
  j: {as: a, request: "repository:a/b", actions: [pull], expect: [pull]}
`}), []string{"test", "DIR/.tests.yaml"},
			output{2, `FAIL j: a, repository:a/b, for registry.example.com
     expected pull, granted nothing
     pull: allowed by nothing
     hint: no policy gives pull: an AccessPolicy in namespace "a", or a ClusterAccessPolicy whose subjects name the user "a", or one of the groups "system:authenticated", would have to allow it
ERROR a: as: no user can have the name "system:masters": of those with system: there are only system:anonymous and system:serviceaccount:<namespace>:<name>
ERROR b: request: "a/b" must be the type and the name of a resource, such as repository:team-a/app
ERROR c: expect: must be given; an empty list says that nothing is granted
ERROR d: expect: "push" is not among the actions that are asked for: pull
ERROR e: actions must be given, and "*" stands for all of them only for repositories and the catalog of a registry
ERROR f: from: "x" is no address
ERROR g: at: "x" is not a time: expected RFC 3339, such as 2026-01-01T00:00:00Z
ERROR h: no SigningKey holds the audience "typo"; there are: "closed.example.com", "registry.example.com"
ERROR i: a resource of type album is a protected resource: its namespace must be given
DIR/.tests.yaml: 10 cases: 0 passed, 1 failed, 9 could not be asked
`, "error: 9 cases could not be asked\n"},
		},
		"several files, with manifests for all": {
			"", map[string]string{"team.yaml": team, "a.yaml": "audience: x\ncases: [{as: a, request: \"repository:public/app\", actions: [pull], expect: [pull]}]\n",
				"b.yaml": "audience: x\nnamespace: team-b\nmanifests: [more/b.yaml]\ncases: [{as: b, request: \"repository:team-b/app\", actions: [pull], expect: [pull]}]\n",
				"more/b.yaml": "apiVersion: tokenwright.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: b}\nspec:\n  subjects: [{kind: User, name: b}]\n" +
					"  rules: [{type: repository, names: [team-b/app], actions: [pull]}]\n"},
			[]string{"test", "DIR/a.yaml", "DIR/b.yaml", "-f", "DIR/team.yaml"},
			output{0, "DIR/a.yaml: 1 case: 1 passed\nDIR/b.yaml: 1 case: 1 passed\n",
				strings.Repeat("warning: there is no SigningKey among the files: every audience is taken to exist and to admit every namespace\n", 2)},
		},
		"no case": {
			"a table that cannot fail is a mistake", with(map[string]string{".tests.yaml": "manifests: [.]\ncases: []\n"}), []string{"test", "DIR/.tests.yaml"},
			output{2, "", "error: DIR/.tests.yaml: cases: there must be at least one: a table without any cannot fail\n"},
		},
		"no manifests": {
			"", map[string]string{"a.yaml": "cases: [{as: a}]\n"}, []string{"test", "DIR/a.yaml"},
			output{2, "", "error: DIR/a.yaml: manifests: must name the policies that the cases are about, or -f must\n"},
		},
		"a field that is mistyped": {
			"a case that asks for less than was meant would hold", with(map[string]string{".tests.yaml": "manifests: [.]\naudience: x\ncases:\n  a: {as: a, group: [devs]}\n"}),
			[]string{"test", "DIR/.tests.yaml"}, output{2, "", "error: DIR/.tests.yaml: cases a.group: there is no such field\n"},
		},
		"a case that is given twice": {
			"", with(map[string]string{".tests.yaml": "manifests: [.]\ncases:\n  a: {as: a}\n  a: {as: b}\n"}), []string{"test", "DIR/.tests.yaml"},
			output{2, "", "error: DIR/.tests.yaml: line 4: cases.a: is given twice: also on line 3\n"},
		},
		"a file that is not there": {"", nil, []string{"test", "DIR/x"}, output{2, "", "error: DIR/x: stat DIR/x: no such file or directory\n"}},
		"no file":                  {"", nil, []string{"test"}, output{2, "", "error: name at least one file or folder, or - for the standard input\n"}},
		"manifests that an API server would not take": {
			"", map[string]string{"a.yaml": "manifests: [b.yaml]\naudience: x\ncases: [{as: a, request: \"repository:a/b\", actions: [pull], expect: []}]\n", "b.yaml": "kind: AccessPolicy\n"},
			[]string{"test", "DIR/a.yaml"},
			output{2, "", "DIR/b.yaml:1: AccessPolicy: must have apiVersion and kind, in this spelling\nerror: DIR/a.yaml: an API server would not take these manifests: 1 problem(s); see also policy lint\n"},
		},
	}
	for name, tc := range cases {
		t.Run(name, tc.run)
	}
}

// TestPolicyTestOfTheMigration runs the tables of docs/migrating-from-docker_auth.md.
func TestPolicyTestOfTheMigration(t *testing.T) {
	folder := filepath.Join(controlplane.Root(), "test", "migration", "docker_auth")
	got := askPolicy(t, "test", filepath.Join(folder, "acl_tests.yaml"), filepath.Join(folder, "labels_tests.yaml"))
	want := output{0, "acl_tests.yaml: 27 cases: 27 passed\nlabels_tests.yaml: 15 cases: 15 passed\n", ""}
	got.Stdout = strings.ReplaceAll(got.Stdout, folder+"/", "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPolicyTestReport shows that the report for pipelines is XML whatever the cases are called, and says what failed.
func TestPolicyTestReport(t *testing.T) {
	dir := folder(t, with(map[string]string{".tests.yaml": `
manifests: [.]
audience: registry.example.com
cases:
  "]]></failure><x a='\"&\e[31m\u2028\uffff": {as: "eve<&>", request: "repository:team-a/app", actions: [pull], expect: [pull]}
  fine: {as: a, request: "repository:public/app", actions: [pull], expect: [pull]}
  odd: {as: "", request: "repository:public/app", actions: [pull], expect: [pull]}
`}))
	report := filepath.Join(dir, "report.xml")
	var stdout, stderr bytes.Buffer
	if status := execute(t.Context(), []string{"policy", "test", filepath.Join(dir, ".tests.yaml"), "--junit", report}, &stdout, &stderr); status != 2 {
		t.Errorf("status %d: %s", status, stderr.String())
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var got junitReport
	if err := xml.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	file := filepath.Join(dir, ".tests.yaml")
	want := junitReport{XMLName: xml.Name{Local: "testsuites"}, Tests: 3, Failures: 1, Errors: 1, Suites: []junitSuite{{
		Name: file, Tests: 3, Failures: 1, Errors: 1, Cases: []junitCase{
			{Name: "]]></failure><x a='\"&\ufffd[31m\u2028\ufffd", Class: file, Failure: &junitMessage{
				Message: "expected pull, granted nothing",
				Text: "eve<&>, repository:team-a/app, for registry.example.com\nexpected pull, granted nothing\npull: allowed by nothing\n" +
					"hint: no policy gives pull: an AccessPolicy in namespace \"team-a\", or a ClusterAccessPolicy whose subjects name the user \"eve<&>\", or one of the groups \"system:authenticated\", would have to allow it",
			}},
			{Name: "fine", Class: file},
			{Name: "odd", Class: file, Error: &junitMessage{Message: "as: the name of a user must not be empty; that of somebody who proves none is system:anonymous"}},
		},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	t.Run("a place that cannot be written", policyCase{
		"a report that is not there must not look like one without failures",
		with(map[string]string{".tests.yaml": "manifests: [.]\naudience: registry.example.com\ncases: [{as: a, request: \"repository:public/app\", actions: [pull], expect: [pull]}]\n"}),
		[]string{"test", "DIR/.tests.yaml", "--junit", "DIR/none/report.xml"},
		output{2, "DIR/.tests.yaml: 1 case: 1 passed\n", "error: write the report: open DIR/none/report.xml: no such file or directory\n"},
	}.run)
}
