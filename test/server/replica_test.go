package server

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/tokenserver"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
	"github.com/tokenwright/tokenwright/tokenserver/lease"
)

// serve runs a server until the test ends, on free ports and with a line of its own to the API server; change may be nil.
func serve(t *testing.T, plane *controlplane.Plane, config *rest.Config, change func(*tokenserver.Options)) *world {
	t.Helper()
	w := &world{plane: plane, line: &line{}, audit: filepath.Join(t.TempDir(), "audit.log"), client: &http.Client{Timeout: 20 * time.Second}}
	config = rest.CopyConfig(config)
	config.Dial = w.line.dial
	ctrl.SetLogger(logr.Discard())
	var listeners [2]net.Listener
	for n := range listeners {
		var err error
		if listeners[n], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	w.url, w.health = "http://"+listeners[0].Addr().String(), "http://"+listeners[1].Addr().String()
	options := tokenserver.Options{
		Config: config, Namespace: system, Issuer: "https://auth.example.com", Listener: listeners[0], HealthListener: listeners[1],
		AuditFile: w.audit, JWKSMaxAge: 5 * time.Minute, ShutdownTimeout: 5 * time.Second, Log: logr.Discard(),
		PodName: "server-0", MaxStaleness: time.Hour,
	}
	if change != nil {
		change(&options)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- tokenserver.Run(ctx, options) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

func (w *world) ready(t *testing.T) {
	t.Helper()
	w.eventually(t, "the server is ready", func() bool { return w.send(t, w.health+"/readyz", nil).status == http.StatusOK })
}

// lease is the Lease of a server, or an empty one.
func (w *world) lease(t *testing.T, podName string) *coordinationv1.Lease {
	t.Helper()
	var l coordinationv1.Lease
	err := w.plane.Client.Get(t.Context(), client.ObjectKey{Namespace: system, Name: lease.Name(podName)}, &l)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return &l
}

// acknowledged are the thumbprints that a server says to serve.
func (w *world) acknowledged(t *testing.T, podName string) []string {
	t.Helper()
	return keyring.DecodeServes(w.lease(t, podName).Annotations[v1alpha1.AnnotationServes])
}

// withoutLeases returns a configuration with the server's rights but those to Leases.
func withoutLeases(t *testing.T, plane *controlplane.Plane) *rest.Config {
	t.Helper()
	ctx := t.Context()
	config, err := plane.ConfigOf(ctx, system, "poor")
	if err != nil {
		t.Fatal(err)
	}
	var role rbacv1.Role
	if err := plane.Client.Get(ctx, client.ObjectKey{Namespace: system, Name: "tokenwright-server"}, &role); err != nil {
		t.Fatal(err)
	}
	poor := &rbacv1.Role{}
	poor.Namespace, poor.Name = system, "poor"
	for _, rule := range role.Rules {
		if rule.APIGroups[0] != coordinationv1.GroupName {
			poor.Rules = append(poor.Rules, rule)
		}
	}
	if len(poor.Rules) != len(role.Rules)-1 {
		t.Fatalf("the role has no rule for Leases: %+v", role.Rules)
	}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: system, Name: "poor"}}
	own := &rbacv1.RoleBinding{Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "poor"}}
	own.Namespace, own.Name = system, "poor"
	wide := &rbacv1.ClusterRoleBinding{Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tokenwright-server"}}
	wide.Name = "poor"
	for _, object := range []client.Object{poor, own, wide} {
		if err := plane.Client.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
	}
	return config
}
