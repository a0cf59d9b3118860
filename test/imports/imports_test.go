package imports

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// TestArchitecture holds the project to its architecture.
func TestArchitecture(t *testing.T) {
	tree := os.DirFS(controlplane.Root())
	packages, _, err := parse(tree)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	for _, folder := range []string{"", "api/v1alpha1", "cmd", "controllers", "tokenserver", "tokenserver/policy/expr"} {
		if len(packages[folder]) == 0 {
			t.Errorf("package %q was not looked at", folder)
		}
	}
	found, err := check(tree)
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	slices.Sort(found)
	for _, f := range found {
		t.Error(f)
	}
}

// TestCheckerFindsWhatIsWrong shows that the checker fails when the architecture is broken, and only then.
func TestCheckerFindsWhatIsWrong(t *testing.T) {
	const imports = "github.com/tokenwright/tokenwright/"
	cases := map[string]struct {
		reason string
		files  map[string]string
		want   string
	}{
		"a pure package may import the api and another pure one": {
			reason: "that is what it is for",
			files:  map[string]string{"tokenserver/policy/a.go": "package policy\nimport (\n\"" + imports + "api/v1alpha1\"\n\"" + imports + "tokenserver/caller\"\n)"},
		},
		"a pure package imports client-go": {
			reason: "it must be testable without a cluster",
			files:  map[string]string{"tokenserver/policy/a.go": "package policy\nimport \"k8s.io/client-go/rest\""},
			want:   "tokenserver/policy/a.go:2:8: a pure package imports k8s.io/client-go/rest",
		},
		"a pure package below another imports net/http": {
			reason: "policy/expr is as pure as policy",
			files:  map[string]string{"tokenserver/policy/expr/a.go": "package expr\nimport \"net/http\""},
			want:   "a pure package imports net/http",
		},
		"a pure package imports core types": {
			reason: "k8s.io/api is the cluster's, k8s.io/apimachinery and k8s.io/apiserver are not it",
			files:  map[string]string{"tokenserver/keyring/a.go": "package keyring\nimport (\n_ \"k8s.io/apiserver/pkg/cel\"\n_ \"k8s.io/api/core/v1\"\n)"},
			want:   "tokenserver/keyring/a.go:4:1: a pure package imports k8s.io/api/core/v1",
		},
		"a pure package imports the snapshot": {
			reason: "imports go one way",
			files:  map[string]string{"tokenserver/token/a.go": "package token\nimport \"" + imports + "tokenserver/snapshot\""},
			want:   `a package of layer "pure" imports tokenserver/snapshot of layer "snapshot"`,
		},
		"the api imports a pure package": {
			reason: "anybody must be able to import the types cheaply",
			files:  map[string]string{"api/v1alpha1/a.go": "package v1alpha1\nimport \"" + imports + "tokenserver/caller\""},
			want:   `a package of layer "api" imports tokenserver/caller`,
		},
		"the api imports more than apimachinery": {
			reason: "as above",
			files:  map[string]string{"api/v1alpha1/a.go": "package v1alpha1\nimport _ \"k8s.io/api/core/v1\""},
			want:   `a package of layer "api" imports k8s.io/api/core/v1`,
		},
		"identity imports issue": {
			reason: "who asks and what is granted know nothing of each other",
			files:  map[string]string{"tokenserver/identity/a.go": "package identity\nimport \"" + imports + "tokenserver/issue\""},
			want:   `imports tokenserver/issue of layer "below a grant"`,
		},
		"the enforcer may import go-jose": {
			reason: "it verifies tokens",
			files:  map[string]string{"tokenserver/uma/enforce/a.go": "package enforce\nimport (\n_ \"github.com/go-jose/go-jose/v4/json\"\n_ \"net/http\"\n)"},
		},
		"the enforcer imports another library": {
			reason: "resource servers would have to have it, too",
			files:  map[string]string{"tokenserver/uma/enforce/a.go": "package enforce\nimport _ \"golang.org/x/sync/singleflight\""},
			want:   `a package of layer "enforcer" imports golang.org/x/sync/singleflight`,
		},
		"the enforcer imports a pure package": {
			reason: "as above: the api comes with it",
			files:  map[string]string{"tokenserver/uma/enforce/a.go": "package enforce\nimport \"" + imports + "tokenserver/token\""},
			want:   `a package of layer "enforcer" imports tokenserver/token of layer "pure"`,
		},
		"a grant imports an endpoint": {
			reason: "nothing below an endpoint reads HTTP",
			files:  map[string]string{"tokenserver/grant/a.go": "package grant\nimport \"" + imports + "tokenserver/docker\""},
			want:   `imports tokenserver/docker of layer "endpoints"`,
		},
		"a grant imports httpx": {
			reason: "as above",
			files:  map[string]string{"tokenserver/grant/a.go": "package grant\nimport \"" + imports + "tokenserver/httpx\""},
			want:   `imports tokenserver/httpx of layer "httpx"`,
		},
		"a controller imports what serves requests": {
			reason: "writer and observer are apart",
			files:  map[string]string{"controllers/a.go": "package controllers\nimport \"" + imports + "tokenserver/observe\""},
			want:   `a package of layer "controllers" imports tokenserver/observe`,
		},
		"the server imports the controllers": {
			reason: "as above",
			files:  map[string]string{"tokenserver/a.go": "package tokenserver\nimport \"" + imports + "controllers\""},
			want:   `a package of layer "server" imports controllers`,
		},
		"anybody imports a test's package": {
			reason: "what is for tests is not for production",
			files:  map[string]string{"cmd/a.go": "package cmd\nimport \"" + imports + "test/controlplane\""},
			want:   `a package of layer "cmd" imports test/controlplane of layer "tools"`,
		},
		"a package that nobody put into a layer": {
			reason: "a new package has to be thought about",
			files:  map[string]string{"tokenserver/util/a.go": "package util"},
			want:   "tokenserver/util: the package is in no layer",
		},
		"a pure package asks the clock": {
			reason: "time comes in as an argument",
			files:  map[string]string{"tokenserver/token/a.go": "package token\nimport \"time\"\nfunc f() time.Time { return time.Now() }"},
			want:   "tokenserver/token/a.go:3:29: a pure package uses time.Now",
		},
		"a pure package asks the clock under another name": {
			reason: "an alias is no way out, nor is the function as a value",
			files:  map[string]string{"tokenserver/token/a.go": "package token\nimport clock \"time\"\nvar now = clock.Now"},
			want:   "a pure package uses time.Now",
		},
		"a pure package waits": {
			reason: "waiting asks the clock too",
			files:  map[string]string{"tokenserver/token/a.go": "package token\nimport \"time\"\nfunc f() { <-time.After(1) }"},
			want:   "a pure package uses time.After",
		},
		"a pure package may parse times": {
			reason: "that asks no clock",
			files:  map[string]string{"tokenserver/token/a.go": "package token\nimport \"time\"\nvar day, err = time.ParseDuration(\"24h\")"},
		},
		"a pure package has an init function": {
			reason: "an import must do nothing",
			files:  map[string]string{"tokenserver/scope/a.go": "package scope\nfunc init() {}"},
			want:   "a pure package has an init function",
		},
		"a pure package may have a method called init": {
			reason: "nothing calls it by itself",
			files:  map[string]string{"tokenserver/scope/a.go": "package scope\ntype t struct{}\nfunc (t) init() {}"},
		},
		"a pure package has a variable without a value": {
			reason: "somebody will set it",
			files:  map[string]string{"tokenserver/scope/a.go": "package scope\nvar cache map[string]int"},
			want:   "a pure package has the variable cache, which is set later",
		},
		"a pure package changes a variable from another file": {
			reason: "state between calls is a global",
			files: map[string]string{
				"tokenserver/scope/a.go": "package scope\nvar cache = map[string]int{}",
				"tokenserver/scope/b.go": "package scope\nfunc f() { cache[\"a\"] = 1 }",
			},
			want: "tokenserver/scope/b.go:2:12: a pure package changes its variable cache",
		},
		"a pure package counts": {
			reason: "as above",
			files:  map[string]string{"tokenserver/scope/a.go": "package scope\nvar n = 0\nfunc f() { n++ }"},
			want:   "a pure package changes its variable n",
		},
		"a pure package gives a variable away": {
			reason: "whoever has the address can change it",
			files:  map[string]string{"tokenserver/scope/a.go": "package scope\nvar n = 0\nfunc f() *int { return &n }"},
			want:   "a pure package changes its variable n",
		},
		"a pure package may have errors, tables and local variables": {
			reason: "what nobody changes is a constant",
			files: map[string]string{"tokenserver/scope/a.go": "package scope\nimport \"errors\"\nvar ErrA = errors.New(\"a\")\n" +
				"var table = map[string]int{\"a\": 1}\nfunc f() int { table := map[string]int{}; table[\"b\"] = 2; return table[\"b\"] }"},
		},
		"tests, built things and other modules are not looked at": {
			reason: "they are not the project's packages",
			files: map[string]string{
				"tokenserver/scope/a_test.go": "package scope\nimport \"net/http\"\nfunc init() {}",
				"bin/a.go":                    "package junk\nimport \"" + imports + "nowhere\"",
				"hack/tools/go.mod":           "module x",
				"hack/tools/a.go":             "package tools\nimport \"" + imports + "nowhere\"",
				"api/v1alpha1/testdata/a.go":  "package junk\nimport \"net/http\"",
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for file, text := range c.files {
				tree[file] = &fstest.MapFile{Data: []byte(text)}
			}
			found, err := check(tree)
			if err != nil {
				t.Fatalf("check: %v", err)
			}
			got := strings.Join(found, "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%s: got %q, want %q", c.reason, got, c.want)
			}
		})
	}
}
