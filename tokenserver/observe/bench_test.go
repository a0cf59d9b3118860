package observe

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// BenchmarkStartWithRecords starts servers on a cluster with 100,000 records of 50,000 users, and 1,000 revocations: how
// long until one is ready, and what of its memory they take. It takes minutes to make them: run it with -benchtime 3x.
func BenchmarkStartWithRecords(b *testing.B) {
	const users, revocations = 50_000, 1_000
	empty, _ := started(b)
	var objects []client.Object
	for i := range 2 * users {
		objects = append(objects, recorded(fmt.Sprint("user-", i%users), 1000+i))
	}
	for i := range revocations {
		objects = append(objects, revokes(fmt.Sprintf("1-%d-abcdefghijklmnopqrstuvwxyz", i)))
	}
	createAll(b, objects)
	var heap uint64
	for b.Loop() {
		var o observing
		heap, o = started(b)
		if o.records.Len() < 2*users || o.records.Revocations().Len() < revocations {
			b.Fatalf("%d records and %d revocations are seen", o.records.Len(), o.records.Revocations().Len())
		}
	}
	b.ReportMetric(float64(heap-empty)/(1<<20), "MiB")
	b.ReportMetric(float64(heap-empty)/float64(len(objects)), "B/record")
}

// started runs an observer until it is ready, and returns what the heap holds then.
func started(b *testing.B) (uint64, observing) {
	b.Helper()
	o := observing{holder: &snapshot.Holder{}, records: &record.Index{}}
	var err error
	o.Observer, err = New(Options{Config: config, Namespace: system, Holder: o.holder, Records: o.records, Log: logr.Discard()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Start(ctx) }()
	for end := time.Now().Add(5 * time.Minute); o.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.Fatal(o.Ready())
		}
	}
	b.StopTimer()
	defer b.StartTimer()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return m.HeapAlloc, o
}

// createAll creates the objects as fast as the API server takes them.
func createAll(b *testing.B, objects []client.Object) {
	b.Helper()
	fast := rest.CopyConfig(plane.Config)
	fast.QPS = -1
	c, err := client.New(fast, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		b.Fatal(err)
	}
	work := make(chan client.Object)
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for object := range work {
				if err := c.Create(context.Background(), object); err != nil {
					b.Errorf("create %s: %v", object.GetName(), err)
				}
			}
		})
	}
	for _, object := range objects {
		work <- object
	}
	close(work)
	workers.Wait()
	b.Cleanup(func() {
		for _, object := range []client.Object{&v1alpha1.IssuedToken{}, &v1alpha1.TokenRevocation{}} {
			_ = c.DeleteAllOf(context.Background(), object, client.InNamespace(system))
		}
	})
}
