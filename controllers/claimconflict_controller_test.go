package controllers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// claimPolicy gives alice's tokens a value for the claim prvd.
func claimPolicy(name, value string) *v1alpha1.ClusterAccessPolicy {
	return &v1alpha1.ClusterAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ClusterAccessPolicySpec{
			PolicySpec: policySpec("x"),
			Claims:     []v1alpha1.Claim{{Name: "prvd", Value: v1alpha1.ClaimValue{Raw: []byte(value)}}},
		},
	}
}

func inTheWay() map[string]said {
	return map[string]said{
		"Accepted": {"True", "Accepted"}, "Ready": {"True", "InForce"}, "Warning": {"True", "ConflictingClaims"},
	}
}

func TestConflictingClaimsAreWarnedOf(t *testing.T) {
	o := testOptions(t, "claims")
	stop := startManager(t, plane.Config, o)
	a, b := claimPolicy("claims-a", "1"), claimPolicy("claims-b", "2")
	statusOf := func(p *v1alpha1.ClusterAccessPolicy) func() v1alpha1.PolicyStatus {
		return func() v1alpha1.PolicyStatus { return p.Status }
	}
	both := func(want map[string]said) {
		t.Helper()
		settled(t, a, statusOf(a), want)
		settled(t, b, statusOf(b), want)
	}
	create(t, a)
	settled(t, a, statusOf(a), inForce)
	create(t, b)
	both(inTheWay())
	for p, other := range map[*v1alpha1.ClusterAccessPolicy]string{a: "claims-b", b: "claims-a"} {
		c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionWarning)
		want := fmt.Sprintf(`claim "prvd" may have another value by ClusterAccessPolicy %q: a caller of whom both speak gets no token that carries claims`, other)
		if c.Message != want || c.ObservedGeneration != p.Generation {
			t.Errorf("%s: generation %d, message %q, want %d, %q", p.Name, c.ObservedGeneration, c.Message, p.Generation, want)
		}
	}

	// A restart writes nothing: whoever starts does not know yet who is in whose way, and must not say that nobody is.
	stop()
	passes, looks := reconciled(t, "claimconflict"), reconciled(t, "clusteraccesspolicy")
	rc, writes := watched(plane.Config)
	startManager(t, rc, o)
	eventually(t, func() error {
		if reconciled(t, "claimconflict") == passes || reconciled(t, "clusteraccesspolicy") < looks+2 {
			return errors.New("nobody has looked yet")
		}
		return nil
	})
	if times, _ := writes.of("/clusteraccesspolicies/claims-"); len(times) > 0 {
		t.Errorf("a restart wrote %d times", len(times))
	}

	// A status that somebody took away comes back, the warning too.
	if err := plane.Client.Status().Patch(t.Context(), a, client.RawPatch("application/merge-patch+json", []byte(`{"status":null}`))); err != nil {
		t.Fatalf("take the status away: %v", err)
	}
	both(inTheWay())

	// To change one of the two is enough.
	a.Spec.Claims[0].Value.Raw = []byte("2")
	if err := plane.Client.Update(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	both(inForce)
	a.Spec.Claims[0].Value.Raw = []byte("3")
	if err := plane.Client.Update(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	both(inTheWay())
	a.Spec.Claims = nil // a policy without claims looks as if it concerned nobody
	if err := plane.Client.Update(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	both(inForce)
	a.Spec.Claims = claimPolicy("", "3").Spec.Claims
	if err := plane.Client.Update(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	both(inTheWay())
	if err := plane.Client.Delete(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	settled(t, a, statusOf(a), inForce)
}

func TestClaimWarning(t *testing.T) {
	conflict := func(claim string, more int, names ...string) policy.ClaimConflict {
		c := policy.ClaimConflict{Claim: claim, More: more}
		for _, name := range names {
			c.Others = append(c.Others, policy.Ref{Kind: policy.KindClusterAccessPolicy, Name: name})
		}
		return c
	}
	const end = ": a caller of whom both speak gets no token that carries claims"
	cases := map[string]struct {
		reason string
		given  []policy.ClaimConflict
		want   string
	}{
		"nobody": {reason: "there is nothing to warn of"},
		"one": {
			reason: "the claim and the policy are named", given: []policy.ClaimConflict{conflict("a", 0, "p")},
			want: `claim "a" may have another value by ClusterAccessPolicy "p"` + end,
		},
		"some": {
			reason: "those that are not named are counted", given: []policy.ClaimConflict{conflict("a", 2, "p", "q", "r")},
			want: `claim "a" may have another value by ClusterAccessPolicy "p", "q", "r", and 2 more` + end,
		},
		"very many": {
			reason: "a message that counted on would change with each of them", given: []policy.ClaimConflict{conflict("a", policy.MaxMore, "p", "q", "r")},
			want: fmt.Sprintf(`claim "a" may have another value by ClusterAccessPolicy "p", "q", "r", and at least %d more`, policy.MaxMore) + end,
		},
		"several claims": {
			reason: "each is named",
			given:  []policy.ClaimConflict{conflict("a", 0, "p"), conflict("b", 0, "q")},
			want:   `claim "a" may have another value by ClusterAccessPolicy "p"; claim "b" may have another value by ClusterAccessPolicy "q"` + end,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var want []condition
			if c.want != "" {
				want = []condition{isTrue("Warning", "ConflictingClaims", c.want)}
			}
			if diff := cmp.Diff(want, claimWarning(c.given)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestOnlyPoliciesWithClaimsAreLookedAt(t *testing.T) {
	plain, claims, stale := claimPolicy("p", "1"), claimPolicy("p", "1"), claimPolicy("p", "1")
	plain.Spec.Claims, stale.Spec.Claims = nil, nil
	stale.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionWarning, Status: "True"}}
	changed := claims.DeepCopy()
	changed.Generation++
	restored := claims.DeepCopy()
	restored.Spec.Claims[0].Value.Raw = []byte("2")
	labelled := claims.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	reported := claims.DeepCopy()
	reported.Status.ObservedGeneration = 7
	passes := claimsChanged()
	cases := map[string]struct{ got, want bool }{
		"a new policy without claims":          {passes.Create(event.CreateEvent{Object: plain}), false},
		"a new policy with claims":             {passes.Create(event.CreateEvent{Object: claims}), true},
		"a policy that lost its claims":        {passes.Create(event.CreateEvent{Object: stale}), true},
		"a policy without claims that is gone": {passes.Delete(event.DeleteEvent{Object: plain}), false},
		"a policy with claims that is gone":    {passes.Delete(event.DeleteEvent{Object: claims}), true},
		"another spec":                         {passes.Update(event.UpdateEvent{ObjectOld: claims, ObjectNew: changed}), true},
		"another spec of the same generation":  {passes.Update(event.UpdateEvent{ObjectOld: claims, ObjectNew: restored}), true},
		"a label":                              {passes.Update(event.UpdateEvent{ObjectOld: claims, ObjectNew: labelled}), false},
		"the rest of the status":               {passes.Update(event.UpdateEvent{ObjectOld: claims, ObjectNew: reported}), false},
		"a warning that was taken away":        {passes.Update(event.UpdateEvent{ObjectOld: stale, ObjectNew: plain}), true},
	}
	for name, c := range cases {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
}

// TestARestoredPolicyIsCompiledAnew shows that a warning depends on what the policies are: after a restore of etcd another
// spec can have the generation, and the UID, of the one that was compiled before.
func TestARestoredPolicyIsCompiledAnew(t *testing.T) {
	a, b := *claimPolicy("a", "1"), *claimPolicy("b", "2")
	r := &claimConflictReconciler{}
	if got := policy.ClaimConflicts(r.compile([]v1alpha1.ClusterAccessPolicy{a, b})); len(got) != 2 {
		t.Fatalf("got %v, want a conflict of two", got)
	}
	restored := *claimPolicy("b", "1")
	if got := policy.ClaimConflicts(r.compile([]v1alpha1.ClusterAccessPolicy{a, restored})); len(got) != 0 {
		t.Errorf("got %v of policies that agree", got)
	}
}

// TestWarningsAreWrittenInParts shows that a thousand warnings do not keep what comes after from being looked at, that
// nothing is written twice, and that nothing is compiled anew that did not change.
func TestWarningsAreWrittenInParts(t *testing.T) {
	const n = 1000
	objects := make([]client.Object, 0, n)
	for i := range n {
		p := claimPolicy(fmt.Sprintf("p%04d", i), fmt.Sprint(i))
		p.UID, p.Generation = "u", 1
		objects = append(objects, p)
	}
	writes := 0
	c := fake.NewClientBuilder().WithScheme(controlplane.Scheme()).WithObjects(objects...).WithStatusSubresource(&v1alpha1.ClusterAccessPolicy{}).
		WithIndex(&v1alpha1.ClusterAccessPolicy{}, fieldClaims, claimsIndex).WithInterceptorFuncs(countingApplies(&writes)).Build()
	o := Options{statusLimit: rate.NewLimiter(rate.Inf, 1)}
	r := &claimConflictReconciler{reader: c, status: o.statusWriter(c, "claimconflict"), clock: testingclock.NewFakePassiveClock(time.Now())}
	var compiled *policy.Policy
	for pass := 1; pass <= n/warningsAtOnce; pass++ {
		result, err := r.Reconcile(t.Context(), ctrl.Request{})
		if err != nil {
			t.Fatal(err)
		}
		if writes != pass*warningsAtOnce || result.RequeueAfter == 0 {
			t.Fatalf("pass %d: %d writes, next in %v", pass, writes, result.RequeueAfter)
		}
		if compiled != nil && r.compiled["p0000"].policy != compiled {
			t.Fatal("a policy that did not change was compiled anew")
		}
		compiled = r.compiled["p0000"].policy
	}
	if result, err := r.Reconcile(t.Context(), ctrl.Request{}); err != nil || !result.IsZero() || writes != n {
		t.Errorf("got %v, %v and %d writes, want nothing more than %d", result, err, writes, n)
	}
	var last v1alpha1.ClusterAccessPolicy
	if err := c.Get(t.Context(), client.ObjectKey{Name: "p0999"}, &last); err != nil {
		t.Fatal(err)
	}
	if w := meta.FindStatusCondition(last.Status.Conditions, v1alpha1.ConditionWarning); w == nil || !strings.Contains(w.Message, "and at least") {
		t.Errorf("got %+v", last.Status.Conditions)
	}
}
