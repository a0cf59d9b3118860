package controllers

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
)

// serverKeysBench is a controller and its Secret in a namespace of its own.
type serverKeysBench struct {
	*testing.T
	r     *serverKeysReconciler
	clock *clocktesting.FakePassiveClock
}

func newServerKeysBench(t *testing.T, name string) *serverKeysBench {
	t.Helper()
	o := testOptions(t, name)
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	return &serverKeysBench{T: t, clock: clock, r: &serverKeysReconciler{
		live: plane.Client, client: plane.Client, clock: clock,
		name: client.ObjectKey{Namespace: o.Namespace, Name: opaque.SecretName},
	}}
}

func (b *serverKeysBench) reconcile() ctrl.Result {
	b.Helper()
	result, err := b.r.Reconcile(b.Context(), ctrl.Request{NamespacedName: b.r.name})
	if err != nil {
		b.Fatal(err)
	}
	return result
}

func (b *serverKeysBench) secret() *corev1.Secret {
	b.Helper()
	var secret corev1.Secret
	if err := plane.Client.Get(b.Context(), b.r.name, &secret); err != nil {
		b.Fatal(err)
	}
	return &secret
}

func (b *serverKeysBench) keys() opaque.Keys {
	b.Helper()
	keys, err := opaque.Decode(b.secret().Data)
	if err != nil {
		b.Fatal(err)
	}
	return keys
}

func (b *serverKeysBench) change(change func(*corev1.Secret)) {
	b.Helper()
	secret := b.secret()
	change(secret)
	if err := plane.Client.Update(b.Context(), secret); err != nil {
		b.Fatal(err)
	}
}

// TestServerKeysAreMadeAndRotated goes through two years: what was sealed opens for as long as it may live.
func TestServerKeysAreMadeAndRotated(t *testing.T) {
	b := newServerKeysBench(t, "serverkeys")
	if got := b.reconcile().RequeueAfter; got != longestSleep {
		t.Errorf("looks again after %s", got)
	}
	first := b.keys()
	secret, err := opaque.NewSecret(bytes.NewReader(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	b.clock.SetTime(first.Due().Add(-time.Hour))
	if got := b.reconcile().RequeueAfter; got != time.Hour || !b.keys().Equal(first) {
		t.Errorf("an hour before: looks again after %s", got)
	}
	text, err := first.Seal("0-1-abcdefghijklmnopqrstuvwx23", secret, b.clock.Now().Add(opaque.MaxLifetime))
	if err != nil {
		t.Fatal(err)
	}
	last := b.clock.Now().Add(opaque.MaxLifetime - time.Second)

	b.clock.SetTime(first.Due())
	b.reconcile()
	second := b.keys()
	if second.Equal(first) {
		t.Fatal("was not rotated")
	}
	b.clock.SetTime(last)
	b.reconcile()
	if _, err := b.keys().Open(text, last); err != nil {
		t.Errorf("what may live still does not open: %v", err)
	}
	b.clock.SetTime(second.Due())
	b.reconcile()
	if _, err := b.keys().Open(text, last); err == nil {
		t.Error("three generations open")
	}
}

// TestServerKeysAreNotLost are states in which a new Secret would end all refresh tokens, or harm somebody else's.
func TestServerKeysAreNotLost(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*corev1.Secret)
		want   func(before, after *corev1.Secret) bool
	}{
		"Nothing happened": {
			"to look changes nothing", func(*corev1.Secret) {},
			func(before, after *corev1.Secret) bool { return before.ResourceVersion == after.ResourceVersion },
		},
		"Somebody emptied it": {
			"servers go on with what they have, and a backup may be restored", func(s *corev1.Secret) { s.Data = nil },
			func(before, after *corev1.Secret) bool { return before.ResourceVersion == after.ResourceVersion },
		},
		"Somebody took the label away": {
			"servers do not see it without", func(s *corev1.Secret) { s.Labels = nil },
			func(before, after *corev1.Secret) bool {
				_, ok := after.Labels[v1alpha1.LabelWatch]
				return ok && cmp.Equal(before.Data, after.Data)
			},
		},
	}
	bench := newServerKeysBench(t, "serverkeys-kept")
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := &serverKeysBench{T: t, r: bench.r, clock: bench.clock}
			b.reconcile()
			b.change(tc.change)
			before := b.secret()
			b.reconcile()
			if after := b.secret(); !tc.want(before, after) {
				t.Errorf("%s: labels %v, version %s then %s", tc.reason, after.Labels, before.ResourceVersion, after.ResourceVersion)
			}
			if err := plane.Client.Delete(t.Context(), b.secret()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestServerKeysOfAnotherType(t *testing.T) {
	b := newServerKeysBench(t, "serverkeys-foreign")
	foreign := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.r.name.Namespace, Name: b.r.name.Name},
		Data:       map[string][]byte{"password": []byte("x")},
	}
	if err := plane.Client.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	b.reconcile()
	if diff := cmp.Diff(foreign.Data, b.secret().Data); diff != "" {
		t.Errorf("somebody else's Secret was changed:\n%s", diff)
	}
}

// TestTwoManagersMakeOneSetOfServerKeys has another manager write between the look and the write.
func TestTwoManagersMakeOneSetOfServerKeys(t *testing.T) {
	b := newServerKeysBench(t, "serverkeys-two")
	other := *b.r
	watched, err := client.NewWithWatch(plane.Config, client.Options{Scheme: plane.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	b.r.client = interceptor.NewClient(watched, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if _, err := other.Reconcile(ctx, ctrl.Request{NamespacedName: other.name}); err != nil {
				return err
			}
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if _, err := other.Reconcile(ctx, ctrl.Request{NamespacedName: other.name}); err != nil {
				return err
			}
			return c.Update(ctx, o, opts...)
		},
	})
	_, err = b.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: b.r.name})
	if !apierrors.IsAlreadyExists(err) {
		t.Fatalf("made a second: %v", err)
	}
	b.clock.SetTime(b.keys().Due())
	_, err = b.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: b.r.name})
	if !apierrors.IsConflict(err) {
		t.Fatalf("rotated twice: %v", err)
	}
}

// TestManagerMakesServerKeys is the manager as it runs: nothing is heard of a Secret that is not there.
func TestManagerMakesServerKeys(t *testing.T) {
	o := testOptions(t, "serverkeys-manager")
	startManager(t, plane.Config, o)
	name := client.ObjectKey{Namespace: o.Namespace, Name: opaque.SecretName}
	made := func() *corev1.Secret {
		var secret corev1.Secret
		deadline := time.Now().Add(20 * time.Second)
		for time.Now().Before(deadline) {
			if err := plane.Client.Get(t.Context(), name, &secret); err == nil {
				return &secret
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatal("there is no Secret")
		return nil
	}
	first := made()
	if err := plane.Client.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if second := made(); second.UID == first.UID {
		t.Error("was not made anew")
	}
}
