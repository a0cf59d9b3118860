package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// requestsBench is a collector with the rights of the manager. What others have left is not its own: it reads one namespace.
type requestsBench struct {
	*requestsCollector
	clock     *clocktesting.FakePassiveClock
	namespace string
}

// oneNamespace reads what is in one namespace only.
type oneNamespace struct {
	client.Reader
	name string
}

func (r oneNamespace) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return r.Reader.List(ctx, list, append(slices.Clone(opts), client.InNamespace(r.name))...)
}

func newRequestsBench(t *testing.T, name string) requestsBench {
	t.Helper()
	o := testOptions(t, name)
	c := managerClient(t, o)
	clock := clocktesting.NewFakePassiveClock(time.Now())
	reader := oneNamespace{plane.Client, tenant(t, name, nil)}
	return requestsBench{&requestsCollector{sweeper: sweeperOf(t, c), reader: reader, live: c, clock: clock, Options: o}, clock, name}
}

// there are the names of the requests that are stored.
func (b requestsBench) there(t *testing.T) (names []string) {
	t.Helper()
	var list v1alpha1.PermissionRequestList
	if err := plane.Client.List(t.Context(), &list, client.InNamespace(b.namespace)); err != nil {
		t.Fatal(err)
	}
	for _, q := range list.Items {
		names = append(names, q.Name)
	}
	return names
}

func TestRequestsAreCollectedWhenTheyAreOver(t *testing.T) {
	b := newRequestsBench(t, "preq-collected")
	const day = 24 * time.Hour
	start := time.Now()
	r, deleted := album(b.namespace, "there", "preq.example.com"), album(b.namespace, "deleted", "preq.example.com")
	create(t, r, deleted)
	for name, status := range map[string]string{
		"approved":       `{"state":"Approved"}`,
		"denied-later":   fmt.Sprintf(`{"state":"Denied","decidedAt":%q}`, v1alpha1.NewDateTime(start.Add(10*day))),
		"denied-seen":    `{"state":"Denied","conditions":[` + deniedAt(start.Add(20*day)) + `]}`,
		"denied-unknown": `{"state":"Denied"}`,
		"undecided":      `{"decidedBy":"nobody"}`,
	} {
		q := asks(name, r, "view")
		create(t, q)
		decide(t, q, status)
	}
	orphan, another := asks("orphan", deleted, "view"), asks("another", r, "view")
	another.Spec.Resource.UID = "one-that-was"
	create(t, orphan, another)
	decide(t, orphan, `{"state":"Approved"}`)
	if err := plane.Client.Delete(t.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	start = time.Now() // all have been made by then
	all := []string{"another", "approved", "denied-later", "denied-seen", "denied-unknown", "orphan", "undecided"}
	steps := []struct {
		reason string
		after  time.Duration
		want   []string
	}{
		{"nothing at once: the resource may be one that the cache has not seen", 0, all},
		{"those whose resource is gone, also if another has its name", recordGrace + b.ClockSkew + 2*time.Second,
			[]string{"approved", "denied-later", "denied-seen", "denied-unknown", "undecided"}},
		{"none before its time", 30 * day, []string{"approved", "denied-later", "denied-seen", "denied-unknown", "undecided"}},
		{"what nobody decided", 30*day + b.ClockSkew + 2*time.Second, []string{"approved", "denied-later", "denied-seen", "denied-unknown"}},
		{"what was denied, by when that was said", 40*day + b.ClockSkew + 2*time.Second, []string{"approved", "denied-seen", "denied-unknown"}},
		{"or seen", 50*day + b.ClockSkew + 2*time.Second, []string{"approved", "denied-unknown"}},
		{"an approval stays, and so does what nobody can date", 1000 * day, []string{"approved", "denied-unknown"}},
	}
	for _, step := range steps {
		b.clock.SetTime(start.Add(step.after))
		if _, _, err := b.collect(t.Context()); err != nil {
			t.Fatalf("%s: %v", step.reason, err)
		}
		if diff := cmp.Diff(step.want, b.there(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.reason, diff)
		}
	}
}

func deniedAt(at time.Time) string {
	return fmt.Sprintf(`{"type":"Ready","status":"True","reason":"Denied","message":"m","lastTransitionTime":%q}`, v1alpha1.NewDateTime(at))
}

// TestARequestWhoseResourceTheCacheHasNotSeenStays has a reader that is behind: the API server itself has the last word.
func TestARequestWhoseResourceTheCacheHasNotSeenStays(t *testing.T) {
	b := newRequestsBench(t, "preq-behind")
	r := album(b.namespace, "new", "preq.example.com")
	create(t, r)
	create(t, asks("asked", r, "view"))
	b.reader = withoutResources{b.reader}
	b.clock.SetTime(time.Now().Add(time.Hour))
	if n, _, err := b.collect(t.Context()); n != 0 || err != nil {
		t.Errorf("%d collected, %v", n, err)
	}
	if diff := cmp.Diff([]string{"asked"}, b.there(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// withoutResources is a cache that has not seen a ProtectedResource.
type withoutResources struct{ client.Reader }

func (r withoutResources) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if _, ok := list.(*v1alpha1.ProtectedResourceList); ok {
		return nil
	}
	return r.Reader.List(ctx, list, opts...)
}

// TestARequestThatIsDecidedMeanwhileStays has the owner approve in the moment in which it is collected.
func TestARequestThatIsDecidedMeanwhileStays(t *testing.T) {
	b := newRequestsBench(t, "preq-meanwhile")
	r := album(b.namespace, "there", "preq.example.com")
	create(t, r)
	q := asks("asked", r, "view")
	create(t, q)
	inner, ok := b.client.(client.WithWatch)
	if !ok {
		t.Fatal("the client of the test cannot be broken")
	}
	b.client = interceptor.NewClient(inner, interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			decide(t, q, `{"state":"Approved"}`)
			return c.Delete(ctx, o, opts...)
		},
	})
	b.clock.SetTime(time.Now().Add(undecidedStays + time.Hour))
	if n, _, err := b.collect(t.Context()); n != 0 || err != nil {
		t.Errorf("%d collected, %v", n, err)
	}
	if refresh(t, q); q.Status.State != v1alpha1.RequestApproved {
		t.Errorf("it is %s, so that nothing was shown", q.Status.State)
	}
}

// manyRequests is a reader that has more than a page of requests that nobody decided.
type manyRequests struct {
	client.Reader
	n int
}

func (m manyRequests) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if requests, ok := list.(*v1alpha1.PermissionRequestList); ok {
		for i := range m.n {
			q := asks(fmt.Sprintf("q%d", i), album("n", "r", "a"), "view")
			q.CreationTimestamp = metav1.NewTime(noon)
			requests.Items = append(requests.Items, *q)
		}
	}
	return nil
}

func TestRequestsAreCollectedInPages(t *testing.T) {
	deleted := 0
	var fault error
	c := interceptor.NewClient(nil, interceptor.Funcs{
		Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error {
			deleted++
			return fault
		},
	})
	r := &requestsCollector{
		sweeper: sweeperOf(t, c), reader: manyRequests{n: 2*collectPage + 1}, clock: clocktesting.NewFakePassiveClock(noon.AddDate(0, 2, 0)),
	}
	if n, more, err := r.collect(t.Context()); n != collectPage || deleted != collectPage || !more || err != nil {
		t.Errorf("%d of %d deletions, more: %t, %v", n, deleted, more, err)
	}
	deleted, fault = 0, errors.New("the API server is away")
	if n, _, err := r.collect(t.Context()); n != 0 || deleted != collectFailures || !errors.Is(err, fault) {
		t.Errorf("away: %d of %d deletions, %v", n, deleted, err)
	}
	r.reader = noRecords{}
	if _, _, err := r.collect(t.Context()); err == nil || !strings.Contains(err.Error(), "list PermissionRequests") {
		t.Errorf("got %v", err)
	}
	// Whether a resource is gone cannot be found out.
	r.reader, r.live = manyRequests{n: 1}, noRecords{}
	r.clock = clocktesting.NewFakePassiveClock(noon.Add(time.Hour))
	deleted = 0
	if _, _, err := r.collect(t.Context()); err == nil || deleted > 0 {
		t.Errorf("%d deletions, %v", deleted, err)
	}
}

// TestTheManagerCollectsRequests runs all of the manager under its own rights.
func TestTheManagerCollectsRequests(t *testing.T) {
	o := testOptions(t, "preq-manager")
	managerClient(t, o)
	namespace := tenant(t, "preq-manager", nil)
	r := album(namespace, "there", "preq.example.com")
	create(t, r)
	orphan, kept := asks("orphan", r, "view"), asks("kept", r, "view")
	orphan.Spec.Resource.UID = "one-that-was"
	create(t, orphan, kept)
	o.Clock = clocktesting.NewFakePassiveClock(time.Now().Add(time.Hour))
	startManager(t, managerConfig(t, o), o)
	eventually(t, func() error {
		if diff := cmp.Diff([]string{"kept"}, requestsBench{namespace: namespace}.there(t)); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
}
