package door

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	v1alpha1ac "github.com/tokenwright/tokenwright/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

const limit = 30 * time.Second

func start(t *testing.T) *controlplane.Plane {
	t.Helper()
	plane, err := controlplane.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	// The first request for a kind waits until the API server has compiled its rules.
	first := sound()
	first.TypeMeta = metav1.TypeMeta{}
	if err := plane.Client.Create(t.Context(), first, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	return plane
}

// writeStatus writes a status as the manager does.
func writeStatus(ctx context.Context, plane *controlplane.Plane, p *v1alpha1.ClusterAccessPolicy) error {
	return plane.Client.SubResource("status").Apply(ctx, v1alpha1ac.ClusterAccessPolicy(p.Name).WithResourceVersion(p.ResourceVersion).
		WithStatus(v1alpha1ac.PolicyStatus().WithObservedGeneration(p.Generation)), client.FieldOwner("test"), client.ForceOwnership)
}

// quickly is much more than the quarter of a second that a policy takes, and much less than a client waits for.
const quickly = 5 * time.Second

// TestLargestPoliciesAreStoredQuickly stores, changes and reports on the policies that cost the API server most. The
// rules are asked again by each of these: a status write looks at the spec, too.
func TestLargestPoliciesAreStoredQuickly(t *testing.T) {
	plane := start(t)
	for name, p := range largestPolicies() {
		t.Run(name, func(t *testing.T) {
			p.Name, p.TypeMeta = name, metav1.TypeMeta{}
			steps := []struct {
				what string
				do   func() error
			}{
				{"to create it", func() error { return plane.Client.Create(t.Context(), p) }},
				{"to change a name", func() error {
					p.Spec.Rules[63].Names[31] = "x"
					return plane.Client.Update(t.Context(), p)
				}},
				{"to write its status", func() error { return writeStatus(t.Context(), plane, p) }},
			}
			for _, step := range steps {
				began := time.Now()
				if err := step.do(); err != nil {
					t.Fatalf("%s: %v", step.what, err)
				}
				took := time.Since(began)
				t.Logf("%s took %v", step.what, took)
				if took > quickly {
					t.Errorf("%s took %v, which is more than %v", step.what, took, quickly)
				}
			}
		})
	}
}

// TestPoliciesFromBeforeTheRules is an upgrade: what was stored without the rules can still be reported on, labelled, put
// right and deleted, and nothing else.
func TestPoliciesFromBeforeTheRules(t *testing.T) {
	ctx, plane := t.Context(), start(t)
	bad := func() *v1alpha1.ClusterAccessPolicy {
		p := withName(v1alpha1.TypeRepository, "a/***")
		p.TypeMeta, p.Name = metav1.TypeMeta{}, "old"
		p.Spec.Subjects[0].Name = "system:masters"
		p.Spec.Rules[0].Names = append(p.Spec.Rules[0].Names, "a/../b")
		return p
	}
	try := func() error { return plane.Client.Create(ctx, bad(), client.DryRunAll) }
	if err := try(); !apierrors.IsInvalid(err) {
		t.Fatalf("the policy must be refused: %v", err)
	}
	restore, err := plane.WithoutRules(ctx, "clusteraccesspolicies")
	if err != nil {
		t.Fatal(err)
	}
	if err := stage.Eventually(ctx, limit, try); err != nil {
		t.Fatalf("the rules are still in force: %v", err)
	}
	p := bad()
	if err := plane.Client.Create(ctx, p); err != nil {
		t.Fatal(err)
	}
	if err := restore(ctx); err != nil {
		t.Fatal(err)
	}
	if err := stage.Eventually(ctx, limit, func() error {
		if err := try(); !apierrors.IsInvalid(err) {
			return fmt.Errorf("the rules are not back: %w", errors.Join(err, errors.New("admitted")))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}

	if err := writeStatus(ctx, plane, p); err != nil {
		t.Errorf("the manager must be able to say what is wrong with it: %v", err)
	}
	change := func(what, refusal string, how func(*v1alpha1.ClusterAccessPolicy)) {
		t.Helper()
		if err := plane.Client.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			t.Fatal(err)
		}
		next := p.DeepCopy()
		how(next)
		err := plane.Client.Update(ctx, next, client.DryRunAll)
		if refusal == "" && err != nil || refusal != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), refusal)) {
			t.Errorf("%s: got %v, want %q", what, err, refusal)
		}
	}
	change("a label", "", func(p *v1alpha1.ClusterAccessPolicy) { p.Labels = map[string]string{"a": "b"} })
	change("to put it right", "", func(p *v1alpha1.ClusterAccessPolicy) {
		p.Spec.Subjects[0].Name, p.Spec.Rules[0].Names = "alice", []v1alpha1.ResourceName{"a/**"}
	})
	change("to put a part right", "spec.rules[0].names", func(p *v1alpha1.ClusterAccessPolicy) {
		p.Spec.Rules[0].Names = []v1alpha1.ResourceName{"a/**", "a/../b"}
	})
	change("another bad name", "spec.rules[0].names", func(p *v1alpha1.ClusterAccessPolicy) {
		p.Spec.Rules[0].Names = append(p.Spec.Rules[0].Names, "a//b")
	})
	if err := plane.Client.Delete(ctx, p); err != nil {
		t.Errorf("it must be deletable: %v", err)
	}
}
