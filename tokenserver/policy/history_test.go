package policy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// world is a set of policies that changes, and the index that follows it.
type world struct {
	objects  []object
	compiled []*Policy
	index    *Index
}

// change draws a batch of changes: policies that come, go, are replaced, or several of that for one policy.
func (w *world) change(t *rapid.T, step int) {
	var changes []Change
	for i := range rapid.IntRange(1, 4).Draw(t, "changes") {
		label := fmt.Sprintf("%d-%d", step, i)
		at := rapid.IntRange(-2, len(w.objects)-1).Draw(t, "at")
		if at < 0 {
			o, p := drawCompiled(t, label)
			w.objects, w.compiled = append(w.objects, o), append(w.compiled, p)
			changes = append(changes, Change{New: p})
			continue
		}
		old := w.compiled[at]
		if rapid.Bool().Draw(t, "goes") {
			w.objects, w.compiled = slices.Delete(w.objects, at, at+1), slices.Delete(w.compiled, at, at+1)
			changes = append(changes, Change{Old: old})
			continue
		}
		o, p := drawCompiled(t, label)
		w.objects[at], w.compiled[at] = o, p
		changes = append(changes, Change{Old: old, New: p})
	}
	w.index = w.index.Apply(changes)
}

func drawCompiled(t *rapid.T, label string) (object, *Policy) {
	o := drawObject(t, label)
	p, problems := o.compile()
	o.problems = problems
	return o, p
}

// TestIndexDependsOnThePoliciesAlone holds that an index that was made by changes decides as one that was made from
// nothing, and that the indexes which it was made of, which requests may still be reading, go on to decide as before.
func TestIndexDependsOnThePoliciesAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type moment struct {
			index   *Index
			objects []object
		}
		var w world
		var past []moment
		for step := range rapid.IntRange(1, 8).Draw(t, "steps") {
			w.change(t, step)
			past = append(past, moment{w.index, slices.Clone(w.objects)})
		}
		for range 10 {
			req := drawRequest(t)
			for i, m := range past {
				if diff := cmp.Diff(naiveDecide(m.objects, req), m.index.Explain(req), cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("index %d of %d, policies %+v\nrequest %+v\n%s", i, len(past), m.objects, req, diff)
				}
			}
		}
		if got := w.index.Len(); got != len(w.objects) {
			t.Fatalf("%d policies, Len says %d", len(w.objects), got)
		}
	})
}

// TestNothingStaysOfWhatHasGone holds that an index does not grow by changes.
func TestNothingStaysOfWhatHasGone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w world
		for step := range rapid.IntRange(1, 6).Draw(t, "steps") {
			w.change(t, step)
		}
		var gone []Change
		for _, p := range w.compiled {
			gone = append(gone, Change{Old: p})
		}
		empty := w.index.Apply(gone)
		if !empty.users.empty() || !empty.groups.empty() || empty.everyone != nil || empty.Len() != 0 {
			t.Fatalf("left: %+v", empty)
		}
	})
}

// TestManyStarsAtOnePlace goes past the number at which globs are found by a table.
func TestManyStarsAtOnePlace(t *testing.T) {
	const n = 4 * fewKeys
	starred := func(i int) object { return allow(on("repository", fmt.Sprintf("x%d-*/y", i), "pull")) }
	var policies []*Policy
	var x *Index
	for i := range n {
		p, _ := starred(i).compile()
		policies = append(policies, p)
		x = x.Apply([]Change{{New: p}})
	}
	granted := func(x *Index, i int) bool {
		return len(x.Decide(request(ask("repository", fmt.Sprintf("x%d-a/y", i), "pull"))).Granted) == 1
	}
	full, all := x, slices.Clone(policies)
	for _, gone := range []int{0, n - 1, n / 2, 1, n - 2} {
		x = x.Apply([]Change{{Old: policies[gone]}})
		policies[gone] = nil
		for i := range n {
			if got, want := granted(x, i), policies[i] != nil; got != want {
				t.Fatalf("after %d went: %d is granted: %v, want %v", gone, i, got, want)
			}
			if !granted(full, i) {
				t.Fatalf("the index that was there before lacks %d", i)
			}
		}
	}
	// Another future of the same past.
	for i, p := range all {
		if granted(full.Apply([]Change{{Old: p}}), i) {
			t.Errorf("%d did not go", i)
		}
	}
}

// TestExtrasAndBrokenDeniesComeAndGo is about what the generated policies do not have.
func TestExtrasAndBrokenDeniesComeAndGo(t *testing.T) {
	broken := func(namespace string) *Policy {
		p, _ := object{namespace: namespace, name: "deny", spec: deny(on("", "x", "pull")).spec}.compile()
		return p
	}
	offline := func(name string, lifetime v1alpha1.Duration) *Policy {
		o := &v1alpha1.ClusterAccessPolicy{Spec: v1alpha1.ClusterAccessPolicySpec{PolicySpec: allow().spec}}
		o.Name, o.Spec.OfflineAccess = name, &v1alpha1.OfflineAccess{MaxLifetime: lifetime}
		p, problems := CompileClusterAccessPolicy(o)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return p
	}
	given, _ := allow().compile()
	tenants, _ := ofTenant().compile()
	policies := []*Policy{
		given, tenants, broken(""), broken("team-a"), offline("a", "1h"), offline("b", "2h"), offline("c", "3h"),
	}
	type facts struct {
		granted int
		offline time.Duration
	}
	look := func(x *Index) facts {
		e, err := x.Entitlements(request())
		if err != nil {
			t.Fatal(err)
		}
		return facts{len(x.Decide(request()).Granted), e.OfflineLifetime}
	}
	// Whatever is there, in whatever order it came and whatever was there before.
	rapid.Check(t, func(t *rapid.T) {
		var x *Index
		var there []*Policy
		var want []facts
		var past []*Index
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			p := rapid.SampledFrom(policies).Draw(t, "policy")
			if at := slices.Index(there, p); at >= 0 {
				there, x = slices.Delete(slices.Clone(there), at, at+1), x.Apply([]Change{{Old: p}})
			} else {
				there, x = append(slices.Clone(there), p), x.Apply([]Change{{New: p}})
			}
			past, want = append(past, x), append(want, look(NewIndex(there)))
		}
		for i, x := range past {
			if diff := cmp.Diff(want[i], look(x), cmp.AllowUnexported(facts{})); diff != "" {
				t.Fatalf("after step %d of %d: %s", i, len(past), diff)
			}
		}
	})
}
