package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// expensive costs most of what one expression may: with a caller of 1,000 groups some 9,000 units.
const expensive = "subject.groups.all(g, g != 'x' && g != 'y')"

func rich() caller.Caller {
	c := alice()
	for i := range 1000 {
		c.Groups = append(c.Groups, fmt.Sprintf("g%d", i))
	}
	return c
}

func TestBudgetOfExpressions(t *testing.T) {
	named := func(name string) change { return func(o *object) { o.name = name } }
	many := func(n int, of func(i int) object) []object {
		var list []object
		for i := range n {
			list = append(list, of(i))
		}
		return list
	}
	dear := func(i int) change { return cel(fmt.Sprintf("%s || action == 'x%d'", expensive, i)) }
	cases := map[string]struct {
		policies []object
		want     []string
	}{
		"one expensive expression":                         {[]object{allow(dear(0))}, []string{"pull", "push"}},
		"an expression that costs too much allows nothing": {[]object{allow(cel(expensive + " && " + expensive + " && " + expensive))}, nil},
		"an expression that costs too much denies": {
			[]object{allow(), deny(cel("!(" + expensive + " && " + expensive + " && " + expensive + ")"))}, nil,
		},
		"an allow past the budget does not match": {append(
			many(20, func(i int) object {
				return deny(dear(i), cel(fmt.Sprintf("!(%s) && action == 'x%d'", expensive, i)), named(fmt.Sprintf("a%02d", i)))
			}),
			allow(cel("true"), named("z")),
		), nil},
		"a deny past the budget matches": {append(
			many(20, func(i int) object {
				return allow(on("repository", "team-a/**", "pull"), dear(i), named(fmt.Sprintf("a%02d", i)))
			}),
			allow(named("y")), deny(cel("false"), named("z")),
		), nil},
		"a tenant cannot spend the platform's budget": {append(
			many(50, func(i int) object { return ofTenant(dear(i), named(fmt.Sprintf("a%02d", i))) }), allow(cel("true"), named("z")),
		), []string{"pull", "push"}},
		"a tenant cannot spend it for a deny of the platform's either": {append(
			many(50, func(i int) object { return ofTenant(dear(i), named(fmt.Sprintf("a%02d", i))) }),
			allow(), deny(cel("false"), named("z")),
		), []string{"pull", "push"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, o := range c.policies {
				if _, problems := o.compile(); len(problems) > 0 {
					t.Fatal(problems)
				}
			}
			req := request(as(rich()))
			if diff := cmp.Diff(c.want, index(c.policies).Decide(req).Granted); diff != "" {
				t.Error(diff)
			}
			slices.Reverse(c.policies)
			if diff := cmp.Diff(c.want, index(c.policies).Decide(req).Granted); diff != "" {
				t.Errorf("the order matters: %s", diff)
			}
		})
	}
}

// TestWorkIsBounded asks for the names and with the policies that would make a careless matcher take for ever.
func TestWorkIsBounded(t *testing.T) {
	var objects []object
	for i := range 500 {
		objects = append(objects,
			allow(on("repository", fmt.Sprintf("**/a/**/a/**/a%d/**", i), "pull")),
			allow(on("repository", fmt.Sprintf("*a*/*/**/x%d", i), "pull")),
			allow(on("repository", fmt.Sprintf("*a*a*a*%d", i), "pull")),
			allow(on("repository", fmt.Sprintf("${subject.extra.k}/**/${subject.extra.k}/x%d", i), "pull")))
	}
	c := alice()
	c.Extra = map[string][]string{}
	for i := range 1000 {
		c.Extra["k"] = append(c.Extra["k"], strings.Repeat("a", i%7+1))
	}
	x, start := index(objects), time.Now()
	for _, name := range []string{
		strings.Repeat("a/", 31) + "a", strings.Repeat("a", 256), strings.Repeat("a/", 100_000), strings.Repeat("/", 100_000),
		strings.Repeat("a", 1_000_000), strings.Repeat("aaaaaaa/", 31) + "b",
	} {
		x.Decide(request(as(c), ask("repository", name, "pull")))
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestManyActions(t *testing.T) {
	req := request()
	req.Actions = nil
	for i := range 1000 {
		req.Actions = append(req.Actions, fmt.Sprintf("a%03d", i))
	}
	x := index([]object{allow(on("repository", "**", "*")), deny(on("repository", "**", "a063"))})
	if got := x.Decide(req).Granted; len(got) != 63 || got[62] != "a062" {
		t.Errorf("got %d actions", len(got))
	}
}

func TestEachDenyOfEveryoneCounts(t *testing.T) {
	nobody := to("Group", "system:nobody")
	x := index([]object{allow(), deny(nobody, on("repository", "**", "push")), deny(nobody, on("repository", "**", "pull"))})
	if got := x.Decide(request()).Granted; len(got) > 0 {
		t.Errorf("granted %v", got)
	}
}

func TestNilIndexDeniesAll(t *testing.T) {
	var x *Index
	if d := x.Explain(request()); len(d.Granted) > 0 || x.Len() != 0 {
		t.Errorf("got %+v", d)
	}
	if e, err := x.Entitlements(request()); err != nil || e.OfflineLifetime != 0 || len(e.Claims) > 0 {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestLenCountsBrokenPolicies(t *testing.T) {
	if got := index([]object{allow(), allow(on("repository", "//", "pull"))}).Len(); got != 2 {
		t.Errorf("got %d", got)
	}
}

func TestPickedActionsCannotGrow(t *testing.T) {
	req := request(ask("repository", "team-a/app", "delete", "pull", "push"))
	got := index([]object{allow(on("repository", "**", "pull"))}).Decide(req).Granted
	if _ = append(got, "everything"); req.Actions[2] != "push" {
		t.Errorf("appending to what is granted wrote into the request: %v", req.Actions)
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	objects := []object{
		allow(), ofTenant(), deny(on("repository", "x/**", "*")), allow(on("repository", "${subject.namespace}/**", "pull")),
		allow(on("repository", "**/app", "*"), from("10.0.0.0/8")), allow(on("repository", "*/a*", "pull"), audience("registry.example.com")),
	}
	x, req := index(objects), request()
	if n := testing.AllocsPerRun(100, func() { x.Decide(req) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestConcurrentUse(t *testing.T) {
	x := index([]object{allow(cel("subject.groups.exists(g, g.startsWith('system:'))")), ofTenant(), deny(on("repository", "team-a/${subject.extra.k}", "push"))})
	want := x.Explain(request())
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 200 {
				if diff := cmp.Diff(want, x.Explain(request())); diff != "" {
					t.Error(diff)
					return
				}
			}
		})
	}
	wait.Wait()
}

func TestEntitlements(t *testing.T) {
	value := func(text string) v1alpha1.ClaimValue { return v1alpha1.ClaimValue{Raw: []byte(text)} }
	policy := func(name string, change func(*v1alpha1.ClusterAccessPolicySpec)) *Policy {
		o := &v1alpha1.ClusterAccessPolicy{Spec: v1alpha1.ClusterAccessPolicySpec{PolicySpec: sound("").spec}}
		o.Name, o.Spec.Rules = name, nil
		change(&o.Spec)
		p, problems := CompileClusterAccessPolicy(o)
		if len(problems) > 0 && !strings.HasPrefix(name, "broken") {
			t.Fatal(problems)
		}
		return p
	}
	offline := func(name string, lifetime v1alpha1.Duration, nonExpiring v1alpha1.Permission, w *v1alpha1.When) *Policy {
		return policy(name, func(s *v1alpha1.ClusterAccessPolicySpec) {
			s.OfflineAccess, s.When = &v1alpha1.OfflineAccess{MaxLifetime: lifetime, NonExpiring: nonExpiring}, w
		})
	}
	claims := func(name, text string, w *v1alpha1.When) *Policy {
		return policy(name, func(s *v1alpha1.ClusterAccessPolicySpec) {
			s.Claims, s.When = []v1alpha1.Claim{{Name: "prvd", Value: value(text)}}, w
		})
	}
	june := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	untilJune := &v1alpha1.When{NotAfter: "2026-06-01T00:00:00Z"}
	one := map[string]string{"prvd": `{"a":1,"b":[1.0]}`}
	cases := map[string]struct {
		policies []*Policy
		want     Entitlements
		claims   map[string]string
		err      string
	}{
		"nothing":                             {},
		"a lifetime":                          {policies: []*Policy{offline("a", "1h", "", nil)}, want: Entitlements{OfflineLifetime: time.Hour}},
		"the longest lifetime":                {policies: []*Policy{offline("a", "1h", "", nil), offline("b", "3h", "", nil), offline("c", "2h", "Allowed", nil)}, want: Entitlements{OfflineLifetime: 3 * time.Hour, NonExpiring: true}},
		"a lifetime ends with its policy":     {policies: []*Policy{offline("a", "9000h", "Allowed", untilJune)}, want: Entitlements{OfflineLifetime: june.Sub(request().Time)}},
		"a lifetime behind a false one":       {policies: []*Policy{offline("a", "1h", "", &v1alpha1.When{Expression: "subject.method == 'password'"})}},
		"a lifetime behind one that fails":    {policies: []*Policy{offline("a", "1h", "", &v1alpha1.When{Expression: "subject.extra.k[0] == 'a'"})}},
		"a lifetime of a policy that expired": {policies: []*Policy{offline("a", "1h", "", &v1alpha1.When{NotAfter: "2026-01-01T00:00:00Z"})}},
		"a claim":                             {policies: []*Policy{claims("a", ` { "b": [1.0], "a": 1 } `, nil)}, claims: one},
		"the same claim from two":             {policies: []*Policy{claims("a", `{"b":[1.0],"a":1}`, nil), claims("b", `{"a":1, "b":[1.0]}`, untilJune)}, claims: one},
		"a claim that ends":                   {policies: []*Policy{claims("a", `{"b":[1.0],"a":1}`, untilJune)}, claims: one, want: Entitlements{NotAfter: june}},
		"two values":                          {policies: []*Policy{claims("b", `1`, nil), claims("a", `2`, nil)}, err: `conflicting values for claim "prvd" in ClusterAccessPolicies "a" and "b"`},
		"two values, one behind a false one":  {policies: []*Policy{claims("b", `1`, nil), claims("a", `2`, &v1alpha1.When{Expression: "audience == 'x'"})}, claims: map[string]string{"prvd": "1"}},
		"a claim of a policy that is broken":  {policies: []*Policy{claims("broken", `{`, nil)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				got, err := NewIndex(c.policies).Entitlements(request())
				if err != nil && err.Error() != c.err || err == nil && c.err != "" {
					t.Fatalf("got %v, want %q", err, c.err)
				}
				var texts map[string]string
				for claim, raw := range got.Claims {
					if texts == nil {
						texts = map[string]string{}
					}
					texts[claim] = string(raw)
				}
				if diff := cmp.Diff(c.claims, texts); diff != "" {
					t.Error(diff)
				}
				got.Claims = nil
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
				slices.Reverse(c.policies)
			}
		})
	}
}
