package migration

import (
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/manifest"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/review"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// load reads the manifests and the cases of one table.
func load(t *testing.T, table string) (review.Objects, *review.Cases) {
	t.Helper()
	folder := filepath.Join(controlplane.Root(), "test", "migration", "docker_auth")
	text, err := os.ReadFile(filepath.Join(folder, table))
	if err != nil {
		t.Fatal(err)
	}
	cases, err := review.ParseCases(text)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, m := range cases.Manifests {
		paths = append(paths, filepath.Join(folder, m))
	}
	set, problems, err := manifest.Read(manifest.Options{}, paths...)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return review.FromManifests(set, controlplane.SystemNamespace), cases
}

// failures counts the cases that do not hold.
func failures(t *testing.T, o review.Objects, cases *review.Cases) int {
	t.Helper()
	world, failed := review.New(o, false), 0
	for _, c := range cases.Cases {
		r, err := world.Check(c, now)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if !r.Holds() {
			failed++
		}
	}
	return failed
}

// TestEveryRuleHasACase shows that each rewritten rule is needed for a case: taken away, one fails.
func TestEveryRuleHasACase(t *testing.T) {
	for _, table := range []string{"acl_tests.yaml", "labels_tests.yaml"} {
		objects, cases := load(t, table)
		if n := failures(t, objects, cases); n > 0 {
			t.Errorf("%s: %d cases do not hold", table, n)
		}
		for i, p := range objects.ClusterAccessPolicies {
			without := objects
			without.ClusterAccessPolicies = slices.Delete(slices.Clone(objects.ClusterAccessPolicies), i, i+1)
			if failures(t, without, cases) == 0 {
				t.Errorf("%s: without %s all cases hold: it has none", table, p.Name)
			}
		}
	}
}

// entry is an entry of docker_auth's ACL, as far as the first ten rules of its reference have it: globs of path.Match,
// addresses, and a name that holds the account's. An empty field matches anything.
type entry struct {
	account   func(string) bool
	addresses string
	typ, name string
	actions   []string
}

func is(account string) func(string) bool { return func(a string) bool { return a == account } }

func loggedIn(account string) bool { return account != "" }

var reference = []entry{
	{addresses: "127.0.0.0/8", actions: []string{"*"}},
	{addresses: "::1/128", actions: []string{"*"}},
	{addresses: "172.17.0.1/32", actions: []string{"*"}},
	{account: is("admin"), actions: []string{"*"}},
	{account: is("test"), name: "test-*", actions: []string{"*"}},
	{account: is("test")},
	{account: loggedIn, name: "${account}/*", actions: []string{"*"}},
	{account: loggedIn, typ: "registry", name: "catalog", actions: []string{"*"}},
	{account: loggedIn, actions: []string{"pull"}},
	{account: is(""), name: "hello-world", actions: []string{"pull"}},
}

// first decides as docker_auth does: by the first entry that matches.
func first(t *testing.T, account, address, typ, name string, asked []string) []string {
	t.Helper()
	for _, e := range reference {
		pattern := e.name
		if pattern == "${account}/*" {
			pattern = account + "/*"
		}
		matches, err := path.Match(pattern, name)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case e.account != nil && !e.account(account), e.typ != "" && e.typ != typ, e.name != "" && !matches:
			continue
		case e.addresses != "" && !netip.MustParsePrefix(e.addresses).Contains(netip.MustParseAddr(address)):
			continue
		case slices.Equal(e.actions, []string{"*"}):
			return asked
		}
		var granted []string
		for _, a := range asked {
			if slices.Contains(e.actions, a) {
				granted = append(granted, a)
			}
		}
		return granted
	}
	return nil
}

// TestPoliciesDecideAsTheOrderedList compares the policies, which have no order, with the list that they were made from, for
// each combination of who asks, from where, and for what.
func TestPoliciesDecideAsTheOrderedList(t *testing.T) {
	objects, _ := load(t, "acl_tests.yaml")
	world := review.New(objects, false)
	granted, refused := 0, 0
	for _, account := range []string{"", "admin", "test", "alice", "bob", "tester"} {
		for _, address := range []string{"127.0.0.1", "::1", "172.17.0.1", "172.17.0.2", "192.0.2.1", "fd00::1"} {
			for _, repository := range []string{"hello-world", "test-1", "test-1/x", "test/x", "test", "alice/app", "alice/app/x", "alice", "bob/app", "admin/x", "x", "a/hello-world"} {
				for typ, asked := range map[string][]string{"repository": {"delete", "pull", "push"}, "registry": {"*"}} {
					name := repository
					if typ == "registry" {
						name = "catalog"
					}
					user := account
					if user == "" {
						user = "system:anonymous"
					}
					who, err := review.Who{User: user}.Caller()
					if err != nil {
						t.Fatal(err)
					}
					got := world.Ask(policy.Request{
						Caller: who, Audience: "registry.example.com", Resource: policy.Resource{Type: typ, Name: name}, Actions: asked,
						SourceIP: netip.MustParseAddr(address), Time: now,
					}).Granted
					want := first(t, account, address, typ, name, asked)
					if len(want) > 0 {
						granted++
					} else {
						refused++
					}
					if diff := cmp.Diff(want, got); len(want)+len(got) > 0 && diff != "" {
						t.Errorf("%q from %s, %s:%s (-docker_auth +policies):\n%s", account, address, typ, name, diff)
					}
				}
			}
		}
	}
	if granted < 100 || refused < 100 {
		t.Errorf("%d requests granted something and %d nothing: this shows too little", granted, refused)
	}
}

// TestRulesPastTheNinthAreDead shows why the last rules of the list have a table of their own: nobody who is logged in ever
// gets to them.
func TestRulesPastTheNinthAreDead(t *testing.T) {
	if i := slices.IndexFunc(reference, func(e entry) bool {
		return e.account != nil && e.account("anybody") && e.addresses == "" && e.typ == "" && e.name == ""
	}); i != 8 {
		t.Errorf("rule %d is the first that matches everybody who is logged in, not the ninth", i+1)
	}
	objects, _ := load(t, "labels_tests.yaml")
	for _, p := range objects.ClusterAccessPolicies {
		for _, s := range p.Spec.Subjects {
			if s.Kind == v1alpha1.SubjectGroup && s.Name == "system:unauthenticated" {
				t.Errorf("%s speaks of callers who are not logged in: rule 9 does not hide it", p.Name)
			}
		}
	}
}
