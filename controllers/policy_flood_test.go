package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// statusWrites remembers when which status was written, by the path of the request.
type statusWrites struct {
	mutex sync.Mutex
	at    map[string][]time.Time
}

// watched returns a configuration whose writes of a status are remembered.
func watched(rc *rest.Config) (*rest.Config, *statusWrites) {
	w := &statusWrites{at: map[string][]time.Time{}}
	rc = rest.CopyConfig(rc)
	rc.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/status") && r.Method != http.MethodGet {
				w.mutex.Lock()
				w.at[r.URL.Path] = append(w.at[r.URL.Path], time.Now())
				w.mutex.Unlock()
			}
			return next.RoundTrip(r)
		})
	})
	return rc, w
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// of returns the times of all writes whose path contains the part, in order, and the most of one object.
func (w *statusWrites) of(part string) (times []time.Time, most int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for path, at := range w.at {
		if strings.Contains(path, part) {
			times, most = append(times, at...), max(most, len(at))
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times, most
}

// busiest returns the most writes within a second.
func busiest(times []time.Time) int {
	most := 0
	for i := range times {
		j, _ := slices.BinarySearchFunc(times[i:], times[i].Add(time.Second), time.Time.Compare)
		most = max(most, j)
	}
	return most
}

// flood creates so many objects, eight at a time.
func flood(t *testing.T, n int, object func(int) client.Object) {
	t.Helper()
	var wait sync.WaitGroup
	failed := make(chan error, n)
	for worker := range 8 {
		wait.Go(func() {
			for i := worker; i < n; i += 8 {
				failed <- plane.Client.Create(context.Background(), object(i))
			}
		})
	}
	wait.Wait()
	for range n {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
}

// TestManyPoliciesAtOnce has as many policies wait for their status as take several seconds to write. It shows how often
// the manager writes, that it writes each status once, that a SigningKey does not wait behind the policies, and that a
// restart writes nothing.
func TestManyPoliciesAtOnce(t *testing.T) {
	const n, namespace = 1500, "flood"
	o := testOptions(t, "flood")
	if err := plane.CreateNamespace(t.Context(), namespace, nil); err != nil {
		t.Fatal(err)
	}
	flood(t, n, func(i int) client.Object {
		return accessPolicy(namespace, fmt.Sprintf("p%04d", i), v1alpha1.ResourceName(namespace+"/**"))
	})
	t.Cleanup(func() {
		if err := plane.Client.DeleteAllOf(context.Background(), &v1alpha1.AccessPolicy{}, client.InNamespace(namespace)); err != nil {
			t.Error(err)
		}
	})
	rc, writes := watched(plane.Config)
	stop := startManager(t, rc, o)
	written := func() int { times, _ := writes.of("/namespaces/" + namespace + "/"); return len(times) }
	eventually(t, func() error {
		if written() < 100 {
			return errors.New("it has not begun")
		}
		return nil
	})

	key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: "late"}}
	key.Spec.Audiences = []v1alpha1.Audience{"flood.example.com"}
	began := time.Now()
	create(t, key)
	eventually(t, func() error {
		if refresh(t, key); key.Status.ObservedGeneration != key.Generation {
			return errors.New("nobody has looked at the key")
		}
		return nil
	})
	took, left := time.Since(began), n-written()
	t.Logf("the key had a status after %v, with %d policies to go", took, left)
	if left < n/10 {
		t.Errorf("only %d policies were left when the key had a status: this shows nothing", left)
	}
	if took > 2*time.Second {
		t.Errorf("the key waited for its status for %v, behind the policies", took)
	}

	eventually(t, func() error {
		if got := written(); got < n {
			return fmt.Errorf("%d of %d are written", got, n)
		}
		return nil
	})
	times, most := writes.of("/namespaces/" + namespace + "/")
	all, _ := writes.of("")
	t.Logf("%d writes in %v, at most %d within a second", len(times), times[len(times)-1].Sub(times[0]), busiest(all))
	// A tenth more than is promised, because what waited for its turn may be sent a little later than its turn.
	if got := busiest(all); got > (StatusWritesPerSecond+statusBurst)*11/10 {
		t.Errorf("%d writes within a second, and at most %d are promised", got, StatusWritesPerSecond)
	}
	if most != 1 {
		t.Errorf("one status was written %d times", most)
	}

	stop()
	before := reconciled(t, "accesspolicy")
	rc, writes = watched(plane.Config)
	startManager(t, rc, o)
	eventually(t, func() error {
		if got := reconciled(t, "accesspolicy") - before; got < n {
			return fmt.Errorf("%d of %d were looked at", got, n)
		}
		return nil
	})
	if got := written(); got != 0 {
		t.Errorf("a restart wrote %d statuses", got)
	}
}

// TestPoliciesAreHeldWithoutWhatNobodyReads is about memory: kubectl keeps a copy of each object in an annotation.
func TestPoliciesAreHeldWithoutWhatNobodyReads(t *testing.T) {
	full := metav1.ObjectMeta{
		Name: "p", Namespace: "n", UID: "u", Generation: 3, ResourceVersion: "7",
		Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "{}"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}, Finalizers: []string{"f"}, OwnerReferences: []metav1.OwnerReference{{Name: "o"}},
	}
	want := metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u", Generation: 3, ResourceVersion: "7"}
	options := CacheOptions("system")
	seen := 0
	for object, by := range options.ByObject {
		switch p := object.(type) {
		case *v1alpha1.AccessPolicy:
			p.ObjectMeta, p.Status.ObservedGeneration = full, 3
		case *v1alpha1.ClusterAccessPolicy:
			p.ObjectMeta, p.Status.ObservedGeneration = full, 3
		default:
			continue
		}
		seen++
		out, err := by.Transform(object)
		if err != nil {
			t.Fatal(err)
		}
		got := out.(client.Object)
		if diff := cmp.Diff(want, metaOf(got)); diff != "" {
			t.Errorf("%T (-want +got):\n%s", object, diff)
		}
		if observedGeneration(got) != 3 {
			t.Errorf("%T: the status is gone, so that every restart would write it", object)
		}
	}
	if seen != 2 {
		t.Errorf("saw %d kinds of policies", seen)
	}
}

func metaOf(o client.Object) metav1.ObjectMeta {
	if p, ok := o.(*v1alpha1.AccessPolicy); ok {
		return p.ObjectMeta
	}
	return o.(*v1alpha1.ClusterAccessPolicy).ObjectMeta
}
