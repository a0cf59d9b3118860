package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// TestWatchesOfTheManagerFollowAnOutageWithinSeconds has an API server that is away for several seconds. Left alone,
// informers wait twice as long after each attempt, and would need most of a minute for as many.
func TestWatchesOfTheManagerFollowAnOutageWithinSeconds(t *testing.T) {
	t.Parallel()
	const attempts = 7
	address := freeAddress(t)
	var dials atomic.Int64
	missed := make(chan struct{})
	config := &rest.Config{Host: "http://" + address, Dial: func(ctx context.Context, network, to string) (net.Conn, error) {
		if dials.Add(1) == attempts {
			close(missed)
		}
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}}
	options, err := managerOptions(config, managerFlags{}, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(coordinationv1.SchemeGroupVersion.WithKind("Lease"), meta.RESTScopeNamespace)
	c, err := options.NewCache(config, cache.Options{Scheme: controlplane.Scheme(), Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.Start(ctx) }()
	informer, err := c.GetInformer(ctx, &coordinationv1.Lease{}, cache.BlockUntilSynced(false))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-missed:
	case <-time.After(30 * time.Second):
		t.Fatalf("the API server was tried %d times in half a minute", dials.Load())
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(oneLease), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	poll(t, func() error {
		if !informer.HasSynced() {
			return errors.New("the cache has not synced")
		}
		return nil
	})
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// oneLease answers lists as an API server does that does not stream them, and holds watches open.
func oneLease(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
			Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid,
		})
		return
	}
	if r.URL.Query().Get("watch") == "true" {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(coordinationv1.LeaseList{
		TypeMeta: metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "LeaseList"}, ListMeta: metav1.ListMeta{ResourceVersion: "1"},
		Items: []coordinationv1.Lease{{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b", ResourceVersion: "1"}}},
	})
}
