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
	t.Logf("took %v, spent %v", time.Since(start), budget.spent)
	for t1, spent := range budget.spent {
		if spent < maxCost || spent > maxCost+2*expr.MaxCost {
			t.Errorf("tier %d spent %d", t1, spent)
		}
	}
}
