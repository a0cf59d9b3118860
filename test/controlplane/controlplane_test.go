package controlplane_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

// A token of before the outage must be good after it, or the processes of the demo would be locked out for ever.
func TestAnAPIServerThatWasStoppedComesBackAsTheSame(t *testing.T) {
	plane, err := controlplane.StartWith(controlplane.Options{CertDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := plane.CreateNamespace(ctx, "before", nil); err != nil {
		t.Fatal(err)
	}
	config, err := plane.ConfigOf(ctx, "before", "somebody")
	if err != nil {
		t.Fatal(err)
	}
	if err := plane.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := plane.Client.Get(ctx, client.ObjectKey{Name: "before"}, &corev1.Namespace{}); err == nil {
		t.Fatal("the API server answers although it was stopped")
	}
	if err := plane.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := plane.Client.Get(ctx, client.ObjectKey{Name: "before"}, &corev1.Namespace{}); err != nil {
		t.Errorf("the administrator is locked out: %v", err)
	}
	c, err := client.New(config, client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatalf("the ServiceAccount's token is not accepted: %v", err)
	}
	if err := c.List(ctx, &corev1.NamespaceList{}); !apierrors.IsForbidden(err) {
		t.Errorf("want a ServiceAccount that is known and has no rights, got %v", err)
	}
}
