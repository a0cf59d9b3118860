package controllers

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// plane is the control plane of all tests of the package. Each test works in namespaces of its own.
var plane *controlplane.Plane

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	var err error
	if plane, err = controlplane.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = plane.Stop() }()
	return m.Run()
}

// testOptions returns options for a pair of namespaces that are made for the test.
func testOptions(t *testing.T, name string) Options {
	t.Helper()
	o := Options{
		Namespace: name + "-system", CANamespace: name + "-ca",
		ClockSkew: time.Minute, MaxStaleness: time.Hour, JWKSMaxAge: 5 * time.Minute,
	}
	for _, namespace := range []string{o.Namespace, o.CANamespace} {
		if err := plane.CreateNamespace(t.Context(), namespace, nil); err != nil {
			t.Fatalf("create namespace %s: %v", namespace, err)
		}
	}
	return o
}

// startManager runs the controllers until the test ends, or until stop is called.
func startManager(t *testing.T, rc *rest.Config, o Options) (stop func()) {
	t.Helper()
	mgr, err := ctrl.NewManager(rc, ctrl.Options{
		Scheme:     controlplane.Scheme(),
		Cache:      CacheOptions(o.Namespace),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		t.Fatalf("make the manager: %v", err)
	}
	if err := AddToManager(mgr, o); err != nil {
		t.Fatalf("add the controllers: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run the manager: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// eventually polls until the check is content, and fails the test with the check's last complaint after half a minute.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// create creates the objects, and deletes them when the test ends.
func create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := plane.Client.Create(t.Context(), o); err != nil {
			t.Fatalf("create %T %s: %v", o, o.GetName(), err)
		}
		t.Cleanup(func() {
			if err := client.IgnoreNotFound(plane.Client.Delete(context.Background(), o)); err != nil {
				t.Errorf("delete %T %s: %v", o, o.GetName(), err)
			}
		})
	}
}

// refresh reads the object from the API server.
func refresh(t *testing.T, o client.Object) {
	t.Helper()
	if err := plane.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatalf("read %T %s: %v", o, o.GetName(), err)
	}
}

// secretlessReader is a cache that holds no Secrets.
type secretlessReader struct{ client.Reader }

// Get finds everything but Secrets.
func (r secretlessReader) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if _, secret := o.(*corev1.Secret); secret {
		return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
	}
	return r.Reader.Get(ctx, key, o, opts...)
}
