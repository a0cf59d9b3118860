package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/estate"
	"github.com/tokenwright/tokenwright/test/stage"
)

// onCluster measures what needs an API server: the start with many policies, and how long a change takes to reach a
// token. Nothing is pinned.
type onCluster struct {
	dir      string
	policies int
	changes  int
	log      func(format string, args ...any)
	// values are of the chart, beside the issuer, and flags of the server.
	values, flags []string

	cluster *stage.Cluster
	manager *process
	server  *server
}

// run measures all cases, first without the manager's writes and then among them.
func (o *onCluster) run(ctx context.Context, report func(Case)) error {
	return o.started(func() error { return o.cases(ctx, report) })
}

// started starts a cluster, does something with it, and stops all that runs then.
func (o *onCluster) started(do func() error) (err error) {
	o.cluster, err = stage.StartCluster(o.dir)
	if o.cluster != nil {
		defer func() { err = errors.Join(err, o.cluster.Stop()) }()
	}
	if err != nil {
		return err
	}
	defer o.stop()
	return do()
}

func (o *onCluster) cases(ctx context.Context, report func(Case)) error {
	if err := o.fill(ctx); err != nil {
		return err
	}
	if err := o.ready(ctx, report, fmt.Sprintf("%d policies", o.policies)); err != nil {
		return err
	}
	if err := o.effect(ctx, report, "apply to effect in a token, p99"); err != nil {
		return err
	}
	if err := o.startManager(ctx); err != nil {
		return err
	}
	if err := o.effect(ctx, report, "the same while the manager writes statuses"); err != nil {
		return err
	}
	resident, peak := o.manager.memory()
	o.log("the manager has %.0f MiB in memory, %.0f at its most", resident, peak)
	return nil
}

func (o *onCluster) stop() {
	if o.server != nil {
		o.server.stop()
	}
	o.stopManager()
}

func (o *onCluster) stopManager() {
	if o.manager != nil {
		o.manager.stop()
		o.manager = nil
	}
}

// fill creates the policies while the manager is away.
func (o *onCluster) fill(ctx context.Context) error {
	if err := o.install(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := o.createPolicies(ctx); err != nil {
		return err
	}
	o.log("created %d policies in %s", o.policies, time.Since(began).Round(time.Second))
	return nil
}

// install installs the chart and has the manager make the keys.
func (o *onCluster) install(ctx context.Context) error {
	if err := o.cluster.InstallChart(ctx, issuer, o.values...); err != nil {
		return err
	}
	if err := o.startManager(ctx); err != nil {
		return err
	}
	manifest, err := fixedManifest("")
	if err != nil {
		return err
	}
	if err := o.cluster.Apply(ctx, manifest); err != nil {
		return err
	}
	if _, err := o.cluster.Kubectl(ctx, "wait", "signingkeys", "--all", "--namespace="+stage.SystemNamespace,
		"--for=condition=Ready", "--timeout=60s"); err != nil {
		return err
	}
	o.stopManager()
	return nil
}

func (o *onCluster) startManager(ctx context.Context) error {
	kubeconfig, err := o.cluster.KubeconfigOf(ctx, stage.SystemNamespace, "tokenwright-manager")
	if err != nil {
		return err
	}
	o.manager, err = start(o.dir, "manager", anyCore, []string{"KUBECONFIG=" + kubeconfig}, binary("tokenwright"), "manager",
		"--namespace="+stage.SystemNamespace, "--ca-namespace="+stage.CANamespace,
		"--metrics-listen=127.0.0.1:0", "--health-listen=127.0.0.1:0")
	return err
}

// client is an administrator's, and as fast as the API server.
func (o *onCluster) client() (client.Client, error) {
	config := rest.CopyConfig(o.cluster.Plane.Config)
	config.QPS = -1
	return client.New(config, client.Options{Scheme: controlplane.Scheme()})
}

// createPolicies creates the namespaces and policies with many writers, as fast as the API server takes them.
func (o *onCluster) createPolicies(ctx context.Context) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	namespaces := map[string]bool{}
	for i := range o.policies {
		if tenants, _ := estate.Policy(i); tenants != nil {
			namespaces[tenants.Namespace] = true
		}
	}
	var objects []client.Object
	for name := range namespaces {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	if err := createAll(ctx, c, len(objects), func(i int) client.Object { return objects[i] }); err != nil {
		return err
	}
	return createAll(ctx, c, o.policies-fixedPolicies, func(i int) client.Object {
		tenants, platforms := estate.Policy(i)
		if tenants == nil {
			return platforms
		}
		return tenants
	})
}

// writers is how many requests are under way at once.
const writers = 16

func createAll(ctx context.Context, c client.Client, n int, object func(i int) client.Object) error {
	return inParallel(n, func(i int) error { return c.Create(ctx, object(i)) })
}

// inParallel does something so many times, as many at once as there are writers. Each of them ends with its first error.
func inParallel(n int, do func(i int) error) error {
	var (
		all      sync.WaitGroup
		next     atomic.Int64
		mu       sync.Mutex
		failures []error
	)
	for range writers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					mu.Lock()
					failures = append(failures, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(failures...)
}

// ready starts the server with the rights of its ServiceAccount.
func (o *onCluster) ready(ctx context.Context, report func(Case), with string) error {
	kubeconfig, err := o.cluster.KubeconfigOf(ctx, stage.SystemNamespace, "tokenwright-server")
	if err != nil {
		return err
	}
	o.server, err = startServer(ctx, o.dir, "server", anyCore, []string{"KUBECONFIG=" + kubeconfig},
		append([]string{"--namespace=" + stage.SystemNamespace, "--pod-name=bench"}, o.flags...)...)
	if err != nil {
		return err
	}
	resident, peak := o.server.memory()
	report(atMost("ready after start with "+with, o.server.ready.Seconds(), 20, "s", ""))
	report(atMost("resident memory then", resident, 400, "MiB", fmt.Sprintf("%.0f at its most", peak)))
	return nil
}
