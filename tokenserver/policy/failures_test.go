package policy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func TestFailures(t *testing.T) {
	const fails, tooDear = "subject.extra['ref'].exists(r, r == 'x')", expensive + " && " + expensive + " && " + expensive
	platform := func(name string) Ref { return Ref{Kind: KindClusterAccessPolicy, Name: name} }
	named := func(o object, name string) object { o.name = name; return o }
	counts := func(e, c, b int) map[FailureReason]int {
		return map[FailureReason]int{FailureError: e, FailureCostLimit: c, FailureBudget: b}
	}
	many := func(n int, of func(i int) object) []object {
		var list []object
		for i := range n {
			list = append(list, of(i))
		}
		return list
	}
	cases := map[string]struct {
		reason   string
		policies []object
		counts   map[FailureReason]int
		named    []Failure
	}{
		"every expression answers": {
			reason: "no is an answer", policies: []object{allow(cel("false")), deny(cel("true"))}, counts: counts(0, 0, 0),
		},
		"an expression that does not compile": {
			reason: "the status says so; nothing is evaluated", policies: []object{deny(cel("nope"))}, counts: counts(0, 0, 0),
		},
		"an expression that fails": {
			reason:   "it is asked once for all actions, since it does not read the action",
			policies: []object{named(allow(cel(fails)), "a")}, counts: counts(1, 0, 0),
			named: []Failure{{Policy: platform("a"), Reason: FailureError}},
		},
		"an expression that fails for each action": {
			reason:   "it is asked for each action, and named once",
			policies: []object{named(deny(cel("action != 'x' && "+fails)), "a")}, counts: counts(2, 0, 0),
			named: []Failure{{Policy: platform("a"), Reason: FailureError}},
		},
		"an expression past its own limit": {
			reason:   "what it costs is another matter than what it asks",
			policies: []object{named(allow(cel(tooDear)), "a")}, counts: counts(0, 1, 0),
			named: []Failure{{Policy: platform("a"), Reason: FailureCostLimit}},
		},
		"an expression past the budget": {
			reason: "it names who spent it, who can be another",
			policies: append(many(4, func(i int) object {
				return named(allow(cel(fmt.Sprintf("%s && action != 'x%d'", expensive, i))), fmt.Sprintf("a%d", i))
			}), named(deny(cel("false")), "z")),
			// Two actions cost some 7,000 each, and the third policy passes 30,000 with its first.
			counts: counts(0, 0, 4),
			named: []Failure{
				{Policy: platform("a2"), Reason: FailureBudget, Dearest: platform("a0")},
				{Policy: platform("a3"), Reason: FailureBudget, Dearest: platform("a0")},
				{Policy: platform("z"), Reason: FailureBudget, Dearest: platform("a0")},
			},
		},
		"a tenant's expression": {
			reason: "its namespace is part of its name", policies: []object{named(ofTenant(cel(fails)), "a")}, counts: counts(1, 0, 0),
			named: []Failure{{Policy: Ref{Kind: KindAccessPolicy, Namespace: "team-a", Name: "a"}, Reason: FailureError}},
		},
		"one that does not speak of the name": {
			reason: "only rules that match are evaluated", policies: []object{allow(on("repository", "x", "pull"), cel(fails))},
			counts: counts(0, 0, 0),
		},
		"more than can be named": {
			reason: "all count, the first eight are named",
			policies: many(20, func(i int) object {
				return named(allow(cel(fmt.Sprintf("%s && audience != 'x%d'", fails, i))), fmt.Sprintf("a%02d", i))
			}),
			counts: counts(20, 0, 0),
			named: func() (list []Failure) {
				for i := range maxFailures {
					list = append(list, Failure{Policy: platform(fmt.Sprintf("a%02d", i)), Reason: FailureError})
				}
				return list
			}(),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				budget := NewBudget()
				index(c.policies).Decide(request(as(rich()), func(r *Request) { r.Budget = budget }))
				got := map[FailureReason]int{}
				for _, reason := range FailureReasons() {
					got[reason] = budget.Failed(reason)
				}
				if diff := cmp.Diff(c.counts, got); diff != "" {
					t.Errorf("%s: counts (-want +got):\n%s", c.reason, diff)
				}
				if diff := cmp.Diff(c.named, budget.Failures()); diff != "" {
					t.Errorf("%s: named (-want +got):\n%s", c.reason, diff)
				}
				slices.Reverse(c.policies) // the order of the policies must not matter
			}
		})
	}
}

func TestFailuresOfEntitlements(t *testing.T) {
	o := &v1alpha1.ClusterAccessPolicy{Spec: v1alpha1.ClusterAccessPolicySpec{PolicySpec: sound("").spec}}
	o.Name, o.Spec.OfflineAccess = "offline", &v1alpha1.OfflineAccess{MaxLifetime: "1h"}
	o.Spec.When = &v1alpha1.When{Expression: "subject.extra['ref'][0] == 'x'"}
	p, problems := CompileClusterAccessPolicy(o)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	budget := NewBudget()
	if _, err := NewIndex([]*Policy{p}).Entitlements(request(func(r *Request) { r.Budget = budget })); err != nil {
		t.Fatal(err)
	}
	want := []Failure{{Policy: p.Ref(), Reason: FailureError}}
	if diff := cmp.Diff(want, budget.Failures()); diff != "" || budget.Failed(FailureError) != 1 {
		t.Errorf("%d failures (-want +got):\n%s", budget.Failed(FailureError), diff)
	}
}
