package policy

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/estate"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// company compiles the first n policies of package estate.
func company(n int) []*Policy {
	policies := make([]*Policy, 0, n)
	for i := range n {
		policies = append(policies, companyPolicy(i))
	}
	return policies
}

func companyPolicy(i int) *Policy {
	tenants, platforms := estate.Policy(i)
	if tenants != nil {
		p, problems := CompileAccessPolicy(tenants)
		mustCompile(problems)
		return p
	}
	p, problems := CompileClusterAccessPolicy(platforms)
	mustCompile(problems)
	return p
}

func mustCompile(problems []Problem) {
	if len(problems) > 0 {
		panic(fmt.Sprint(problems))
	}
}

func rules(typ, name string, actions ...v1alpha1.Action) []v1alpha1.Rule {
	return []v1alpha1.Rule{{Type: typ, Names: []v1alpha1.ResourceName{v1alpha1.ResourceName(name)}, Actions: actions}}
}

func everyNamespace(string) bool { return true }

// companyRequest is one with five principals: a user and four groups.
func companyRequest(n int) Request {
	team := fmt.Sprintf("team-%d", n/8)
	return Request{
		Caller: caller.Caller{
			Username: caller.ServiceAccountUser(team, "ci"),
			Groups:   append(caller.ServiceAccountGroups(team), "corp:"+team),
			Method:   caller.MethodServiceAccount,
		},
		Audience: "registry.example.com",
		Resource: Resource{Type: "repository", Name: team + "/app-1/image"},
		Actions:  []string{"pull", "push"},
		SourceIP: netip.MustParseAddr("10.1.2.3"),
		Time:     time.Unix(1_800_000_000, 0),
		Admits:   everyNamespace,
	}
}

var sizes = []int{100, 10_000, 100_000}

func BenchmarkDecide(b *testing.B) {
	for _, n := range sizes {
		x, req := NewIndex(company(n)), companyRequest(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := x.Decide(req); len(d.Granted) != 2 {
					b.Fatal(d)
				}
			}
		})
	}
}

// BenchmarkDecideScattered asks about another team each time, so that little of the index is in the processor's caches.
func BenchmarkDecideScattered(b *testing.B) {
	for _, n := range sizes {
		x := NewIndex(company(n))
		requests := make([]Request, 4096)
		for i := range requests {
			requests[i] = companyRequest(i * 7919 % n)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				x.Decide(requests[i%len(requests)])
				i++
			}
		})
	}
}

func BenchmarkDecideAnonymous(b *testing.B) {
	for _, n := range sizes {
		x, req := NewIndex(company(n)), companyRequest(n)
		req.Caller = caller.Anonymous()
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.Decide(req)
			}
		})
	}
}

func BenchmarkDecidePlaceholder(b *testing.B) {
	x := NewIndex([]*Policy{companyWith("${subject.namespace}/**")})
	req := companyRequest(100)
	b.ReportAllocs()
	for b.Loop() {
		if d := x.Decide(req); len(d.Granted) != 2 {
			b.Fatal(d)
		}
	}
}

func BenchmarkDecideExpression(b *testing.B) {
	p, problems := CompileClusterAccessPolicy(&v1alpha1.ClusterAccessPolicy{Spec: v1alpha1.ClusterAccessPolicySpec{
		PolicySpec: v1alpha1.PolicySpec{
			Subjects: []v1alpha1.Subject{{Kind: v1alpha1.SubjectGroup, Name: "system:authenticated"}},
			Rules:    rules("repository", "**", "*"),
			When:     &v1alpha1.When{Expression: "subject.groups.exists(g, g.startsWith('corp:'))"},
		},
	}})
	mustCompile(problems)
	x, req := NewIndex([]*Policy{p}), companyRequest(100)
	b.ReportAllocs()
	for b.Loop() {
		if d := x.Decide(req); len(d.Granted) != 2 {
			b.Fatal(d)
		}
	}
}

func companyWith(name string) *Policy {
	p, problems := CompileClusterAccessPolicy(&v1alpha1.ClusterAccessPolicy{Spec: v1alpha1.ClusterAccessPolicySpec{
		PolicySpec: v1alpha1.PolicySpec{
			Subjects: []v1alpha1.Subject{{Kind: v1alpha1.SubjectGroup, Name: "system:authenticated"}},
			Rules:    rules("repository", name, "*"),
		},
	}})
	mustCompile(problems)
	return p
}

func BenchmarkNewIndex(b *testing.B) {
	for _, n := range sizes {
		policies := company(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			before := heap()
			var x *Index
			for b.Loop() {
				x = NewIndex(policies)
			}
			after := heap()
			b.ReportMetric((float64(after)-float64(before))/(1<<20), "MiB-retained")
			runtime.KeepAlive(x)
		})
	}
}

// BenchmarkApply replaces one policy, of each sort in turn: one of 25,000 that all speak of system:authenticated, too.
func BenchmarkApply(b *testing.B) {
	for _, n := range sizes {
		policies := company(n)
		x := NewIndex(policies)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				at := i * 7919 % n
				next := companyPolicy(at)
				x = x.Apply([]Change{{Old: policies[at], New: next}})
				policies[at] = next
				i++
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		companyPolicy(i % 100_000)
		i++
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkDecideHostile asks about names that 20 policies as hostile as may be try to make slow.
func BenchmarkDecideHostile(b *testing.B) {
	cases := map[string]struct{ pattern, name string }{
		"globs":        {"*x%d", strings.Repeat("a", 200)},
		"tails":        {"**/*a*b/%d", strings.Repeat("aaaaaaa/", 30) + "b"},
		"tails-behind": {"**/%da*/*a*a", strings.Repeat("aaaaaaa/", 29) + "b/aa"},
	}
	for name, c := range cases {
		var objects []object
		for i := range 20 {
			objects = append(objects, wide(1, maxScanned, c.pattern, i*maxScanned))
		}
		x, req := index(objects), request(as(caller.Caller{Username: "u0"}), ask("repository", "team-a/"+c.name, "pull"))
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				x.Decide(req)
			}
		})
	}
}
