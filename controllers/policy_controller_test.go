package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// said is what a condition says, without its times.
type said struct{ Status, Reason string }

// conditionsOf returns what the conditions say, by type.
func conditionsOf(conditions []metav1.Condition) map[string]said {
	out := map[string]said{}
	for _, c := range conditions {
		out[c.Type] = said{string(c.Status), c.Reason}
	}
	return out
}

var inForce = map[string]said{"Accepted": {"True", "Accepted"}, "Ready": {"True", "InForce"}}

// broken is what a policy's conditions say when a person has to help.
func broken(reason string) map[string]said {
	return map[string]said{"Accepted": {"False", reason}, "Ready": {"False", reason}, "Stalled": {"True", reason}}
}

// policySpec returns a spec that lets alice pull what has the name.
func policySpec(name v1alpha1.ResourceName) v1alpha1.PolicySpec {
	return v1alpha1.PolicySpec{
		Subjects: []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "alice"}},
		Rules:    []v1alpha1.Rule{{Type: "repository", Names: []v1alpha1.ResourceName{name}, Actions: []v1alpha1.Action{"pull"}}},
	}
}

func accessPolicy(namespace, name string, repository v1alpha1.ResourceName) *v1alpha1.AccessPolicy {
	return &v1alpha1.AccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.AccessPolicySpec{PolicySpec: policySpec(repository)},
	}
}

// settled waits until the status speaks of the object's generation and says what is wanted.
func settled(t *testing.T, o client.Object, status func() v1alpha1.PolicyStatus, want map[string]said) {
	t.Helper()
	eventually(t, func() error {
		refresh(t, o)
		if got := status().ObservedGeneration; got != o.GetGeneration() {
			return fmt.Errorf("observed generation %d, want %d", got, o.GetGeneration())
		}
		if diff := cmp.Diff(want, conditionsOf(status().Conditions)); diff != "" {
			return fmt.Errorf("conditions (-want +got):\n%s", diff)
		}
		return nil
	})
}

func TestAccessPolicyStatusFollowsTheSpec(t *testing.T) {
	startManager(t, plane.Config, testOptions(t, "apol"))
	p := accessPolicy("default", "follows", "default/**")
	create(t, p)
	status := func() v1alpha1.PolicyStatus { return p.Status }
	settled(t, p, status, inForce)

	p.Spec.Rules[0].Names = []v1alpha1.ResourceName{"default/a", "team-b/**"}
	if err := plane.Client.Update(t.Context(), p); err != nil {
		t.Fatalf("update: %v", err)
	}
	settled(t, p, status, broken(v1alpha1.ReasonOutsideNamespace))
	for _, c := range p.Status.Conditions {
		if !strings.Contains(c.Message, "spec.rules[0].names[1]") {
			t.Errorf("the message of %s does not name the field: %q", c.Type, c.Message)
		}
		if c.ObservedGeneration != p.Generation {
			t.Errorf("%s speaks of generation %d, want %d", c.Type, c.ObservedGeneration, p.Generation)
		}
	}

	p.Spec.Rules[0].Names = []v1alpha1.ResourceName{"default/a"}
	if err := plane.Client.Update(t.Context(), p); err != nil {
		t.Fatalf("update: %v", err)
	}
	settled(t, p, status, inForce)
}

func TestAccessPolicyStatusTakenAwayComesBack(t *testing.T) {
	startManager(t, plane.Config, testOptions(t, "apol-wiped"))
	p := accessPolicy("default", "wiped", "default/**")
	create(t, p)
	status := func() v1alpha1.PolicyStatus { return p.Status }
	settled(t, p, status, inForce)
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"status":null}`))
	if err := plane.Client.Status().Patch(t.Context(), p, patch); err != nil {
		t.Fatalf("take the status away: %v", err)
	}
	settled(t, p, status, inForce)
}

func TestClusterAccessPolicyStatusFollowsTheSpec(t *testing.T) {
	startManager(t, plane.Config, testOptions(t, "capol"))
	p := &v1alpha1.ClusterAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "follows"},
		Spec:       v1alpha1.ClusterAccessPolicySpec{PolicySpec: policySpec("**")},
	}
	create(t, p)
	status := func() v1alpha1.PolicyStatus { return p.Status }
	settled(t, p, status, inForce)

	// The API server stores what only the compiler understands.
	for expression, want := range map[string]string{
		"subject.username ==": "must be CEL",
		"subject.username":    "must yield bool, not string",
		"subject.groups.all(a, subject.groups.all(b, subject.groups.all(c, a + b != c)))": "must cost at most",
	} {
		p.Spec.When = &v1alpha1.When{Expression: expression}
		if err := plane.Client.Update(t.Context(), p); err != nil {
			t.Fatalf("update: %v", err)
		}
		settled(t, p, status, broken(v1alpha1.ReasonInvalidExpression))
		if got := p.Status.Conditions[0].Message; !strings.HasPrefix(got, "spec.when.expression: ") || !strings.Contains(got, want) {
			t.Errorf("%s: the message is %q, want the field and %q", expression, got, want)
		}
	}
}

// reconcilerAt returns a reconciler of AccessPolicies that reads from the reader, at a time of its own.
func reconcilerAt(reader client.Reader, now clock.PassiveClock) *policyReconciler[*v1alpha1.AccessPolicy] {
	o := Options{statusLimit: rate.NewLimiter(rate.Inf, 1)}
	return &policyReconciler[*v1alpha1.AccessPolicy]{kind: accessPolicyKind, reader: reader, status: o.statusWriter(plane.Client, "accesspolicy"), clock: now}
}

// TestUnchangedStatusIsNotWritten shows that looking again, later, writes nothing: neither does a restart of the manager.
func TestUnchangedStatusIsNotWritten(t *testing.T) {
	p := accessPolicy("default", "unchanged", "default/**")
	create(t, p)
	now := testingclock.NewFakePassiveClock(time.Now())
	request := ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)}
	var versions []string
	for range 2 {
		if _, err := reconcilerAt(plane.Client, now).Reconcile(t.Context(), request); err != nil {
			t.Fatalf("reconcile: %v", err)
		}
		refresh(t, p)
		versions = append(versions, p.ResourceVersion)
		now.SetTime(now.Now().Add(time.Hour))
	}
	if versions[0] != versions[1] {
		t.Errorf("the second look wrote: resourceVersion went from %s to %s", versions[0], versions[1])
	}
}

// outdatedReader is a cache that still holds what is no more.
type outdatedReader struct {
	client.Reader
	held *v1alpha1.AccessPolicy
}

func (r outdatedReader) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	r.held.DeepCopyInto(o.(*v1alpha1.AccessPolicy))
	return nil
}

// TestStatusOfAnotherObjectIsNotWritten shows that a policy does not get the status of one that had its name before:
// with equal generations nobody could tell that it is not its own.
func TestStatusOfAnotherObjectIsNotWritten(t *testing.T) {
	old := accessPolicy("default", "recreated", "default/**")
	create(t, old)
	held := old.DeepCopy()
	if err := plane.Client.Delete(t.Context(), old); err != nil {
		t.Fatalf("delete: %v", err)
	}
	p := accessPolicy("default", "recreated", "elsewhere/**")
	create(t, p)
	r := reconcilerAt(outdatedReader{held: held}, clock.RealClock{})
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)})
	if err != nil || result.RequeueAfter == 0 {
		t.Errorf("got %v and error %v, want another look and no error", result, err)
	}
	refresh(t, p)
	if meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("the policy reaches outside its namespace and got the status of its predecessor: %v", p.Status)
	}
}

// TestStatusOfADeletedObjectIsNoError shows that a deletion while the manager works is nobody's fault.
func TestStatusOfADeletedObjectIsNoError(t *testing.T) {
	held := accessPolicy("default", "gone", "default/**")
	held.UID, held.Generation = "0", 1
	r := reconcilerAt(outdatedReader{held: held}, clock.RealClock{})
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(held)}); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func TestPolicyConditions(t *testing.T) {
	problem := func(i int) policy.Problem {
		return policy.Problem{
			Reason: v1alpha1.ReasonInvalidName, Path: fmt.Sprintf("spec.rules[%d].names[0]", i), Message: "must not be so",
		}
	}
	accepted := func(problems ...policy.Problem) condition { return policyConditions(problems)[0] }
	cases := map[string]struct {
		reason string
		got    condition
		want   condition
	}{
		"no problem": {
			reason: "the policy is what it says",
			got:    accepted(),
			want:   isTrue("Accepted", "Accepted", "The policy compiles"),
		},
		"one problem": {
			reason: "the field comes first",
			got:    accepted(problem(0)),
			want:   isFalse("Accepted", "InvalidName", "spec.rules[0].names[0]: must not be so"),
		},
		"five problems of two sorts": {
			reason: "the first one gives the reason, the order stays, and the rest is counted",
			got: accepted(policy.Problem{Reason: v1alpha1.ReasonInvalidSubject, Path: "spec.subjects[0]", Message: "must be one"},
				problem(1), problem(2), problem(3), problem(4)),
			want: isFalse("Accepted", "InvalidSubject", "spec.subjects[0]: must be one; spec.rules[1].names[0]: must not be so; "+
				"spec.rules[2].names[0]: must not be so; and 2 more"),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
