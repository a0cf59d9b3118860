package policy

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/policy/expr"
)

func TestBudgetIsSharedByRequests(t *testing.T) {
	named := func(name string) change { return func(o *object) { o.name = name } }
	dear := func(i int) change { return cel(fmt.Sprintf("%s || action == 'x%d'", expensive, i)) }
	shared := func(req *Request) { req.Budget = NewBudget() }
	cases := map[string]struct {
		reason   string
		policies []object
		budget   func(*Request)
		want     [][]string
	}{
		"an allow past it does not match": {
			reason: "two actions cost some 7,000 each; 30,000 last for five actions",
			policies: []object{
				allow(dear(0)),
			},
			budget: shared, want: [][]string{{"pull", "push"}, {"pull", "push"}, {"pull"}, nil},
		},
		"a deny past it matches": {
			reason:   "what cannot be decided is decided against the caller",
			policies: []object{allow(), deny(cel("!(" + expensive + ") && action != ''"))},
			budget:   shared, want: [][]string{{"pull", "push"}, {"pull", "push"}, {"pull"}, nil},
		},
		"what has no expression does not need it": {
			reason:   "the budget is for expressions only",
			policies: []object{allow(), allow(dear(0))},
			budget:   shared, want: [][]string{{"pull", "push"}, {"pull", "push"}, {"pull", "push"}, {"pull", "push"}},
		},
		"a tenant's does not spend the platform's": {
			reason:   "else a tenant could take away what the platform allows",
			policies: []object{ofTenant(dear(0)), allow(cel("true"), named("z"))},
			budget:   shared, want: [][]string{{"pull", "push"}, {"pull", "push"}, {"pull", "push"}, {"pull", "push"}},
		},
		"without one each request has its own": {
			reason:   "a request that stands alone is bounded alone",
			policies: []object{allow(dear(0))},
			budget:   func(*Request) {}, want: [][]string{{"pull", "push"}, {"pull", "push"}, {"pull", "push"}, {"pull", "push"}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			x, req := index(c.policies), request(as(rich()), c.budget)
			var got [][]string
			for i := range c.want {
				decide := x.Decide
				if i%2 == 1 {
					decide = x.Explain
				}
				got = append(got, decide(req).Granted)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestOneTokenIsBounded asks for as much as a token may name, where both tiers have as much to say as they can.
func TestOneTokenIsBounded(t *testing.T) {
	var objects []object
	for i := range 100 {
		for _, text := range []string{
			"%s || action == 'x%d'",
			"subject.groups.all(g, !isIP(g)) && action != 'x%[2]d' && %[1]s",
			"subject.groups.all(g, int(g) == 1 || true) && action != 'x%[2]d' && %[1]s",
		} {
			e := cel(fmt.Sprintf(text, expensive, i))
			objects = append(objects, deny(e), allow(e), ofTenant(e), ofTenant(denies, e))
		}
	}
	x, budget, start := index(objects), NewBudget(), time.Now()
	for range 64 {
		x.Decide(request(as(rich()), ask("repository", "team-a/app", "pull", "push", "delete"),
			func(req *Request) { req.Budget = budget }))
	}
	t.Logf("took %v, spent %d and %d", time.Since(start), budget.platform.spent, budget.tenants.spent)
	for name, spent := range map[string]uint64{"the platform": budget.platform.spent, "the tenant": budget.namespaces["team-a"].spent} {
		if spent < maxCost || spent > maxCost+2*expr.MaxCost {
			t.Errorf("%s spent %d", name, spent)
		}
	}
}

// TestTenantsSpendTheirOwn has a token for resources of many namespaces: the dear expressions of some take nothing from another,
// and all of them together not more than a few could.
func TestTenantsSpendTheirOwn(t *testing.T) {
	in := func(namespace string) change {
		return func(o *object) { o.namespace, o.spec.Rules = namespace, rules("repository", namespace+"/**", "pull") }
	}
	var objects []object
	for n := range 20 {
		for i := range 10 {
			dear := cel(fmt.Sprintf("%s || action == 'x%d'", expensive, i))
			objects = append(objects, ofTenant(dear, in(fmt.Sprint("evil-", n)), func(o *object) { o.name = fmt.Sprint("p", i) }))
		}
	}
	objects = append(objects, ofTenant(cel("action != ''"), in("good")))
	x := index(objects)
	decide := func(budget *Budget, namespace string) []string {
		return x.Decide(request(as(rich()), ask("repository", namespace+"/app", "pull"), func(req *Request) {
			req.Budget, req.Admits = budget, func(string) bool { return true }
		})).Granted
	}
	one := NewBudget()
	for range 10 {
		decide(one, "evil-0")
	}
	if got := decide(one, "good"); len(got) != 1 {
		t.Error("a tenant takes away what another allows")
	}
	all := NewBudget()
	start := time.Now()
	for n := range 20 {
		decide(all, fmt.Sprint("evil-", n))
	}
	t.Logf("took %v, spent %d", time.Since(start), all.tenants.spent)
	if all.tenants.spent < maxTenants || all.tenants.spent > maxTenants+2*expr.MaxCost {
		t.Errorf("all tenants spent %d", all.tenants.spent)
	}
	if got := decide(all, "good"); len(got) != 0 {
		t.Error("there is no bound for all of them")
	}
	if last := all.Failures()[len(all.Failures())-1]; last.Reason != FailureBudget || last.Dearest.Namespace == "" {
		t.Errorf("it does not say what was dear: %+v", last)
	}
}
