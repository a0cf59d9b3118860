package controllers

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// A reconcile takes time, most of it with copies in other namespaces: what becomes due after the plan was made, and before
// the next look is asked for, must not wait for the recheck.
func TestWhatBecomesDueMeanwhileIsLookedAtAtOnce(t *testing.T) {
	b := newKeyBench(t, "meanwhile")
	tenant := b.tenant("tenant", true)
	key := b.signingKey("registry", func(k *v1alpha1.SigningKey) { k.Spec.Publish.Namespaces = []string{tenant} })
	b.reconcile(key)
	b.after(interval-time.Second, key)

	swift, ok := b.r.live.(client.WithWatch)
	if !ok {
		t.Fatal("the bench reads by another client")
	}
	b.r.live = interceptor.NewClient(swift, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, name client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if name.Namespace == tenant {
				b.clock.SetTime(b.clock.Now().Add(2 * time.Second))
			}
			return c.Get(ctx, name, o, opts...)
		},
	})
	result := b.reconcile(key)
	if len(keysIn(key, retired)) > 0 {
		t.Fatal("the rotation was due before the plan was made")
	}
	if result.RequeueAfter <= 0 || result.RequeueAfter > time.Second {
		t.Errorf("a rotation that is due is looked at again after %s", result.RequeueAfter)
	}
	b.r.live = swift
	b.reconcile(key)
	if got := keysIn(key, retired); len(got) != 1 {
		t.Errorf("%d keys are retired", len(got))
	}
}

// Fifty SigningKeys and ten servers: a rotation of one of them is no reason to look at all fifty ten times.
func TestServersConcernOnlyTheSigningKeysThatWaitForThem(t *testing.T) {
	b := newKeyBench(t, "concern")
	b.r.standbys = &sync.Map{}
	content, waiting, gone := b.signingKey("content"), b.signingKey("waiting"), b.signingKey("gone")
	b.reconcile(content)
	server := b.server("tokenwright-server-a")
	b.reconcile(waiting)
	b.reconcile(gone)
	b.vanish(gone)
	if _, err := b.step(gone); err != nil {
		t.Fatal(err)
	}
	concerned := func() []string {
		var names []string
		for _, request := range b.r.awaiting(t.Context()) {
			names = append(names, request.Name)
		}
		return names
	}
	if diff := cmp.Diff([]string{waiting.Name}, concerned()); diff != "" {
		t.Errorf("while a standby waits (-want +got):\n%s", diff)
	}
	b.renew(server, keysIn(waiting, active, pending)...)
	b.reconcile(waiting)
	if diff := cmp.Diff([]string(nil), concerned()); diff != "" {
		t.Errorf("once it is served (-want +got):\n%s", diff)
	}
}
