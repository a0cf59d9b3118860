package policy

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// wide makes a tenant's policy of so many users and of names in so many rules of 32; "%d" in the name is replaced by the
// number of the name, counted from first.
func wide(users, names int, name string, first int) object {
	o := object{namespace: "team-a", name: fmt.Sprint(first), spec: v1alpha1.PolicySpec{Effect: v1alpha1.EffectAllow}}
	for i := range users {
		o.spec.Subjects = append(o.spec.Subjects, v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: fmt.Sprintf("u%d", i)})
	}
	for i := range names {
		if i%32 == 0 {
			o.spec.Rules = append(o.spec.Rules, v1alpha1.Rule{Type: "repository", Actions: []v1alpha1.Action{"pull"}})
		}
		r := &o.spec.Rules[i/32]
		r.Names = append(r.Names, v1alpha1.ResourceName(strings.ReplaceAll("team-a/"+name, "%d", fmt.Sprint(first+i))))
	}
	return o
}

// ofManyTypes has one rule for each of so many types, with so many names each.
func ofManyTypes(users, types, names int) object {
	o := wide(users, 0, "", 0)
	for i := range types {
		r := v1alpha1.Rule{Type: fmt.Sprintf("t%d", i), Actions: []v1alpha1.Action{"read"}}
		for j := range names {
			r.Names = append(r.Names, v1alpha1.ResourceName(fmt.Sprintf("n%d", j)))
		}
		o.spec.Rules = append(o.spec.Rules, r)
	}
	return o
}

const fifteen = "%d/a/a/a/a/a/a/a/a/a/a/a/a/a/a"

func TestTooLarge(t *testing.T) {
	tooLarge := Problem{Reason: v1alpha1.ReasonTooLarge, Path: "spec.rules"}
	sameUser := wide(64, 2048, "%d", 0)
	for i := range sameUser.spec.Subjects {
		sameUser.spec.Subjects[i].Name = "alice"
	}
	cases := map[string]struct {
		policy object
		want   []Problem
	}{
		"a large policy that people write":       {wide(64, 64, "%d/b/c", 0), nil},
		"one user and each name the schema lets": {wide(1, 2048, "%d/a/a/a/a/a", 0), nil},
		"as much as may be":                      {wide(64, 192, "%d", 0), nil},
		"a name too many":                        {wide(64, 193, "%d", 0), []Problem{tooLarge}},
		"the most that the schema lets through":  {wide(64, 2048, fifteen, 0), []Problem{tooLarge}},
		"many types":                             {ofManyTypes(64, 64, 32), []Problem{tooLarge}},
		"one user many times is one user":        {sameUser, nil},
		"globs":                                  {wide(1, 128, "*x%d", 0), nil},
		"a glob too many":                        {wide(1, 129, "*x%d", 0), []Problem{tooLarge}},
		"an inner ** too many":                   {wide(1, 129, "**/%d", 0), []Problem{tooLarge}},
		"a placeholder too many":                 {wide(1, 129, "${subject.username}/%d", 0), []Problem{tooLarge}},
		"** at the end is looked up":             {wide(1, 2048, "%d/**", 0), nil},
		"whole segments are looked up":           {wide(1, 2048, "*/%d/*", 0), nil},
		"too much of both":                       {wide(64, 2048, "*x%d/**/y", 0), []Problem{tooLarge, tooLarge}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, got := c.policy.compile()
			if diff := cmp.Diff(c.want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Message" }, cmp.Ignore())); diff != "" {
				t.Error(diff, got)
			}
		})
	}
}

// TestSubjectsOfNATSAreLookedUp holds that ">", the usual end of a subject, is none of the names that are compared one
// by one.
func TestSubjectsOfNATSAreLookedUp(t *testing.T) {
	o := wide(1, 2048, "%d", 0)
	o.namespace = ""
	for i := range o.spec.Rules {
		o.spec.Rules[i].Type, o.spec.Rules[i].Actions = v1alpha1.TypeNATS, []v1alpha1.Action{"publish"}
		for j := range o.spec.Rules[i].Names {
			o.spec.Rules[i].Names[j] = v1alpha1.ResourceName(fmt.Sprintf("n%d.>", 32*i+j))
		}
	}
	if _, problems := o.compile(); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestTooLargeFailsClosed(t *testing.T) {
	huge := func(namespace string, changes ...change) object {
		o := wide(64, 2048, fifteen, 0)
		o.namespace = namespace
		for _, c := range changes {
			c(&o)
		}
		return o
	}
	member := caller.Caller{Username: "u7", Groups: []string{"system:authenticated"}}
	own := ask("repository", "team-a/0"+strings.TrimPrefix(fifteen, "%d"), "pull")
	cases := map[string]struct {
		policies []object
		request  Request
		want     []string
	}{
		"an allow grants nothing":                        {[]object{huge("team-a")}, request(as(member), own), nil},
		"an allow of the platform grants nothing":        {[]object{huge("")}, request(as(member), own), nil},
		"a deny denies what it names":                    {[]object{ofTenant(), huge("team-a", denies)}, request(as(member), own), nil},
		"a deny denies all of the type in its namespace": {[]object{ofTenant(), huge("team-a", denies)}, request(as(member), ask("repository", "team-a/other", "pull")), nil},
		"a deny keeps to its actions":                    {[]object{ofTenant(), huge("team-a", denies)}, request(as(member), ask("repository", "team-a/other", "push")), []string{"push"}},
		"a deny keeps to its subjects":                   {[]object{ofTenant(), huge("team-a", denies)}, request(own), []string{"pull"}},
		"a tenant's deny leaves the platform's grants":   {[]object{allow(), huge("team-a", denies)}, request(as(member), own), []string{"pull"}},
		"a deny of the platform denies everywhere":       {[]object{allow(on("repository", "**", "pull")), huge("", denies)}, request(as(member), ask("repository", "team-b/x", "pull")), nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, index(c.policies).Decide(c.request).Granted); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestIndexOfOnePolicyIsBounded builds the policies that cost the most memory for what they may hold, and some that may
// hold less. Without a bound the first took 180 MB, and three of them the server's life.
func TestIndexOfOnePolicyIsBounded(t *testing.T) {
	refused := wide(64, 2048, fifteen, 0)
	denied := wide(64, 2048, fifteen, 0)
	denied.spec.Effect = v1alpha1.EffectDeny
	types := ofManyTypes(64, 64, 32)
	types.spec.Effect = v1alpha1.EffectDeny
	cases := map[string]object{
		"the most that the schema lets through": refused,
		"a deny that is refused":                denied,
		"a deny of many types that is refused":  types,
		"short names":                           wide(64, 192, "%d", 0),
		"long names":                            wide(64, 12, "%d/a/a/a/a/a/a/a/a/a/a/a/a/a/b", 0),
		"whole segments":                        wide(64, 38, "%d/*/*/*/*", 0),
		"globs in each segment":                 wide(64, 48, "%d*/a*/a*/a*", 0),
		"inner stars, each at a place":          wide(64, 64, "%d/**/x", 0),
		"inner stars at one place":              wide(64, 64, "**/%d/x", 0),
		"placeholders":                          wide(64, 128, "${subject.username}", 0),
		"many types":                            ofManyTypes(64, 64, 3),
		"one user with many names":              wide(1, 2048, "%d/a/a/a/a/a", 0),
	}
	const bound = 4 << 20
	for name, o := range cases {
		t.Run(name, func(t *testing.T) {
			p, _ := o.compile()
			before := heap()
			x := NewIndex([]*Policy{p})
			if after := heap(); after > before && after-before > bound {
				t.Errorf("took %d bytes", after-before)
			}
			runtime.KeepAlive(x)
			runtime.KeepAlive(p)
		})
	}
}

// TestManyGlobsAtOnePlace builds what used to take time by the square of its size, for each change of any policy by
// anybody.
func TestManyGlobsAtOnePlace(t *testing.T) {
	var objects []object
	for i := range 600 {
		objects = append(objects, wide(1, maxScanned, "*x%d", i*maxScanned))
	}
	policies := compileAll(t, objects)
	start := time.Now()
	x := NewIndex(policies)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	req := request(as(caller.Caller{Username: "u0"}), ask("repository", fmt.Sprintf("team-a/yx%d", 599*maxScanned), "pull"))
	if got := x.Decide(req).Granted; !slices.Equal(got, []string{"pull"}) {
		t.Errorf("granted %v", got)
	}
}

// TestScannedNamesOfOnePolicyAreBounded counts what a request may have to be compared with one by one.
func TestScannedNamesOfOnePolicyAreBounded(t *testing.T) {
	for _, name := range []string{"*x%d", "**/*a*b/%d", "${subject.username}/%d", "a*/b*/c*/d%d*", "*x%d/**/y", "%d*/*/a*"} {
		var objects []object
		for _, n := range []int{maxScanned, 2048} {
			objects = append(objects, wide(1, n, name, n))
		}
		// At most four segments of a name can have stars.
		if got := scannedUnder(index(objects)); got > 4*maxScanned {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// TestRepeatedNamesAreOne holds that a rule that says the same many times is met once.
func TestRepeatedNamesAreOne(t *testing.T) {
	x := index([]object{wide(1, 32, "b", 0), wide(1, 32, "b/**", 1), wide(1, 32, "*", 2)})
	f := findings{explain: true}
	req := request(as(caller.Caller{Username: "u0"}), ask("repository", "team-a/b", "pull"))
	d := decision{req: &req, actions: req.Actions, findings: &f}
	d.walkSubject(x.subject(principal{user, "u0"}), d.place([]string{"team-a", "b"}))
	if len(f.matches) != 3 {
		t.Errorf("met %d rules, want 3", len(f.matches))
	}
}

// TestProblemsAreFew holds that a message for each action of each rule for each subject is not made.
func TestProblemsAreFew(t *testing.T) {
	o := wide(64, 64*32, "a", 0)
	for i := range o.spec.Subjects {
		o.spec.Subjects[i] = v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: "system:unauthenticated"}
	}
	for i := range o.spec.Rules {
		o.spec.Rules[i].Actions = slices.Repeat([]v1alpha1.Action{"push"}, 16)
	}
	if _, problems := o.compile(); len(problems) > 65 {
		t.Errorf("%d problems", len(problems))
	}
}

func compileAll(t *testing.T, objects []object) []*Policy {
	t.Helper()
	policies := make([]*Policy, 0, len(objects))
	for _, o := range objects {
		p, problems := o.compile()
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		policies = append(policies, p)
	}
	return policies
}

func scannedUnder(x *Index) int {
	n := 0
	for _, s := range x.users.all {
		for _, t := range s.types.all {
			n += scannedBelow(t.cluster)
			for _, root := range t.tenants.all {
				n += scannedBelow(root)
			}
		}
	}
	return n
}

func scannedBelow(at *node) int {
	if at == nil {
		return 0
	}
	n := 0
	for _, next := range at.literal.all {
		n += scannedBelow(next)
	}
	if at.wild == nil {
		return n
	}
	n += len(at.wild.globs) + len(at.wild.tails) + scannedBelow(at.wild.any)
	for _, g := range at.wild.globs {
		n += scannedBelow(g.next)
	}
	return n
}
