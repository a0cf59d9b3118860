package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// TestManyResourcesAtOnce has a tenant claim one uri with as many resources as take several seconds to say so of. It shows how
// often the manager writes, that it writes each status once, that it does not look at the audience for each of them, that the
// resource of another audience does not wait behind them, and that a restart writes nothing. When the holder goes, two statuses
// are written and not all.
func TestManyResourcesAtOnce(t *testing.T) {
	const n = 1500
	o := testOptions(t, "pres-flood")
	namespace := tenant(t, "pres-flood", nil)
	key := &v1alpha1.SigningKey{}
	key.Namespace, key.Name = o.Namespace, "flood"
	key.Spec.Audiences = []v1alpha1.Audience{"pres-flood.example.com", "pres-other.example.com"}
	create(t, key)
	holder := album(namespace, "holder", "pres-flood.example.com", withURIs("/claimed"))
	create(t, holder)
	nextSecond(t, holder)
	flood(t, n, func(i int) client.Object {
		return album(namespace, fmt.Sprintf("r%05d", i), "pres-flood.example.com", withURIs("/claimed"))
	})
	t.Cleanup(func() {
		if err := plane.Client.DeleteAllOf(context.Background(), &v1alpha1.ProtectedResource{}, client.InNamespace(namespace)); err != nil {
			t.Error(err)
		}
	})
	rc, writes := watched(plane.Config)
	before := reconciled(t, protectedResources)
	stop := startManager(t, rc, o)
	written := func() int {
		times, _ := writes.of("/namespaces/" + namespace + "/protectedresources/r")
		return len(times)
	}
	eventually(t, func() error {
		if written() < 100 {
			return errors.New("it has not begun")
		}
		return nil
	})

	late := album(namespace, "late", "pres-other.example.com")
	began := time.Now()
	create(t, late)
	judged(t, late, namespace+"/late", inForce)
	took, left := time.Since(began), n-written()
	t.Logf("a resource of another audience had a status after %v, with %d to go", took, left)
	if left < n/10 {
		t.Errorf("only %d resources were left when the other had a status: this shows nothing", left)
	}
	if took > 3*time.Second {
		t.Errorf("it waited for its status for %v, behind the others", took)
	}

	deadline := time.Now().Add(n / StatusWritesPerSecond * 12 * time.Second)
	for written() < n && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	times, most := writes.of("/namespaces/" + namespace + "/protectedresources/r")
	all, _ := writes.of("")
	looks := reconciled(t, protectedResources) - before
	t.Logf("%d writes in %v, at most %d within a second, %d looks", len(times), times[len(times)-1].Sub(times[0]), busiest(all), int(looks))
	if len(times) != n || most != 1 {
		t.Errorf("%d statuses were written, one of them %d times", len(times), most)
	}
	// A tenth more than is promised, because what waited for its turn may be sent a little later than its turn.
	if got := busiest(all); got > (StatusWritesPerSecond+statusBurst)*11/10 {
		t.Errorf("%d writes within a second, and at most %d are promised", got, StatusWritesPerSecond)
	}
	if looks > n/10 {
		t.Errorf("the audiences were looked at %v times for %d resources", looks, n)
	}

	if err := plane.Client.Delete(t.Context(), holder); err != nil {
		t.Fatal(err)
	}
	heirs := func() (heirs int) {
		var list v1alpha1.ProtectedResourceList
		if err := plane.Client.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			if isReady(&list.Items[i]) && list.Items[i].Name != late.Name {
				heirs++
			}
		}
		return heirs
	}
	eventually(t, func() error {
		if got := heirs(); got != 1 {
			return fmt.Errorf("%d hold the uri", got)
		}
		return nil
	})
	if got := written(); got != n+1 {
		t.Errorf("%d statuses were written because the holder was gone, and one had to be", got-n)
	}

	stop()
	before = reconciled(t, protectedResources)
	rc, writes = watched(plane.Config)
	startManager(t, rc, o)
	eventually(t, func() error {
		if got := reconciled(t, protectedResources) - before; got < 2 {
			return fmt.Errorf("%v of the 2 audiences were looked at", got)
		}
		return nil
	})
	if got := written(); got != 0 {
		t.Errorf("a restart wrote %d statuses", got)
	}
}

func isReady(r *v1alpha1.ProtectedResource) bool {
	return conditionsOf(r.Status.Conditions)[v1alpha1.ConditionReady].Status == "True"
}
