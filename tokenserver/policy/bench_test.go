package policy

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// estate makes n policies as a company would have them: each of many teams has ServiceAccounts that push and groups
// that pull, half of it in AccessPolicies, and everybody may pull what is public.
func estate(n int) []*Policy {
	policies := make([]*Policy, 0, n)
	for i := range n {
		policies = append(policies, estatePolicy(i))
	}
	return policies
}

func estatePolicy(i int) *Policy {
	team := fmt.Sprintf("team-%d", i/4)
	spec := v1alpha1.PolicySpec{}
	switch i % 4 {
	case 0:
		spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectServiceAccount, Namespace: team, Name: "ci"}}
		spec.Rules = rules("repository", team+"/**", "pull", "push")
	case 1:
		spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectGroup, Name: "corp:" + team}}
		spec.Rules = rules("repository", team+"/app-*", "pull")
	case 2:
		spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: fmt.Sprintf("user-%d", i)}}
		spec.Rules = rules("repository", team+"/*/cache", "*")
	default:
		spec.Subjects = []v1alpha1.Subject{{Kind: v1alpha1.SubjectGroup, Name: "system:authenticated"}}
		spec.Rules = rules("repository", team+"/public/**", "pull")
	}
	if i%8 < 4 {
		p, problems := CompileAccessPolicy(&v1alpha1.AccessPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: fmt.Sprintf("p-%d", i)},
			Spec:       v1alpha1.AccessPolicySpec{PolicySpec: spec},
		})
		mustCompile(problems)
		return p
	}
	p, problems := CompileClusterAccessPolicy(&v1alpha1.ClusterAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("p-%d", i)},
		Spec:       v1alpha1.ClusterAccessPolicySpec{PolicySpec: spec},
	})
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

// estateRequest is one with five principals: a user and four groups.
func estateRequest(n int) Request {
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
		x, req := NewIndex(estate(n)), estateRequest(n)
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
		x := NewIndex(estate(n))
		requests := make([]Request, 4096)
		for i := range requests {
			requests[i] = estateRequest(i * 7919 % n)
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
		x, req := NewIndex(estate(n)), estateRequest(n)
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
	x := NewIndex([]*Policy{estateWith("${subject.namespace}/**")})
	req := estateRequest(100)
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
	x, req := NewIndex([]*Policy{p}), estateRequest(100)
	b.ReportAllocs()
	for b.Loop() {
		if d := x.Decide(req); len(d.Granted) != 2 {
			b.Fatal(d)
		}
	}
}

func estateWith(name string) *Policy {
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
		policies := estate(n)
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
		policies := estate(n)
		x := NewIndex(policies)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				at := i * 7919 % n
				next := estatePolicy(at)
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
		estatePolicy(i % 100_000)
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
