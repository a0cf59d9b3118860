package controllers

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// noRecords is a reader that cannot list.
type noRecords struct{ client.Reader }

func (noRecords) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("the API server is away")
}

// TestCollectedRecordsAreCounted has the collector delete, fail to delete, and fail to look.
func TestCollectedRecordsAreCounted(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	counts, err := newRecordMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := newRecordMetrics(registry); err != nil || again != counts {
		t.Fatalf("registered a second time: %v, %v", again, err)
	}
	var fault error
	r := &recordsCollector{
		reader: manyRecords{n: 5}, clock: clocktesting.NewFakePassiveClock(noon.AddDate(0, 1, 0)),
		sweeper: sweeper{counts: counts, limit: rate.NewLimiter(rate.Inf, 1), client: interceptor.NewClient(nil, interceptor.Funcs{
			Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error { return fault },
		})},
	}
	expect := func(when string, collected, failures float64) {
		t.Helper()
		want := map[string]float64{
			"tokenwright_record_collection_failures_total IssuedToken":       failures,
			"tokenwright_record_collection_failures_total PermissionRequest": 0,
			"tokenwright_record_collection_failures_total TokenRevocation":   0,
			"tokenwright_records_collected_total IssuedToken":                collected,
			"tokenwright_records_collected_total PermissionRequest":          0,
			"tokenwright_records_collected_total TokenRevocation":            0,
		}
		if diff := cmp.Diff(want, gathered(t, registry)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	expect("before anything", 0, 0)
	if _, _, err := r.collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect("five are gone", 5, 0)
	fault = errors.New("the API server is away")
	if _, _, err := r.collect(t.Context()); !errors.Is(err, fault) {
		t.Fatalf("got %v", err)
	}
	expect("five cannot be deleted", 5, 5)
	r.reader = noRecords{}
	if _, _, err := r.collect(t.Context()); err == nil {
		t.Fatal("want an error")
	}
	expect("nothing can be seen", 5, 6)
}
