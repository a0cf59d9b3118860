package controllers

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

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
			clean := from(t, begin)
			want := c.play(clean, nil)
			if diff := cmp.Diff(slices.Sorted(slices.Values(c.want)), want.states()); diff != "" {
				t.Fatalf("states without a fault (-want +got):\n%s", diff)
			}
			calls := clean.managers[0].calls
			runs := 0
			for n := range calls {
				for _, kind := range faultsOf(calls[n]) {
					if slices.Contains(c.not, kind) {
						continue
					}
					w := from(t, begin)
					got := c.play(w, map[int]fault{n + 1: kind})
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
	for _, name := range []string{"rotation by interval", "revocation of the key that signs", "the first key, KeyID", "a lost Secret"} {
		c := scenarios()[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := c.begin(t)
			clean := from(t, begin)
			want := c.play(clean, nil)
			calls, runs := clean.managers[0].calls, 0
			for first := range calls {
				for _, one := range pairFaults(calls[first]) {
					for second := first + 1; second < len(calls)+6; second++ {
						for _, other := range pairFaults(call{writes: true}) {
							w := from(t, begin)
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
