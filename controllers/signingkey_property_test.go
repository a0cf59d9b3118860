package controllers

import (
	"context"
	"flag"
	"strconv"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestTheOracleObjectsToNothing draws lives of a SigningKey, always the same ones; with -rapid.seed others, with
// -rapid.checks more of them.
func TestTheOracleObjectsToNothing(t *testing.T) {
	settle := func(name, value string) {
		given := false
		flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
		if !given {
			if err := flag.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	settle("rapid.seed", "1")
	settle("rapid.checks", strconv.Itoa(100/oneIn))
	settle("rapid.nofailfile", "true")
	rapid.Check(t, func(draw *rapid.T) {
		if objections, said := live(draw, nil); len(objections) > 0 {
			draw.Fatalf("%s\n%s", strings.Join(objections, "\n"), strings.Join(said, "\n"))
		}
	})
}

// TestTheOracleObjectsToWhatIsBroken draws lives in worlds that are broken on purpose: an oracle that objects to nothing
// there would show nothing anywhere.
func TestTheOracleObjectsToWhatIsBroken(t *testing.T) {
	cases := map[string]struct {
		breaks func(*world)
		want   string
	}{
		"the manager takes max-staleness for zero": {
			breaks: func(w *world) {
				w.acks = false // else a swap waits for a server that is cut off
				w.believed = func(o Options) Options {
					o.MaxStaleness = 0
					return o
				}
			},
			want: "invariant 2",
		},
		"the clocks of two managers are an hour apart": {
			breaks: func(w *world) { w.managers[0].offset, w.managers[1].offset = 0, time.Hour },
			want:   "invariant 1",
		},
		"updates without a version": {
			breaks: func(w *world) { w.bend = unversioned },
			want:   "invariant",
		},
		"a ConfigMap that is said to be written and is not": {
			breaks: func(w *world) { w.bend = unpublished },
			want:   "invariant 1",
		},
		"a manager that does not see the Leases of servers": {
			breaks: func(w *world) { w.bend = leaseless },
			want:   "counts as published",
		},
		"servers that never stop to sign": {
			breaks: func(w *world) { w.tireless = true },
			want:   "invariant 5",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lives := rapid.Custom(func(draw *rapid.T) []string {
				objections, _ := live(draw, c.breaks)
				return objections
			})
			for seed := range 150 {
				if objections := strings.Join(lives.Example(seed), "\n"); strings.Contains(objections, c.want) {
					t.Logf("objects in life %d: %s", seed, strings.SplitN(objections, "\n", 2)[0])
					return
				}
			}
			t.Errorf("the oracle saw nothing of %s", c.want)
		})
	}
}

// unversioned overwrites whatever is there.
func unversioned(_ *world, c client.WithWatch) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			o.SetResourceVersion("")
			return c.Update(ctx, o, opts...)
		},
	})
}

// unpublished says that ConfigMaps are written, and does nothing.
func unpublished(_ *world, c client.WithWatch) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			if _, swallowed := o.(*corev1ac.ConfigMapApplyConfiguration); swallowed {
				return nil
			}
			return c.Apply(ctx, o, opts...)
		},
	})
}

// leaseless sees no Leases.
func leaseless(_ *world, c client.WithWatch) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, leases := list.(*coordinationv1.LeaseList); leases {
				return nil
			}
			return c.List(ctx, list, opts...)
		},
	})
}
