package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

func (o outcomeOf) states() []v1alpha1.KeyState {
	out := []v1alpha1.KeyState{}
	for _, k := range o.Keys {
		var state v1alpha1.KeyState
		_, _ = fmt.Sscan(k, &state)
		out = append(out, state)
	}
	return out
}

// TestEveryFaultAtEveryCall strikes every call of every scenario with every fault, one at a time.
func TestEveryFaultAtEveryCall(t *testing.T) {
	for name, c := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := c.begin(t)
			clean := c.from(t, begin)
			want := c.play(clean, nil)
			if diff := cmp.Diff(slices.Sorted(slices.Values(c.want)), want.states()); diff != "" {
				t.Fatalf("states without a fault (-want +got):\n%s", diff)
			}
			calls := clean.managers[0].calls
			tried, runs := 0, 0
			for n := range calls {
				for _, kind := range faultsOf(calls[n]) {
					tried++
					if slices.Contains(c.not, kind) || tried%oneIn != 0 {
						continue
					}
					w := c.from(t, begin)
					got := c.play(w, map[int]fault{n + 1: kind})
					if struck := w.managers[0].struck; struck != 1 {
						t.Errorf("%s at call %d, %s, struck %d times", kind, n+1, calls[n], struck)
					}
					if c.spares {
						got, want = got.withoutSpares(), want.withoutSpares()
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s at call %d, %s (-without +with):\n%s", kind, n+1, calls[n], diff)
					}
					runs++
				}
			}
			t.Logf("%d calls, %d runs", len(calls), runs)
		})
	}
}

// TestEveryPairOfFaultsAroundTheSwap strikes two calls around the write that makes the standby the key that signs.
func TestEveryPairOfFaultsAroundTheSwap(t *testing.T) {
	for _, name := range []string{"rotation by interval", "the first key, KeyID"} {
		c := scenarios()[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := c.begin(t)
			clean := c.from(t, begin)
			want := c.play(clean, nil)
			calls, tried, runs := clean.managers[0].calls, 0, 0
			for first := range calls {
				for _, one := range pairFaults(calls[first]) {
					for second := first + 1; second < min(first+12, len(calls)+3); second++ {
						for _, other := range []fault{killedAfter, overtaken} {
							if tried++; tried%oneIn != 0 {
								continue
							}
							w := c.from(t, begin)
							got := c.play(w, map[int]fault{first + 1: one, second + 1: other})
							if diff := cmp.Diff(want, got); diff != "" {
								t.Errorf("%s at call %d, %s, and %s at call %d (-without +with):\n%s", one, first+1, calls[first], other, second+1, diff)
							}
							runs++
						}
					}
				}
			}
			t.Logf("%d calls, %d runs", len(calls), runs)
		})
	}
}

// pairFaults are the faults that leave the most different states behind.
func pairFaults(c call) []fault {
	if c.writes {
		return []fault{lostAnswer, killedAfter, overtaken}
	}
	return []fault{refusal}
}

// TestManagerKilledAtAnyPointConverges kills the manager on a real API server, after each write of the main scenarios; one
// that starts with empty memory goes on to the same keys. The other points, faults and scenarios are those of
// TestEveryFaultAtEveryCall, in memory: TestMemoryIsLikeAnAPIServer is why that counts.
func TestManagerKilledAtAnyPointConverges(t *testing.T) {
	b := newKeyBench(t, "killed")
	tenant := b.o.Namespace + "-tenant"
	if err := plane.CreateNamespace(t.Context(), tenant, nil); err != nil {
		t.Fatal(err)
	}
	allow(t, b.o, tenant, mayPublish)
	as, ok := b.r.client.(client.WithWatch)
	if !ok {
		t.Fatal("the client does not watch")
	}
	all := scenarios()
	all["a copy is added and taken away"] = scenario{
		act: []step{copies(tenant), copies()}, want: []v1alpha1.KeyState{active, published},
	}
	names := b
	for _, name := range []string{
		"the first key", "rotation by interval", "revocation of the key that signs", "a lost Secret", "a copy is added and taken away",
	} {
		c := all[name]
		t.Run(name, func(t *testing.T) {
			b := b.in(t)
			run := func(faults map[int]fault) (outcomeOf, []call) {
				w := newWorld(t, plane.Client, as, b.o, names.name(), harnessEpoch)
				w.within = []string{b.o.Namespace, tenant}
				w.start()
				c.prepare(w)
				got := c.play(w, faults).renamed(w.name.Name)
				calls := w.managers[0].calls
				for _, o := range w.state().objects() {
					if err := client.IgnoreNotFound(plane.Client.Delete(t.Context(), o)); err != nil {
						t.Fatal(err)
					}
				}
				return got, calls
			}
			want, calls := run(nil)
			if diff := cmp.Diff(slices.Sorted(slices.Values(c.want)), want.states()); diff != "" {
				t.Fatalf("states without a fault (-want +got):\n%s", diff)
			}
			runs := 0
			for n, made := range calls {
				if !made.writes {
					continue
				}
				got, _ := run(map[int]fault{n + 1: killedAfter})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("killed after call %d, %s (-without +with):\n%s", n+1, made, diff)
				}
				runs++
			}
			t.Logf("%d calls, %d runs", len(calls), runs)
		})
	}
}

// renamed makes outcomes of SigningKeys with different names comparable.
func (o outcomeOf) renamed(name string) outcomeOf {
	for _, lines := range [][]string{o.Published, o.Places} {
		for i := range lines {
			lines[i] = strings.ReplaceAll(lines[i], name, "NAME")
		}
	}
	return o
}
