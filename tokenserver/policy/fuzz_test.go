package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// FuzzDecide lets the fuzzer write two of the policies and all that a caller can write. It compares the index with the
// naive matcher, with the reasons, and holds what must be true whatever the policies are.
func FuzzDecide(f *testing.F) {
	for _, name := range []string{"team-a/app", "team-a", "team-a/../x", "users/alice/x", "a//b", "public", "team-a/\x00", "*", "team-a/*", "by/v/x"} {
		f.Add("by/${subject.extra.k}/x", "users/*/secret", name, "pull", "alice", "v", uint8(0))
	}
	f.Add("**/x*/**", "${subject.extra.k}/**", "a/b/x1/c", "*", "a/b", "**", uint8(0))
	f.Add("team-a/***", "team-a/${", "team-a/app", "push", "", "", uint8(1))
	f.Add("a.*.>", "*.b.>", "a.b.c", "publish", "x.y", "b", uint8(3))
	f.Add("https://*", "https://${subject.username}", "https://a/b", "introspect", "a/b", "", uint8(4))
	types := []string{"repository", "album", "registry", "nats", "oauth"}
	f.Fuzz(func(t *testing.T, allowed, denied, name, action, username, value string, n uint8) {
		typ := types[int(n)%len(types)]
		objects := []object{
			ofTenant(), allow(on("repository", "users/${subject.username}/**", "*")), allow(on("repository", "public/**", "pull")),
			{name: "allowed", spec: v1alpha1.PolicySpec{Subjects: sound("").spec.Subjects, Rules: rules(typ, allowed, "*")}},
			{name: "denied", spec: v1alpha1.PolicySpec{Effect: v1alpha1.EffectDeny, Subjects: sound("").spec.Subjects, Rules: rules(typ, denied, "*")}},
			{namespace: "team-a", name: "tenants", spec: v1alpha1.PolicySpec{Subjects: sound("").spec.Subjects, Rules: rules("repository", allowed, "*")}},
		}
		for i := range objects {
			_, objects[i].problems = objects[i].compile()
		}
		c := caller.Caller{Username: username, Groups: []string{"system:authenticated"}, Extra: map[string][]string{"k": {value}}}
		req := request(as(c), ask(typ, name, action, "pull"))
		x := index(objects)
		got := x.Explain(req)
		if diff := cmp.Diff(naiveDecide(objects, req), got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the index differs from the naive matcher (-naive +index):\n%s", diff)
		}
		if diff := cmp.Diff(got.Granted, x.Decide(req).Granted); diff != "" {
			t.Fatalf("Decide differs from Explain: %s", diff)
		}
		odd := slices.Contains(strings.Split(name, "/"), "..") || strings.ContainsAny(name, "*\x00\n") || strings.Contains(name, "//")
		for _, a := range got.Granted {
			if a != action && (a != "pull" && a != "push" && a != "delete") || a == "" || a == "*" && (typ != "registry" || name != "catalog") {
				t.Errorf("granted %q, asked for %q", a, action)
			}
			if odd && typ == "repository" {
				t.Errorf("granted %q of the odd name %q", a, name)
			}
		}
		// What the fuzzer wrote as a Deny takes away, and never gives.
		for _, a := range got.Granted {
			if before := index(append(slices.Clone(objects[:4]), objects[5])).Decide(req).Granted; !slices.Contains(before, a) {
				t.Errorf("the Deny of %q grants %q of %q", denied, a, name)
			}
		}
		// A tenant's name, whatever it is, gives nothing outside of the tenant's namespace.
		if typ == "repository" && !strings.HasPrefix(name, "team-a/") {
			if without := index(objects[1:5]).Decide(req); !slices.Equal(without.Granted, got.Granted) {
				t.Errorf("the tenant's %q reaches %q: %v, without it %v", allowed, name, got.Granted, without.Granted)
			}
		}
	})
}

// FuzzIndex lets the fuzzer choose what the property tests draw: whole sets of policies and requests.
func FuzzIndex(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		objects := drawObjects(t)
		compareWithNaive(t, index(objects), objects, drawRequest(t))
	}))
}
